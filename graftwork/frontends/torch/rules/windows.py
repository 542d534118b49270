"""Convolution, resizing and borders of spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import asdict, frozen

from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import expanded
from graftwork.frontends.torch.values import Extents, extent_of, settled
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Label, Positional, carrying, matched
from graftwork.ir.sizes import Size, exact_div


def each(values: int | Sequence[int] | None, count: int, default: int = 1) -> list[int]:
    """One value for each spatial dimension, from one for all or a list."""
    if values is None or (not isinstance(values, int) and not values):
        return [default] * count
    listed = [values] if isinstance(values, int) else list(values)
    return listed * count if len(listed) == 1 else listed


def _split_dim(x: Positional, place: int, first: int) -> Positional:
    """One dimension as two, the first of the given extent."""
    extents = [extent_of(x, p) for p in range(x.rank)]
    whole = extents[place]
    rest = 1 if whole is None else whole // first
    parts = (None if first == 1 else first, None if rest == 1 else rest)
    return reshaped(x, (*extents[:place], *parts, *extents[place + 1 :]))


@rule("aten.convolution")
def convolution(
    call: Call,
    input: Positional,
    weight: Positional,
    bias: Positional | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Positional:
    """Convolution of any number of spatial dimensions, also grouped and transposed."""
    count = weight.rank - 2
    steps = _Steps.of(
        [weight.size(2 + i) for i in range(count)],
        each(stride, count),
        each(dilation, count),
        each(padding, count, 0),
        each(output_padding, count, 0),
        transposed,
    )
    channels: list[Label] = ["group", "in", "out"] if transposed else ["group", "out", "in"]
    x, w = _split_dim(input, 1, groups), _split_dim(_turned(weight, transposed), 0, groups)
    sliding = [i for i in range(count) if w.dims[3 + i] is not None or steps.moves(i)]
    inner = channels.index("in")
    if x.dims[2] is not None or w.dims[inner] is not None:
        x, w = carrying(x, 2), carrying(w, inner)
    x, w = (carrying(y, *(3 + i for i in sliding)) for y in (x, w))
    space: list[Label] = [("space", i) for i in range(count)]
    window: list[Label] = [("kernel", i) for i in range(count)]
    found, axes = matched((x, ["batch", "group", "in", *space]), (w, [*channels, *window]))
    into = {i: call.fresh(1 if (e := call.shape[2 + i]) is None else e) for i in sliding}
    operands = [y.term for y in found]
    over = [axis for axis in [axes["in"]] if axis is not None]
    if sliding:
        term = ops.conv(
            *operands,
            axes=[axes["space", i] for i in sliding],
            kernel=[axes["kernel", i] for i in sliding],
            into=list(into.values()),
            over=over,
            **steps.of_dims(sliding),
        )
    else:
        term = ops.contract(*operands, over=over)
    places = [into.get(i, axes["space", i]) for i in range(count)]
    out = Positional(term, (axes["batch"], axes["group"], axes["out"], *places))
    known = (*(extent_of(out, p) for p in range(3)), *call.shape[2:])
    whole = reshaped(settled(out, known), call.shape)
    return whole if bias is None else _with_bias(whole, bias)


@frozen
class _Steps:
    """How windows slide over each spatial dimension."""

    stride: list[int]
    dilation: list[int]
    base_dilation: list[int]
    low: list[int]
    high: list[int]

    @staticmethod
    def of(
        kernel: list[Size],
        stride: list[int],
        dilation: list[int],
        padding: list[int],
        extra: list[int],
        transposed: bool,
    ) -> _Steps:
        """The steps of a convolution; a transposed one slides over a spread-out input."""
        ones = [1] * len(stride)
        if not transposed:
            return _Steps(stride, dilation, ones, padding, padding)
        reach = [d * (int(k) - 1) for d, k in zip(dilation, kernel, strict=True)]  # type: ignore[arg-type]
        low = [r - p for r, p in zip(reach, padding, strict=True)]
        high = [at + e for at, e in zip(low, extra, strict=True)]
        return _Steps(ones, dilation, stride, low, high)

    def moves(self, i: int) -> bool:
        """Whether even a kernel of extent 1 changes positions along a dimension."""
        steps = (self.stride[i], self.base_dilation[i], self.low[i], self.high[i])
        return steps != (1, 1, 0, 0)

    def of_dims(self, chosen: Sequence[int]) -> dict[str, list[int]]:
        """The attributes of a convolution that slides over some dimensions only."""
        return {word: [each[i] for i in chosen] for word, each in asdict(self).items()}


def _with_bias(x: Positional, bias: Positional) -> Positional:
    """A bias of channels added, the same everywhere in space."""
    labels: list[Label] = list(range(x.rank))
    (left, right), _ = matched((x, labels), (bias, [1]))
    return Positional(left.term + right.term, left.dims)


def _turned(weight: Positional, transposed: bool) -> Positional:
    """The kernel, back to front if the convolution is transposed."""
    axes = [weight.dims[p] for p in range(2, weight.rank) if weight.carries(p)]
    turned = transposed and axes
    return Positional(ops.flip(weight.term, axes=axes), weight.dims) if turned else weight


# --- resizing -----------------------------------------------------------------------------------


@rule("aten.upsample_nearest1d.default", "aten.upsample_nearest2d.default",
      "aten.upsample_nearest3d.default", "aten._upsample_nearest_exact1d.default",
      "aten._upsample_nearest_exact2d.default",
      "aten._upsample_nearest_exact3d.default")  # fmt: skip
def upsample_nearest_to(
    call: Call, self: Positional, output_size: Sequence[Size], *scales: float | None
) -> Positional:
    """Each position of a larger grid from a near one, with a factor for each dimension."""
    factors = [scale for scale in scales if scale is not None]
    return upsample_nearest(call, self, output_size, factors or None)


@rule("aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec",
      "aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec",
      "aten._upsample_nearest_exact3d.vec")  # fmt: skip
def upsample_nearest(
    call: Call,
    input: Positional,
    output_size: Sequence[Size] | None,
    scale_factors: Sequence[float] | None,
) -> Positional:
    """Each position of a larger grid from the nearest below; exactly, from the nearest."""
    x = input
    for place in range(2, input.rank):
        new = 1 if call.shape[place] is None else call.shape[place]
        assert new is not None
        factor = exact_div(new, x.size(place))
        if factor is not None:
            extents = [extent_of(x, p) for p in range(x.rank)]
            copies = Positional(x.term, (*x.dims[: place + 1], None, *x.dims[place + 1 :]))
            wide = (*extents[: place + 1], None if factor == 1 else factor, *extents[place + 1 :])
            x = reshaped(
                expanded(copies, wide), (*extents[:place], call.shape[place], *extents[place + 1 :])
            )
        else:
            scale = None if scale_factors is None else 1.0 / scale_factors[place - 2]
            x = _resampled(call, x, place, new, scale)
    return x


def _resampled(call: Call, x: Positional, place: int, new: Size, scale: float | None) -> Positional:
    """Positions scaled as torch does, in 32-bit floats."""
    x = carrying(x, place)
    into = call.fresh(new)
    grid = positions(call, into, DType.f32)
    with call.builder:
        last = ops.size(value=x.size(place) - 1)
        if scale is None:
            sizes = (ops.size(value=n, dtype=DType.f32) for n in (x.size(place), new))
            ratio = ops.div(*sizes)
        else:
            ratio = call.builder.constant(scale, DType.f32)
    if "exact" in call.op:
        grid = grid + 0.5
    at = ops.minimum(ops.floor(grid * ratio).cast(DType.i64), last)
    term = ops.gather(x.term, at, axes=[x.dims[place]])
    return settled(Positional(term, x.with_dim(place, into).dims), _at(x, place, call))


def _at(x: Positional, place: int, call: Call) -> Extents:
    """The shape of x with one dimension as in the result."""
    shape = [extent_of(x, p) for p in range(x.rank)]
    shape[place] = call.shape[place]
    return tuple(shape)


# --- borders ------------------------------------------------------------------------------------


@rule("aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d",
      "aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d")  # fmt: skip
def border(call: Call, self: Positional, padding: Sequence[int]) -> Positional:
    """A border that mirrors, or repeats, what is next to it."""
    x = self
    for back in range(len(padding) // 2):
        place = x.rank - 1 - back
        low, high = padding[2 * back], padding[2 * back + 1]
        if low or high:
            x = _bordered(call, x, place, low, high)
    return x


def _bordered(call: Call, x: Positional, place: int, low: int, high: int) -> Positional:
    x = carrying(x, place)
    last = x.size(place) - 1
    into = call.fresh(last + 1 + low + high)
    at = positions(call, into) - low
    with call.builder:
        end = ops.size(value=last)
    if "reflection" in call.op:
        at = ops.abs(at)
        at = end - ops.abs(end - at)
    else:
        at = ops.minimum(ops.maximum(at, 0), end)
    term = ops.gather(x.term, at, axes=[x.dims[place]])
    return Positional(term, x.with_dim(place, into).dims)
