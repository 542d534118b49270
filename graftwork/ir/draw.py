"""How the definition of an op draws samples of itself, whoever makes the choices.

`Op.sample(draw)` asks a `Draw` for operands, axes, sizes and words, and gives the `Call` that it
makes of them. The test harness answers from random numbers that it can shrink, either with fresh
inputs or with values of a graph that grows; so one sampler serves the laws that every op obeys
and random whole graphs. The first of several answers is the simplest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import field, frozen

from graftwork.ir.dtypes import DType

if TYPE_CHECKING:
    from graftwork.ir.build import Term
    from graftwork.ir.graph import Region
    from graftwork.ir.sizes import Size
    from graftwork.ir.types import Type

T = TypeVar("T")

FLOATS = (DType.f32, DType.f64, DType.f16, DType.bf16)
INTS = tuple(dtype for dtype in DType if dtype.is_int)
NUMBERS = (*FLOATS, *INTS)
BITS = (DType.boolean, *INTS)
BOOLS = (DType.boolean,)
ANY = (*NUMBERS, DType.boolean)


@frozen(eq=False)
class Call:
    """An op applied: its operands, attributes and regions."""

    operands: Sequence[Term] = ()
    attrs: Mapping[str, Any] = field(factory=dict)
    regions: Sequence[Region] = ()


class Draw(Protocol):
    """Where samplers get what they need."""

    def pick(self, *options: T) -> T:
        """One of the options."""

    def number(self, low: int, high: int) -> int:
        """An integer, `low` and `high` included."""

    def operand(
        self,
        dtypes: Sequence[DType],
        *,
        axes: Sequence[str] = (),
        binds: int = 0,
        least: int = 0,
        multiple: int = 1,
        avoid: Sequence[str] = (),
        within: tuple[float, float] | None = None,
    ) -> Term:
        """A value of one of the dtypes, usually with some free axes.

        Args:
            dtypes: what it may be.
            axes: axes that it has at least.
            binds: so many of its other axes have a size of at least `least` that is a `multiple`.
            least: see `binds`.
            multiple: see `binds`.
            avoid: axes that it must not have.
            within: where the op is smooth; a hint for tests of derivatives.
        """

    def axis(self, x: Term, *, least: int = 0, multiple: int = 1, but: Sequence[str] = ()) -> str:
        """An axis of x whose size is at least `least` and a `multiple`, none of `but`."""

    def other_axis(self, *xs: Term) -> str:
        """An axis of the table that none of the operands has."""

    def new(self) -> str:
        """A name that no axis has yet."""

    def make(self, size: Size) -> str:
        """A new axis of a size."""

    def size(self, axis: str) -> Size:
        """The size of an axis."""

    def positions(self, axis: str, *, axes: Sequence[str] = (), avoid: Sequence[str] = ()) -> Term:
        """Integers that are positions of an axis, which must not be empty."""

    def region(self, inputs: Sequence[Type], outputs: Sequence[Type | None]) -> Region:
        """A body of these inputs whose outputs have these types; None leaves the type open."""


def some(draw: Draw, x: Term, count: int, *, least: int = 0) -> tuple[str, ...]:
    """So many different axes of x."""
    found: list[str] = []
    for _ in range(count):
        found.append(draw.axis(x, least=least, but=found))
    return tuple(found)
