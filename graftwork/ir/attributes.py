"""Attributes of nodes: small immutable values with a typed, bit-exact identity.

Python's own equality is wrong for a compiler: `1 == 1.0 == True`, `0.0 == -0.0`, `nan != nan`.
`Attrs` compares and hashes by a key that tells all of these apart (and NaN equals itself).
Structural equality, CSE and literal matching use that key and nothing else.

A *kind* says what an attribute of an op may be, and which axes it names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
from attrs import field, frozen

from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import AttributeTypeError
from graftwork.ir.size_text import parse_size
from graftwork.ir.sizes import Size, SizeExpr, symbol


@frozen(eq=False)
class Literal:
    """A small constant array: dtype, shape and bytes in C order."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes

    @staticmethod
    def of(value: object, dtype: DType | None = None) -> Literal:
        array = np.asarray(value) if dtype is None else np.asarray(value).astype(dtype.numpy)
        return Literal(dtype_of(array.dtype), array.shape, array.tobytes())

    @property
    def array(self) -> np.ndarray[Any, Any]:
        return np.frombuffer(self.data, self.dtype.numpy).reshape(self.shape)

    def item(self) -> bool | int | float:
        return cast("bool | int | float", self.array.item())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and exact(self) == exact(other)

    def __hash__(self) -> int:
        return hash(exact(self))


Attr = None | bool | int | float | str | SizeExpr | DType | Literal | tuple["Attr", ...]


_PLAIN = {str}


def exact(value: object) -> object:
    """A hashable stand-in for `value` whose equality is typed and bit-exact."""
    if type(value) is str or isinstance(value, SizeExpr) or value is None:
        return value
    if isinstance(value, tuple):
        parts = cast("tuple[object, ...]", value)
        return value if {*map(type, parts)} <= _PLAIN else tuple(map(exact, parts))
    if isinstance(value, float):
        return ("f", b"nan" if value != value else struct.pack("<d", value))
    if isinstance(value, Literal):
        return (value.dtype, value.shape, value.data)
    return (type(value), value)


@frozen(eq=False, repr=False)
class Attrs:
    """The attributes of one node, in the order of the op's definition."""

    items: tuple[tuple[str, Any], ...] = ()
    key: object = field(init=False)
    _hash: int = field(init=False)

    @key.default
    def _make_key(self) -> object:
        return tuple([(name, exact(value)) for name, value in self.items])

    @_hash.default
    def _make_hash(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attrs) and (
            self is other or (self._hash == other._hash and self.key == other.key)
        )

    def __hash__(self) -> int:
        return self._hash

    def __getitem__(self, name: str) -> Any:
        for known, value in self.items:
            if known == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items)

    def as_dict(self) -> dict[str, Any]:
        return dict(self.items)

    def __repr__(self) -> str:
        return f"Attrs({', '.join(f'{name}={value!r}' for name, value in self.items)})"


NO_ATTRS = Attrs()


@frozen
class Kind:
    """What an attribute may be.

    Attributes:
        name: how error messages and the op reference call it.
        coerce: normalises what a caller wrote to the one canonical form; raises TypeError.
        axes: the axes that a value of this kind names.
        rename: the value with its axes renamed by a function.
    """

    name: str
    coerce: Callable[[Any], Any]
    axes: Callable[[Any], Iterable[str]] = lambda value: ()
    rename: Callable[[Any, Callable[[str], str]], Any] = lambda value, to: value


def _typed(*types: type) -> Callable[[Any], Any]:
    def coerce(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) and bool not in types:
            raise TypeError
        if isinstance(value, int) and types == (float,):
            value = float(value)
        if not isinstance(value, types):
            raise TypeError
        return value

    return coerce


def _size(value: Any) -> Size:
    if isinstance(value, str):
        return symbol(value) if value.isidentifier() else parse_size(value)
    return cast("Size", _typed(int, SizeExpr)(value))


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise TypeError
    return names


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value
    return tuple(sorted((_typed(str)(old), _typed(str)(new)) for old, new in pairs))


AXIS = Kind("axis", _typed(str), lambda v: (v,), lambda v, to: to(v))
AXIS_SET = Kind(  # order means nothing, so there is one canonical order
    "axes",
    lambda v: tuple(sorted(_names(v))),
    lambda v: v,
    lambda v, to: tuple(sorted(map(to, v))),
)
AXIS_SEQ = Kind("ordered axes", _names, lambda v: v, lambda v, to: tuple(map(to, v)))
AXIS_LIST = Kind(  # one axis an operand, so repeats are fine
    "axes, one an operand",
    lambda v: tuple(_typed(str)(a) for a in v),
    lambda v: v,
    lambda v, to: tuple(map(to, v)),
)
AXIS_MAP = Kind(
    "map from axis to axis",
    _pairs,
    lambda v: (axis for pair in v for axis in pair),
    lambda v, to: tuple(sorted((to(old), to(new)) for old, new in v)),
)
SIZE = Kind("size", _size)
SIZES = Kind("sizes", lambda v: tuple(map(_size, v)))
INT = Kind("integer", _typed(int))
INTS = Kind("integers", lambda v: tuple(map(_typed(int), v)))
FLOAT = Kind("number", _typed(float))
BOOL = Kind("bool", _typed(bool))
STRING = Kind("string", _typed(str))
DTYPE = Kind("dtype", dtype_of)
LITERAL = Kind("constant", lambda v: v if isinstance(v, Literal) else Literal.of(v))


def choice(*options: str) -> Kind:
    """A kind whose values are a few words."""

    def coerce(value: Any) -> str:
        if value not in options:
            raise TypeError
        return cast("str", value)

    return Kind("one of " + ", ".join(options), coerce)


def optional(kind: Kind) -> Kind:
    """`kind`, or None where the attribute is absent."""
    return Kind(
        f"{kind.name} or None",
        lambda v: None if v is None else kind.coerce(v),
        lambda v: () if v is None else kind.axes(v),
        lambda v, to: None if v is None else kind.rename(v, to),
    )


@frozen
class Spec:
    """One attribute in an op's definition. `default` is used where callers leave it out."""

    name: str
    kind: Kind
    default: Any = field(default=...)  # Ellipsis: required

    def coerce(self, op: str, value: Any) -> Any:
        try:
            return self.kind.coerce(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise AttributeTypeError(
                f"{op}: {self.name}={value!r} is not legal here; it takes {self.kind.name}"
            ) from error
