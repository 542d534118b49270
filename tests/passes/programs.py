"""Random programs over positions, written with fresh axes and renames as frontends write them."""

import numpy as np
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph, Parameter, Port
from graftwork.ir.positional import Positional, aligned, carrying_axes, fresh, matched, renamed
from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import symbol
from graftwork.ir.store import Store
from graftwork.ir.types import Typing

SYMBOLS = {"n": 4}


def place(draw, x):
    return draw(st.integers(0, x.rank - 1))


def value_of(x, position):
    """The extent that a size has in these tests."""
    return evaluate(x.size(position), SYMBOLS)


def unary(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    op = draw(st.sampled_from([ops.tanh, ops.neg, ops.sin]))
    return Positional(op(x.term), x.dims)


def binary(draw, pool, typing):
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    shared = min(x.rank, y.rank)
    if any(x.size(x.rank - i) != y.size(y.rank - i) for i in range(1, shared + 1)):
        return None
    terms, dims = aligned(x, y)
    return Positional(draw(st.sampled_from([ops.add, ops.mul]))(*terms), dims)


def transpose(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    return Positional(x.term, tuple(draw(st.permutations(x.dims))))


def matmul(draw, pool, typing):
    """The last dimension of one with any of another."""
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    if not x.rank or not y.rank or x.rank + y.rank > 5:
        return None
    i, j = place(draw, x), place(draw, y)
    if x.size(i) != y.size(j):
        return None
    left = [("x", p) if p != i else "k" for p in range(x.rank)]
    right = [("y", p) if p != j else "k" for p in range(y.rank)]
    (a, b), chosen = matched((carrying_axes(x), left), (carrying_axes(y), right))
    over = chosen["k"]
    dims = [chosen[label] for label in (*left, *right) if label != "k"]
    return Positional(ops.contract(a.term, b.term, over=over), tuple(dims))


def reduce(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    if not x.rank:
        return None
    x = carrying_axes(x)
    i = place(draw, x)
    if draw(st.booleans()):
        return Positional(ops.softmax(x.term, axis=x.dims[i]), x.dims)
    return Positional(x.term.sum(x.dims[i]), (*x.dims[:i], *x.dims[i + 1 :]))


def split(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    even = [i for i in range(x.rank) if x.size(i) in (4, 16)]
    if not even:
        return None
    x = carrying_axes(x)
    i = draw(st.sampled_from(even))
    half = 2 if x.size(i) == 4 else 4
    parts = tuple(fresh(typing, half) for _ in range(2))
    term = ops.split(x.term, axis=x.dims[i], into=parts, sizes=(half, half))
    return Positional(term, x.with_dim(i, *parts).dims)


def merge(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    if x.rank < 2:
        return None
    x = carrying_axes(x)
    i = draw(st.integers(0, x.rank - 2))
    size = x.size(i) * x.size(i + 1)
    if not isinstance(size, int) or size > 16:
        return None
    whole = fresh(typing, size)
    term = ops.merge(x.term, axes=x.dims[i : i + 2], into=whole)
    return Positional(term, (*x.dims[:i], whole, *x.dims[i + 2 :]))


def expand(draw, pool, typing):
    x = draw(st.sampled_from(pool))
    size = draw(st.sampled_from([2, 4]))
    return Positional(x.term, (fresh(typing, size), *x.dims))


def concat(draw, pool, typing):
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    if not x.rank or x.rank != y.rank:
        return None
    x, y = carrying_axes(x), carrying_axes(y)
    i = place(draw, x)
    sizes = (value_of(x, i), value_of(y, i))
    if sum(sizes) > 8 or any(x.size(p) != y.size(p) for p in range(x.rank) if p != i):
        return None
    labels = [[p if p != i else (name, p) for p in range(x.rank)] for name in "xy"]
    (a, b), _ = matched((x, labels[0]), (y, labels[1]))
    into = fresh(typing, x.size(i) + y.size(i))
    term = ops.concat(a.term, b.term, axes=(a.dims[i], b.dims[i]), into=into)
    return Positional(term, (*a.dims[:i], into, *a.dims[i + 1 :]))


def take(draw, pool, typing):
    """A slice, an index or a gather at positions that run along another axis."""
    x = draw(st.sampled_from(pool))
    if not x.rank:
        return None
    x = carrying_axes(x)
    i = place(draw, x)
    axis, kind = x.dims[i], draw(st.sampled_from(["slice", "index", "iota", "ids"]))
    rest = (*x.dims[:i], *x.dims[i + 1 :])
    if kind == "index":
        return Positional(ops.index(x.term, axis=axis, at=draw(st.integers(0, 1))), rest)
    if kind == "slice":
        into = fresh(typing, 2)
        term = ops.slice_(x.term, axis=axis, start=0, stop=2, into=into)
        return Positional(term, x.with_dim(i, into).dims)
    into = fresh(typing, x.size(i))
    ids = ops.iota(axis=into)
    if kind == "ids":
        ids = ops.sub(value_of(x, i) - 1, ids) if draw(st.booleans()) else ids * 0
    return Positional(ops.gather(x.term, ids, axes=(axis,)), x.with_dim(i, into).dims)


def attention(draw, pool, typing):
    """Attention of one value to itself: what keeps queries and keys apart."""
    x = draw(st.sampled_from(pool))
    if x.rank < 2:
        return None
    x = carrying_axes(x)
    *lead, query, inner = x.dims
    key, other = fresh(typing, x.size(x.rank - 2)), fresh(typing, x.size(x.rank - 1))
    keys = renamed(x.term, {query: key})
    values = renamed(x.term, {query: key, inner: other})
    out = ops.attention(x.term, keys, values, over=inner, key=key, scale=0.5)
    return Positional(out, (*lead, query, other))


def loop(draw, pool, typing):
    """A scan over one axis that carries a running sum."""
    x = draw(st.sampled_from(pool))
    if not 1 <= x.rank <= 3:
        return None
    x = carrying_axes(x)
    i = place(draw, x)
    axis, rest = x.dims[i], tuple(a for a in x.dims if a != x.dims[i])
    body = Builder(typing)
    twin = {a: fresh(typing, typing.size(a)) for a in rest}
    carry, row = (body.input(x.dtype, tuple(twin.values())) for _ in range(2))
    from graftwork.ir.graph import Region

    back = renamed(ops.tanh(row), {b: a for a, b in twin.items()})
    again = carry + renamed(back, twin)
    region = Region((carry.value, row.value), tuple(body.nodes), (again.value, again.value))
    start = renamed(x.term.sum(axis), twin)
    rows = renamed(x.term, twin)
    attrs = {"axis": axis, "carry": 1, "xs": 1, "reverse": False}
    _, ys = x.term.builder.emit(ops.scan, (start, rows), attrs, (region,))
    return Positional(ys, tuple(twin.get(a, a) for a in x.dims))


STEPS = [
    unary, binary, binary, transpose, matmul, matmul, reduce, split, merge, expand, concat, take,
    take, attention, loop,
]  # fmt: skip


@st.composite
def programs(draw, steps=STEPS, most=12):
    """A graph as a frontend leaves it, with a store of random parameters."""
    typing = Typing({})
    builder = Builder(typing)
    entries = []
    with builder:
        for number in range(draw(st.integers(1, 4))):
            sizes = draw(st.lists(st.sampled_from([2, 4, symbol("n")]), min_size=1, max_size=3))
            dims = tuple(fresh(typing, size) for size in sizes)
            entries.append(Positional(builder.input("f64", dims, f"x{number}"), dims))
        pool = list(entries)
        for _ in range(draw(st.integers(1, most))):
            made = draw(st.sampled_from(steps))(draw, pool, typing)
            if made is not None and made.rank <= 5:
                pool.append(made)
        results = [carrying_axes(x) for x in pool[-2:]]
    return _graph(draw, builder, entries, results)


def _graph(draw, builder, entries, results):
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    count = draw(st.integers(0, len(entries)))
    ports = [Port(x.term.value.name, x.term.value, x.dims) for x in entries[count:]]
    weights = [Parameter(x.term.value.name, x.term.value, x.dims) for x in entries[:count]]
    arrays = {
        x.term.value.name: rng.standard_normal([value_of(x, i) for i in range(x.rank)])
        for x in entries[:count]
    }
    return Graph(
        tuple(ports),
        tuple(weights),
        tuple(builder.nodes),
        tuple(Port(f"y{i}", x.term.value, x.dims) for i, x in enumerate(results)),
        builder.typing.table,
        Store((arrays,)),
    )


def outputs(graph, seed=0):
    """The outputs of a run of a graph on random inputs, by position."""
    rng = np.random.default_rng(seed)
    symbols = dict.fromkeys(graph.symbols, SYMBOLS["n"])

    def extent(axis):
        return evaluate(graph.axes[axis], SYMBOLS) if axis is not None else 1

    inputs = {
        port.name: NamedArray(rng.standard_normal([extent(a) for a in port.layout]), port.layout)
        for port in graph.inputs
    }
    return {name: np.asarray(array) for name, array in run(graph, inputs, symbols).items()}


def assert_same(before, after):
    """Bitwise the same outputs."""
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def assert_close(before, after):
    """The same outputs to the rounding of float64."""
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_allclose(before[name], after[name], rtol=1e-9, atol=1e-9, err_msg=name)
