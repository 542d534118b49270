"""What every graph obeys. Checked after every pass, and in full when a graph is read from text.

1. A value is defined once at its level, before it is read there; regions read nothing from outside.
2. The axes of a value are distinct and in the axis table, whose sizes are expressions or integers
   from 0 up.
3. The outputs of a node have the types that the op's rule gives, up to the order of axes.
4. The attributes of a node are those of its op, in their canonical form.
5. A node holds the regions that its op names, with the signatures that the op's rule demands.
6. The names of inputs, outputs and parameters are unique (those of parameters with their
   aliases), a layout names exactly the axes of its value, and the arrays of parameters are in the
   store (which may be empty: a graph without its arrays).
7. Sites and the ends of spans are values of the graph, or inside composites that define such
   values; the roles of a site are axes of what it leads to, and its steps are steps of the scans
   that it is in.
8. The outputs of a graph or region are defined there.
9. An op has as many operands as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graftwork.ir.errors import GraftworkError, VerificationError
from graftwork.ir.graph import Graph, Node, Parameter, Port, Region, Value
from graftwork.ir.infer import expand, infer
from graftwork.ir.levels import levels
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sites import Place, Site
from graftwork.ir.sizes import Size, SizeExpr
from graftwork.ir.types import Type, Typing

# What a type rule may raise when attributes are legal one by one but not together.
_REFUSALS = (GraftworkError, ArithmeticError, LookupError, TypeError, ValueError)


def _origin_of(part: object) -> str:
    origin = part.origin if isinstance(part, Node) else UNKNOWN
    return "" if origin == UNKNOWN else f"from {origin}"


def verify(
    graph: Graph, since: Graph | None = None, *, where: Callable[[object], str] = _origin_of
) -> None:
    """Check the invariants of a graph.

    Args:
        graph: the graph to check.
        since: a verified graph that it was made from. Nodes that both have are not checked by
            themselves again (invariants 2 to 5 and 9), unless an axis has gone or changed its size.
        where: says where a node, port, parameter or site comes from, for messages.

    Raises:
        VerificationError: names the invariant, the node and where it comes from.
    """
    known: frozenset[Node] = frozenset()
    if since is not None and all(graph.axes.get(a) == size for a, size in since.axes.items()):
        known = frozenset(since.nodes)
    checker = _Checker(graph, where)
    checker.table()
    levels = [graph.region]
    while levels:
        levels += checker.level(levels.pop(), known)
    checker.ports()
    checker.sites()


def unproven(graph: Graph) -> tuple[tuple[str, Size, Origin], ...]:
    """The equations between sizes that only a run can check: axis, its other size, and where.

    Raises:
        AxisError, DTypeError: if the graph is ill-typed.
    """
    typing = Typing(graph.axes, closed=True)
    origins: dict[tuple[str, Size], Origin] = {}
    for node in graph.walk():
        seen = len(typing.unproven)
        infer(typing, node.op, node.attrs, [v.type for v in node.inputs], node.regions)
        for equation in typing.unproven[seen:]:
            origins.setdefault(equation, node.origin)
    return tuple((axis, size, origin) for (axis, size), origin in origins.items())


class _Checker:
    """The checks, and their memo: equal nodes of equal layers are checked once."""

    def __init__(self, graph: Graph, where: Callable[[object], str]) -> None:
        self.graph = graph
        self.where = where
        self.typing = Typing(graph.axes, closed=True)
        self.types: set[Type] = set()
        self.sound: set[object] = set()

    def failure(self, invariant: int, reason: object, part: object = None) -> VerificationError:
        from graftwork.ir.text.printer import node_text

        told = f" in `{node_text(part)}`" if isinstance(part, Node) else ""
        place = self.where(part)
        return VerificationError(
            f"invariant {invariant} is broken{told}: {reason}{f' ({place})' if place else ''}"
        )

    def table(self) -> None:
        for axis, size in self.graph.axes.items():
            if not isinstance(size, SizeExpr) and (type(size) is not int or size < 0):
                raise self.failure(2, f"axis {axis!r} has the size {size!r}")

    # Levels and nodes

    def level(self, region: Region, known: frozenset[Node]) -> list[Region]:
        """Check one level; the regions of its nodes that are to be checked next."""
        defined = set(region.inputs)
        count = len(region.inputs)
        top = region is self.graph.region
        parts = (*self.graph.inputs, *self.graph.parameters) if top else region.inputs
        for value, part in zip(region.inputs, parts, strict=True):
            self.type(value.type, part)
        inner: list[Region] = []
        for node in region.nodes:
            if not defined.issuperset(node.inputs):
                missing = [value for value in node.inputs if value not in defined]
                raise self.failure(1, f"{_listed(missing)} is read before it is defined", node)
            defined.update(node.outputs)
            count += len(node.outputs)
            if node not in known:
                self.node(node)
                inner += node.regions
        if count != len(defined):
            self.once(region)
        if not defined.issuperset(region.outputs):
            missing = [value for value in region.outputs if value not in defined]
            raise self.failure(8, f"nothing defines the output {_listed(missing)}")
        return inner

    def once(self, region: Region) -> None:
        """Find the value that is defined twice."""
        defined: set[Value] = set()
        for value in region.inputs:
            if value in defined:
                raise self.failure(1, f"{value!r} is two inputs")
            defined.add(value)
        for node in region.nodes:
            for value in node.outputs:
                if value in defined:
                    raise self.failure(1, f"{value!r} is defined a second time", node)
                defined.add(value)

    def type(self, of: Type, part: object = None) -> None:
        if of in self.types:
            return
        if len(of.axis_set) != len(of.axes):
            raise self.failure(2, f"{of!r} has an axis twice", part)
        for axis in of.axes:
            if axis not in self.graph.axes:
                raise self.failure(2, f"axis {axis!r} of {of!r} is not in the axis table", part)
        self.types.add(of)

    def node(self, node: Node) -> None:
        operands = [value.type for value in node.inputs]
        outputs = [value.type for value in node.outputs]
        key = (node.op, node.attrs, *operands, "->", *outputs)
        if key in self.sound and not node.regions:
            return
        results = self.rule(node, operands)
        if len(results) != len(outputs) or not all(
            is_.same(ought) for is_, ought in zip(outputs, results, strict=True)
        ):
            ought = _listed(results) if results else "no output"
            raise self.failure(3, f"its rule gives {ought}, not {_listed(outputs)}", node)
        for of in outputs:
            self.type(of, node)
        self.sound.add(key)

    def rule(self, node: Node, operands: Sequence[Type]) -> tuple[Type, ...]:
        """The types that the op gives."""
        op = node.op
        try:
            op.check_arity(len(operands))
        except GraftworkError as error:
            raise self.failure(9, error, node) from error
        try:
            legal = op.attributes(node.attrs.as_dict())
        except GraftworkError as error:
            raise self.failure(4, error, node) from error
        if legal != node.attrs:
            raise self.failure(4, f"the canonical form is {legal!r}", node)
        if len(node.regions) != len(op.regions):
            held = f"it holds {len(node.regions)} regions"
            raise self.failure(5, f"{held}, where {op.name} has ({', '.join(op.regions)})", node)
        try:
            return infer(self.typing, op, node.attrs, operands, node.regions)
        except _REFUSALS as error:
            raise self.failure(5 if node.regions else 3, error, node) from error

    # Ports

    def ports(self) -> None:
        graph = self.graph
        self.names("inputs", [(port.name, port) for port in graph.inputs])
        self.names("outputs", [(port.name, port) for port in graph.outputs])
        self.names("parameters", [(n, p) for p in graph.parameters for n in (p.name, *p.aliases)])
        stored = frozenset(graph.store)
        ports: tuple[Port | Parameter, ...] = (*graph.inputs, *graph.parameters, *graph.outputs)
        for port in ports:
            named = [axis for axis in port.layout if axis is not None]
            axes = port.value.type.axis_set
            if len(named) != len(axes) or frozenset(named) != axes:
                reason = f"{port.name!r} has the layout {port.layout}, but is {port.value.type!r}"
                raise self.failure(6, reason, port)
            if isinstance(port, Parameter) and stored and port.name not in stored:
                raise self.failure(6, f"the store has no array for {port.name!r}", port)

    def names(self, kind: str, named: Iterable[tuple[str, Port | Parameter]]) -> None:
        seen: set[str] = set()
        for name, part in named:
            if name in seen:
                raise self.failure(6, f"two {kind} have the name {name!r}", part)
            seen.add(name)

    # Sites and spans

    def sites(self) -> None:
        sites = self.graph.sites
        spans = [(path, span.start, span) for path, span in sites.spans.items()]
        spans += [(path, span.end, span) for path, span in sites.spans.items()]
        named = [(path, site.place, site) for path, site in sites.items()]
        makers = self.makers({place.value for _, place, _ in (*named, *spans)})
        for path, place, part in (*named, *spans):
            value = self.inside(path, place, part, makers)
            for role, axis in part.roles.items() if isinstance(part, Site) else ():
                if axis not in value.type.axis_set:
                    reason = f"{path!r} is {value!r}, which has no axis {axis!r} (role {role!r})"
                    raise self.failure(7, reason, part)
            if place.steps:
                self.steps(path, place, part)

    def steps(self, path: str, place: Place, part: object) -> None:
        inside = self.graph.insides.get(place.value)
        sizes = [] if inside is None else [self.typing.size(axis) for axis in inside.scanned]
        pairs = list(zip(place.steps, sizes, strict=False))
        if len(place.steps) != len(sizes) or any(isinstance(n, int) and i >= n for i, n in pairs):
            reason = f"{path!r} is at {list(place.steps)} of scans of {sizes} steps"
            raise self.failure(7, reason, part)

    def makers(self, wanted: set[Value]) -> dict[Value, Node | None]:
        """Those of the wanted values that the graph has, with the nodes that define them."""
        found: dict[Value, Node | None] = {}
        for _, level in levels(self.graph) if wanted else ():
            found |= {value: None for value in level.inputs if value in wanted}
            for node in level.nodes:
                for value in node.outputs:
                    if value in wanted:
                        found[value] = node
            if len(found) == len(wanted):
                break
        return found

    def inside(
        self, path: str, place: Place, part: object, makers: dict[Value, Node | None]
    ) -> Value:
        """The value that a place leads to, inside the composites that define it."""
        value, typing = place.value, self.typing
        if value not in makers:
            raise self.failure(7, f"{path!r} is {value!r}, which is no value of the graph", part)
        node = makers[value]
        for step in place.inner:
            if node is None or node.op.body is None:
                raise self.failure(7, f"{path!r}: {value!r} is no composite with {step!r}", part)
            body = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
            steps = dict(body.marks)
            for i, inner in enumerate(body.region.nodes):
                steps |= {f"{i}:{j}": v for j, v in enumerate(inner.outputs)}
            if step not in steps:
                has = f"{node.op.name} has {', '.join(body.marks) or 'nothing'} inside"
                raise self.failure(7, f"{path!r}: {has}, not {step!r}", part)
            value, typing = steps[step], body.typing
            node = next((n for n in body.region.nodes if value in n.outputs), None)
        return value


def _listed(things: Iterable[object]) -> str:
    return ", ".join(map(repr, things))
