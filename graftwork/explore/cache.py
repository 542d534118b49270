"""What was made last, each thing once however many ask for it at the same time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """The last `size` things by their keys; what could not be made is not kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._made: OrderedDict[Hashable, Future[T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of a key; whoever asks first makes it, and the others wait.

        Raises:
            Exception: what `make` raised, to all who waited.
        """
        with self._lock:
            kept = self._made.get(key)
            future: Future[T] = kept or Future()
            self._made[key] = future
            self._made.move_to_end(key)
            if len(self._made) > self._size:
                self._made.popitem(last=False)
        if kept is None:
            self._fill(key, future, make)
        return future.result()

    def find(self, key: Hashable) -> T | None:
        """The thing of a key, if it is kept."""
        with self._lock:
            future = self._made.get(key)
        return future.result() if future else None

    def _fill(self, key: Hashable, future: Future[T], make: Callable[[], T]) -> None:
        try:
            future.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._made.get(key) is future:
                    del self._made[key]
            future.set_exception(error)
