"""Values inside regions: where they are, handed out to the level above, handed in from there.

`expose` makes a value of a loop's body one more output of the loop, stacked over its steps.
`feed` makes a value of the level above one more operand of the body, which each step sees its own
row of. Both give the node that stands for the one with the regions; the values inside keep their
identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.levels import defined
from graftwork.ir.types import Type


@frozen(eq=False)
class Inside:
    """Where a value inside regions is.

    Attributes:
        maker: the node that defines it; None for what a region takes.
        around: the nodes whose regions it is in, the outermost first.
    """

    maker: Node | None
    around: tuple[Node, ...]

    @property
    def scanned(self) -> tuple[str, ...]:
        """The axes of the scans that it is in, the outermost first."""
        return tuple(str(n.attrs["axis"]) for n in self.around if n.op.name == "scan")


def insides(nodes: Iterable[Node], around: tuple[Node, ...] = ()) -> Iterator[tuple[Value, Inside]]:
    """Every value inside regions, with where it is."""
    for node in nodes:
        if not node.regions:
            continue
        within = (*around, node)
        for region in node.regions:
            yield from ((value, Inside(None, within)) for value in region.inputs)
            for inner in region.nodes:
                yield from ((value, Inside(inner, within)) for value in inner.outputs)
            yield from insides(region.nodes, within)


def copied(
    nodes: Iterable[Node],
    known: dict[Value, Value],
    changed: Callable[[Node], Node] = lambda node: node,
) -> tuple[Node, ...]:
    """Nodes again, with values of their own, so that edits can tell the two apart.

    Args:
        known: what they read -> what the copies read; grows by what they define.
        changed: what is copied instead of a node, with other attributes or another origin.
    """
    made = []
    for node in map(changed, nodes):
        inputs = tuple([known[v] for v in node.inputs])
        regions = tuple([copied_body(region, known, changed) for region in node.regions])
        outputs = _twins(node.outputs, known)
        made.append(Node(node.op, inputs, outputs, node.attrs, regions, node.origin))
    return tuple(made)


def copied_body(
    region: Region,
    known: dict[Value, Value],
    changed: Callable[[Node], Node] = lambda node: node,
) -> Region:
    """A region again, with values of its own; as `copied`."""
    inputs = _twins(region.inputs, known)
    nodes = copied(region.nodes, known, changed)
    return Region(inputs, nodes, tuple([known[v] for v in region.outputs]))


def _twins(values: Sequence[Value], known: dict[Value, Value]) -> tuple[Value, ...]:
    """New values like old ones."""
    twins = tuple([Value(value.type, value.name) for value in values])
    known.update(zip(values, twins, strict=True))
    return twins


class Nested:
    """Edits of one graph inside its regions, each carried out at once on the node at the top.

    Attributes:
        insides: where the values inside regions are; by what is around them in the old graph.
        now: node of the top level -> what stands for it.
    """

    def __init__(self, insides: Mapping[Value, Inside]) -> None:
        self.insides = dict(insides)
        self.now: dict[Node, Node] = {}
        self._fed: dict[tuple[Value, tuple[Node, ...]], Value] = {}

    def add(self, nodes: Sequence[Node]) -> None:
        """Know the regions of new nodes of the top level."""
        self.insides.update(insides(nodes))

    def expose(self, value: Value) -> Value:
        """What the top level has of a value, see `expose`."""
        top = self.insides[value].around[0]
        self.now[top], given = expose(self.now.get(top, top), value)
        return given

    def feed(self, value: Value, given: Value) -> Value:
        """What stands for `given` where a value is, see `feed`."""
        around = self.insides[value].around
        if (given, around) not in self._fed:
            node, row = feed(self.now.get(around[0], around[0]), value, given)
            self.now[around[0]], self._fed[given, around] = node, row
        return self._fed[given, around]

    def replace(self, value: Value, old: Node, made: Sequence[Node]) -> None:
        """Let nodes stand for the one that makes a value, on its level."""
        around = self.insides[value].around
        self.now[around[0]] = replace(self.now.get(around[0], around[0]), value, old, made)
        self.insides |= {v: Inside(node, around) for node in made for v in node.outputs}


def expose(node: Node, value: Value) -> tuple[Node, Value]:
    """A node that also gives a value of its regions, and what it gives: a row for each step.

    Raises:
        SelectionError: if the value is in a branch, or in a loop of unknown length.
    """
    number, holder = _level(node, value)
    if holder is not None:
        new, value = expose(holder, value)
        node = exchange(node, number, holder, (new,))
    if node.op.name not in ("scan", "call"):
        raise SelectionError(
            f"{value!r} is inside a {node.op.name!r} (from {node.origin}), which need not compute "
            f"it; read what the {node.op.name!r} gives"
        )
    (body,) = node.regions
    first = node.attrs["carry"] if node.op.name == "scan" else 0
    if value in body.outputs[first:]:
        return node, node.outputs[body.outputs.index(value, first)]
    along = (str(node.attrs["axis"]),) if node.op.name == "scan" else ()
    given = Value(Type(value.type.dtype, (*along, *value.axes)), value.name)
    body = Region(body.inputs, body.nodes, (*body.outputs, value))
    return evolve(node, outputs=(*node.outputs, given), regions=(body,)), given


def feed(node: Node, value: Value, given: Value) -> tuple[Node, Value]:
    """A node that also takes `given`, and what stands for that on the level of `value` inside.

    A scan over an axis of `given` takes it row by row; all else takes it whole.
    """
    number, holder = _level(node, value)
    attrs, place, of = node.attrs.as_dict(), len(node.inputs), given.type
    if node.op.name == "scan" and attrs["axis"] in of.axis_set:
        place, of = attrs["carry"] + attrs["xs"], of.without((attrs["axis"],))
        attrs["xs"] += 1
    rows = tuple(Value(of, given.name) for _ in node.regions)
    node = Node(
        node.op,
        _inserted(node.inputs, place, given),
        node.outputs,
        node.op.attributes(attrs),
        tuple(
            Region(_inserted(region.inputs, place, row), region.nodes, region.outputs)
            for region, row in zip(node.regions, rows, strict=True)
        ),
        node.origin,
    )
    if holder is None:
        return node, rows[number]
    new, inner = feed(holder, value, rows[number])
    return exchange(node, number, holder, (new,)), inner


def replace(node: Node, value: Value, old: Node, made: Sequence[Node]) -> Node:
    """A node with others in the place of one that stands on the level of `value` inside."""
    number, holder = _level(node, value)
    if holder is None:
        return exchange(node, number, old, made)
    return exchange(node, number, holder, (replace(holder, value, old, made),))


def exchange(node: Node, number: int, old: Node, made: Sequence[Node]) -> Node:
    """A node with others in the place of one in its region of that number."""
    region = node.regions[number]
    place = region.nodes.index(old)
    nodes = (*region.nodes[:place], *made, *region.nodes[place + 1 :])
    new = Region(region.inputs, nodes, region.outputs)
    return evolve(node, regions=(*node.regions[:number], new, *node.regions[number + 1 :]))


def _level(node: Node, value: Value) -> tuple[int, Node | None]:
    """Which region of a node a value is in, and the node there whose regions it is in, if any."""
    for number, region in enumerate(node.regions):
        if value in defined(region):
            return number, None
        for inner in region.nodes:
            if inner.regions and any(value is v for v, _ in insides((inner,))):
                return number, inner
    raise SelectionError(f"{value!r} is not inside the {node.op.name!r} from {node.origin}")


def _inserted(values: tuple[Value, ...], place: int, value: Value) -> tuple[Value, ...]:
    return (*values[:place], value, *values[place:])
