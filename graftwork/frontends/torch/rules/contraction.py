"""Matrix products of every kind: one contraction over the axes that two operands share."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from graftwork.frontends.torch.dtypes import Operand, lifted
from graftwork.frontends.torch.rules.elementwise import operation, pointwise, scaled
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.views import diagonal_of
from graftwork.ir import ops
from graftwork.ir.positional import Label, Positional, carrying, matched


def contracted(
    a: tuple[Positional, Sequence[Label]],
    b: tuple[Positional, Sequence[Label]],
    out: Sequence[Label],
) -> Positional:
    """The sum of products over the labels that both operands have and the result lacks."""
    (x, xs), (y, ys) = a, b
    shared = [label for label in xs if label in ys and label not in out]
    for label in shared:
        p, q = xs.index(label), ys.index(label)
        if x.dims[p] is not None or y.dims[q] is not None:
            x, y = carrying(x, p), carrying(y, q)
    (left, right), axes = matched((x, xs), (y, ys))
    over = [axis for label in shared if (axis := axes[label]) is not None]
    if not over:
        product = operation("mul", left.dtype)(left.term, right.term)
        return Positional(product, tuple(axes[label] for label in out))
    term = ops.contract(left.term, right.term, over=over)
    return Positional(term, tuple(axes[label] for label in out))


@rule("aten.matmul")
def matmul(call: Call, self: Positional, other: Positional) -> Positional:
    """The product of the last two dimensions; those before are broadcast."""
    a, b = _matrix_labels(self, "row"), _matrix_labels(other, "column", flipped=True)
    batch = [i for i in range(-max(len(a), len(b)), 0) if i in a or i in b]
    out = [*batch, *(label for label in (*a, *b) if label in ("row", "column"))]
    return contracted((self, a), (other, b), out)


def _matrix_labels(x: Positional, free: str, *, flipped: bool = False) -> list[Label]:
    if x.rank == 1:
        return ["inner"]
    matrix = ["inner", free] if flipped else [free, "inner"]
    return [*range(2 - x.rank, 0), *matrix]


@rule("aten.mm", "aten.bmm", "aten.mv", "aten.dot")
def plain_matmul(call: Call, self: Positional, other: Positional) -> Positional:
    """Products of matrices and vectors without broadcasting."""
    return matmul(call, self, other)


@rule("aten.addbmm")
def addbmm(
    call: Call,
    self: Positional,
    batch1: Positional,
    batch2: Positional,
    beta: float = 1,
    alpha: float = 1,
) -> Positional:
    """A sum of matrix products added to another tensor."""
    rows: list[Label] = ["batch", "row", "inner"]
    columns: list[Label] = ["batch", "inner", "column"]
    total = contracted((batch1, rows), (batch2, columns), ["row", "column"])
    return _added(call, total, self, beta, alpha)


@rule("aten.addmm", "aten.addmv", "aten.baddbmm", "aten.addr")
def addmm(
    call: Call,
    self: Positional,
    mat1: Positional,
    mat2: Positional,
    beta: float = 1,
    alpha: float = 1,
) -> Positional:
    """A matrix product added to another tensor."""
    product = outer(call, mat1, mat2) if "addr" in call.op else matmul(call, mat1, mat2)
    return _added(call, product, self, beta, alpha)


def _added(call: Call, product: Operand, self: Operand, beta: float, alpha: float) -> Positional:
    product = scaled(call, product, alpha, call.dtype)
    if beta == 0:
        return pointwise(call, lambda x: x, product, dtype=call.dtype)
    add = operation("add", call.dtype)
    return pointwise(call, add, product, scaled(call, self, beta, call.dtype), dtype=call.dtype)


@rule("aten.linear")
def linear(
    call: Call, input: Positional, weight: Positional, bias: Positional | None = None
) -> Positional:
    """x @ weight.T + bias."""
    x = [*range(input.rank - 1), "in"]
    w: list[Label] = ["out", "in"] if weight.rank == 2 else ["in"]
    out = [*x[:-1], *w[:-1]]
    if input.dims[-1] is None and weight.dims[-1] is None:
        product = contracted((input, x), (weight, w), out)
        dtype = product.dtype
        return product if bias is None else pointwise(call, ops.add, product, bias, dtype=dtype)
    operands: list[tuple[Positional, Sequence[Label]]] = [
        (carrying(input, input.rank - 1), x),
        (carrying(weight, weight.rank - 1), w),
    ]
    if bias is not None:
        operands.append((bias, w[:-1]))
    found, axes = matched(*operands)
    term = ops.linear(*(x.term for x in found), over=[axes["in"]])
    return Positional(term, tuple(axes[label] for label in out))


@rule("aten.outer")
def outer(call: Call, self: Positional, vec2: Positional) -> Positional:
    """All products of two vectors."""
    x, y = (lifted(call.builder, z, call.dtype) for z in (self, vec2))
    return contracted((x, ["row"]), (y, ["column"]), ["row", "column"])


@rule("aten.einsum")
def einsum(
    call: Call, equation: str, tensors: Sequence[Positional], path: Sequence[int] | None = None
) -> Positional:
    """Einstein's summation: letters that the result lacks are summed over."""
    labels, out = _einsum_labels(equation.replace(" ", ""), tensors)
    (x, current), *rest = (_once(x, each) for x, each in zip(tensors, labels, strict=True))
    for number, (y, theirs) in enumerate(rest, start=2):
        later = {label for each in labels[number:] for label in each} | set(out)
        x, current = _summed(x, current, later | set(theirs))
        y, theirs = _summed(y, theirs, later | set(current))
        kept = [label for label in dict.fromkeys((*current, *theirs)) if label in later]
        x, current = contracted((x, current), (y, theirs), kept), kept
    x, current = _summed(x, current, set(out))
    return Positional(x.term, tuple(x.dims[current.index(label)] for label in out))


@rule("aten._trilinear")
def trilinear(
    call: Call,
    i1: Positional,
    i2: Positional,
    i3: Positional,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    unroll_dim: int = 1,
) -> Positional:
    """The product of three tensors with dimensions put in, summed over some."""
    words = ascii_lowercase[: i1.rank + len(expand1)]

    def without(places: Sequence[int]) -> str:
        return "".join(word for place, word in enumerate(words) if place not in places)

    terms = ",".join(map(without, (expand1, expand2, expand3)))
    return einsum(call, f"{terms}->{without(sumdim)}", (i1, i2, i3))


def _summed(x: Positional, labels: list[Label], kept: set[Label]) -> tuple[Positional, list[Label]]:
    """Sum over the dimensions whose labels are not kept."""
    gone = [place for place, label in enumerate(labels) if label not in kept]
    if not gone:
        return x, labels
    bound = [place for place in gone if x.dims[place] is not None]
    x = carrying(x, *bound) if bound else x
    term = ops.sum(x.term, over=[x.dims[p] for p in bound]) if bound else x.term
    places = [place for place in range(x.rank) if place not in gone]
    return Positional(term, tuple(x.dims[p] for p in places)), [labels[p] for p in places]


def _once(x: Positional, labels: list[Label]) -> tuple[Positional, list[Label]]:
    """The diagonal over the dimensions that have one label."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal_of(x, first, second, 0, x.size(first))
            labels = [*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], label]
    return x, labels


def _einsum_labels(
    equation: str, tensors: Sequence[Positional]
) -> tuple[list[list[Label]], list[Label]]:
    """The labels of each operand's dimensions and of the result's."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    labels = [_spread(term, x.rank) for term, x in zip(terms, tensors, strict=True)]
    dots = max((sum(isinstance(i, int) for i in each) for each in labels), default=0)
    ellipsis: list[Label] = list(range(-dots, 0))
    if not arrow:
        letters = [c for c in left if c.isalpha()]
        once: list[Label] = [*sorted(c for c in set(letters) if letters.count(c) == 1)]
        return labels, [*ellipsis, *once]
    before, dotted, after = right.partition("...")
    return labels, [*before, *(ellipsis if dotted else []), *after]


def _spread(term: str, rank: int) -> list[Label]:
    """`b...q` as labels: letters, and numbers from the right for the dots."""
    before, dots, after = term.partition("...")
    count = rank - len(before) - len(after) if dots else 0
    return [*before, *range(-count, 0), *after]
