"""Cancelling renames, splits, merges and broadcasts against one another and against what they meet.

Every rule here is exact: a view moves no number. Two of them stand on the law that ops map over
axes that they do not bind: a broadcast before an op that broadcasts by itself is dropped, and one
that no other operand makes up for moves behind the op, which then computes less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any, ClassVar

from attrs import frozen

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.sizes import Size
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import ANY, Rules, Sight, simplify

# --- renames ------------------------------------------------------------------------------------


def _renamed(sight: Sight, x: Value, axes: Mapping[str, str]) -> Value:
    """x with axes renamed; x itself where that changes nothing."""
    changed = {old: new for old, new in axes.items() if old != new}
    return sight.make("rename", x, axes=changed) if changed else x


def plain_rename(sight: Sight, node: Node) -> Value | None:
    """rename(x, {a: a}) = x."""
    pairs = node.attrs["axes"]
    if all(old != new for old, new in pairs) and pairs:
        return None
    return _renamed(sight, node.inputs[0], dict(pairs))


def rename_of_rename(sight: Sight, node: Node) -> Value | None:
    """rename(rename(x, {a: b}), {b: c}) = rename(x, {a: c})."""
    inner = sight.maker(node.inputs[0], "rename")
    if inner is None:
        return None
    outer: dict[str, str] = dict(node.attrs["axes"])
    (x,) = inner.inputs
    first: dict[str, str] = dict(inner.attrs["axes"])
    names = ((axis, first.get(axis, axis)) for axis in x.axes)
    return _renamed(sight, x, {axis: outer.get(now, now) for axis, now in names})


def rename_of_meeting(sight: Sight, node: Node) -> Value | None:
    """rename(op(x, rename(y, {a: b})), {b: a}) = op(rename(x, {b: a}), y).

    So two operands that meet in b go on in a, where the op is elementwise and has no other reader.
    """
    inner = sight.maker(node.inputs[0])
    if inner is None or "elementwise" not in inner.op.traits or not sight.alone(inner.output):
        return None
    names: dict[str, str] = dict(node.attrs["axes"])
    touched = [x for x in inner.inputs if not x.type.axis_set.isdisjoint(names)]
    undone = [x for x in touched if _undoes(sight.maker(x, "rename"), names)]
    if not undone or len(touched) > 2 * len(undone):
        return None
    operands = (
        _renamed(sight, x, {old: new for old, new in names.items() if old in x.type.axis_set})
        for x in inner.inputs
    )
    return sight.make(inner.op.name, *operands, **inner.attrs.as_dict())


def _undoes(rename: Node | None, names: Mapping[str, str]) -> bool:
    """Whether a rename is undone by renaming again."""
    return rename is not None and all(names.get(new) == old for old, new in rename.attrs["axes"])


def rename_of_creation(sight: Sight, node: Node) -> Value | None:
    """What is made out of nothing is made under its new names."""
    inner = sight.maker(node.inputs[0])
    if inner is None or inner.op.name not in ("constant", "iota"):
        return None
    names = dict(node.attrs["axes"])
    attrs = inner.op.rename_axes(inner.attrs, lambda axis: names.get(axis, axis))
    return sight.make(inner.op.name, **attrs.as_dict())


# --- splits and merges --------------------------------------------------------------------------


def _sizes(sight: Sight, axes: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(map(sight.size, axes))


def split_of_merge(sight: Sight, node: Node) -> Value | None:
    """split(merge(x, (a, b) -> c), c -> (d, e)) = rename(x, {a: d, b: e}) of equal sizes.

    Where products of sizes are equal, as of (a, b) and (d, e, f) where b is e f, each stretch is
    split or merged by itself.
    """
    inner = sight.maker(node.inputs[0], "merge")
    if inner is None or inner.attrs["into"] != node.attrs["axis"]:
        return None
    (x,) = inner.inputs
    old, new, sizes = inner.attrs["axes"], node.attrs["into"], node.attrs["sizes"]
    if _sizes(sight, old) == sizes:
        return _renamed(sight, x, dict(zip(old, new, strict=True)))
    stretches = list(_stretches(_sizes(sight, old), sizes))
    pairs = [(old[a], new[b]) for a, b in stretches]
    taken = x.type.axis_set - {axes[0] for axes, parts in pairs if axes == parts}
    apart = len(pairs) > 1 and all(1 in (len(axes), len(parts)) for axes, parts in pairs)
    if not apart or not taken.isdisjoint(new):
        return None
    for (axes, parts), (_, place) in zip(pairs, stretches, strict=True):
        if len(parts) > 1:
            x = sight.make("split", x, axis=axes[0], into=parts, sizes=sizes[place])
        elif len(axes) > 1:
            x = sight.make("merge", x, axes=axes, into=parts[0])
        else:
            x = _renamed(sight, x, {axes[0]: parts[0]})
    return x


def _stretches(old: Sequence[Size], new: Sequence[Size]) -> Iterator[tuple[slice, slice]]:
    """Where stretches of sizes lie that have the same product, as short as they can be."""
    ends: dict[Size, int] = {}
    for end, product in enumerate(accumulate(old, mul), start=1):
        ends.setdefault(product, end)
    a = b = 0
    for place, product in enumerate(accumulate(new, mul), start=1):
        end = len(old) if place == len(new) else ends.get(product, 0)
        if end > a:
            yield slice(a, end), slice(b, place)
            a, b = end, place


def merge_of_split(sight: Sight, node: Node) -> Value | None:
    """merge(split(x, a -> (b, c)), (b, c, d) -> e) = merge(x, (a, d) -> e)."""
    inner = sight.maker(node.inputs[0], "split")
    if inner is None:
        return None
    parts, axes = inner.attrs["into"], node.attrs["axes"]
    size = len(parts)
    start = next((i for i in range(len(axes)) if axes[i : i + size] == parts), None)
    if start is None:
        return None
    whole = (*axes[:start], inner.attrs["axis"], *axes[start + size :])
    return sight.make("merge", inner.inputs[0], axes=whole, into=node.attrs["into"])


def single_split(sight: Sight, node: Node) -> Value | None:
    """Into one part, a split is a rename."""
    into = node.attrs["into"]
    if len(into) != 1:
        return None
    return _renamed(sight, node.inputs[0], {node.attrs["axis"]: into[0]})


def single_merge(sight: Sight, node: Node) -> Value | None:
    """Of one axis, a merge is a rename."""
    axes = node.attrs["axes"]
    if len(axes) != 1:
        return None
    return _renamed(sight, node.inputs[0], {axes[0]: node.attrs["into"]})


def split_of_split(sight: Sight, node: Node) -> Value | None:
    """Parts split again are parts of one split, unless the outer name comes back."""
    inner = sight.maker(node.inputs[0], "split")
    axis = node.attrs["axis"]
    if inner is None or axis not in inner.attrs["into"]:
        return None
    parts: list[str] = []
    sizes: list[Any] = []
    for part, size in zip(inner.attrs["into"], inner.attrs["sizes"], strict=True):
        here = part == axis
        parts += node.attrs["into"] if here else (part,)
        sizes += node.attrs["sizes"] if here else (size,)
    return sight.make(
        "split", inner.inputs[0], axis=inner.attrs["axis"], into=tuple(parts), sizes=tuple(sizes)
    )


def merge_of_merge(sight: Sight, node: Node) -> Value | None:
    """What was merged and is merged again is merged once."""
    inner = sight.maker(node.inputs[0], "merge")
    if inner is None or inner.attrs["into"] not in node.attrs["axes"]:
        return None
    flat: list[str] = []
    for axis in node.attrs["axes"]:
        flat += inner.attrs["axes"] if axis == inner.attrs["into"] else (axis,)
    if len(set(flat)) != len(flat):
        return None
    return sight.make("merge", inner.inputs[0], axes=tuple(flat), into=node.attrs["into"])


# --- broadcasts ---------------------------------------------------------------------------------


def plain_broadcast(sight: Sight, node: Node) -> Value | None:
    """A broadcast to no axes is nothing, and two are one."""
    (x,) = node.inputs
    if not node.attrs["axes"]:
        return x
    inner = sight.maker(x, "broadcast")
    if inner is None:
        return None
    return sight.make("broadcast", inner.inputs[0], axes=node.attrs["axes"] + inner.attrs["axes"])


def _outside(sight: Sight, x: Value, bound: frozenset[str]) -> tuple[Value, frozenset[str]]:
    """x before it was broadcast, and to which axes, if it was and none of them is bound."""
    inner = sight.maker(x, "broadcast")
    axes = frozenset(inner.attrs["axes"]) if inner is not None else frozenset[str]()
    return (inner.inputs[0], axes) if inner is not None and not axes & bound else (x, frozenset())


def broadcast_behind(sight: Sight, node: Node) -> Value | None:
    """op(broadcast(x, a), y) = broadcast(op(x, y), a) where the op does not bind a."""
    if not any(sight.maker(x, "broadcast") for x in node.inputs):
        return None
    if node.regions or len(node.outputs) != 1 or node.op.name == "broadcast":
        return None
    bound = frozenset(node.op.named_axes(node.attrs))
    plain = [_outside(sight, x, bound) for x in node.inputs]
    spread = frozenset().union(*(axes for _, axes in plain))
    if not spread:
        return None
    result = sight.make(node.op.name, *(x for x, _ in plain), **node.attrs.as_dict())
    missing = node.output.type.axis_set - result.type.axis_set
    return sight.make("broadcast", result, axes=tuple(missing)) if missing else result


def index_of_broadcast(sight: Sight, node: Node) -> Value | None:
    """One of equal rows is the row."""
    inner = sight.maker(node.inputs[0], "broadcast")
    axis = node.attrs["axis"]
    if inner is None or axis not in inner.attrs["axes"]:
        return None
    rest = tuple(a for a in inner.attrs["axes"] if a != axis)
    return sight.make("broadcast", inner.inputs[0], axes=rest)


_TAKEN: Mapping[str, Callable[[Attrs], Iterable[str]]] = {
    "rename": lambda attrs: (old for old, _ in attrs["axes"]),
    "split": lambda attrs: (attrs["axis"],),
    "merge": lambda attrs: attrs["axes"],
    "slice": lambda attrs: (attrs["axis"],),
}


def view_of_broadcast(sight: Sight, node: Node) -> Value | None:
    """Where all axes that a view takes are broadcast, its own are broadcast instead."""
    inner = sight.maker(node.inputs[0], "broadcast")
    if inner is None or not frozenset(_TAKEN[node.op.name](node.attrs)) <= {*inner.attrs["axes"]}:
        return None
    (x,) = inner.inputs
    return sight.make("broadcast", x, axes=tuple(node.output.type.axis_set - x.type.axis_set))


RENAMES: Rules = {"rename": (plain_rename,)}
VIEWS: Rules = {
    "rename": (
        plain_rename,
        rename_of_rename,
        rename_of_creation,
        view_of_broadcast,
        rename_of_meeting,
    ),
    "split": (single_split, split_of_merge, split_of_split, view_of_broadcast),
    "merge": (single_merge, merge_of_split, merge_of_merge, view_of_broadcast),
    "slice": (view_of_broadcast,),
    "index": (index_of_broadcast,),
    "broadcast": (plain_broadcast,),
    ANY: (broadcast_behind,),
}


@frozen
class CancelViews(Pass):
    """Take out renames, splits, merges and broadcasts that cancel or that nobody needs."""

    promise: ClassVar[str] = "bitwise"

    def __call__(self, graph: Graph) -> Graph:
        return simplify(graph, "CancelViews", VIEWS)
