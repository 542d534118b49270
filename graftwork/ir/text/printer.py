"""Printing graphs, in the one canonical spelling that the parser reads back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftwork.ir.attributes import AXIS_MAP, AXIS_SET, Attrs, Kind, Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Region, Value
from graftwork.ir.levels import levels, levels_of
from graftwork.ir.op import Op
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sites import Place
from graftwork.ir.sizes import SizeExpr
from graftwork.ir.text.spelling import literal_text, quote, reference, size_text, word
from graftwork.ir.types import AxisTable, Type

Names = Mapping[Value, str]
_WIDTH = 96


def print_graph(graph: Graph) -> str:
    """The graph as text, which `parse` reads back.

    It also prints ill-formed graphs; a value that nothing defines is `%?`.
    """
    printer = _Printer()
    names = _graph_names(graph)
    printer.nodes(graph.nodes, names, "  ")
    sections = [
        _axes(graph.axes),
        [printer.input(port) for port in graph.inputs]
        + [printer.parameter(parameter) for parameter in graph.parameters],
        printer.lines,
        [_output(port, names) for port in graph.outputs],
        _sites(graph, names),
        [_guard(guard) for guard in graph.guards],
        _origins(printer.origins),
    ]
    body = "\n\n".join("\n".join(section) for section in sections if section)
    return "graph {\n" + body + "\n}\n"


def print_nodes(nodes: Iterable[Node], within: Graph | Region) -> str:
    """Some nodes of one level of a graph, say one block, named as in the text of the whole.

    Comments say the types of what they read from elsewhere, and the module that they come from.
    This is for reading: it is no graph.
    """
    chosen = tuple(nodes)
    names = _graph_names(within) if isinstance(within, Graph) else _region_names(within)
    printer = _Printer(numbered=False)
    printer.nodes(chosen, names, "")
    made = {value for node in chosen for value in node.outputs}
    read = dict.fromkeys(value for node in chosen for value in node.inputs if value not in made)
    reads = [f"# reads {_name(value, names)}: {printer.type(value.type)}" for value in read]
    return "\n".join([*reads, *printer.lines, ""])


def node_text(node: Node) -> str:
    """One node on one line, for messages: its regions left out, its values by their own names."""
    printer = _Printer(numbered=False)
    values = (*node.inputs, *node.outputs)
    names = {v: reference("%", v.name) if v.name else "%_" for v in values}
    return printer.head(node, names)


# Names of values


def _graph_names(graph: Graph) -> dict[Value, str]:
    names = {port.value: reference("%", port.name) for port in graph.inputs}
    names |= {p.value: reference("@", p.name) for p in graph.parameters}
    _add_names(names, {port.name for port in graph.inputs}, graph.nodes)
    return names


def _region_names(region: Region) -> dict[Value, str]:
    names: dict[Value, str] = {}
    _add_names(names, set(), region.nodes, region.inputs)
    return names


def _add_names(
    names: dict[Value, str], taken: set[str], nodes: Iterable[Node], first: Iterable[Value] = ()
) -> None:
    """Name values by their hints, made unique; by numbers where they have none.

    Hints that are unique already stay as they are, hence printing what was parsed changes nothing.
    """
    last: dict[str, int] = {}
    unnamed = 0
    for value in (*first, *(v for node in nodes for v in node.outputs)):
        name = value.name
        if not name:
            names[value] = f"%{unnamed}"
            unnamed += 1
            continue
        while name in taken:
            last[value.name] = last.get(value.name, 1) + 1
            name = f"{value.name}_{last[value.name]}"
        taken.add(name)
        names[value] = reference("%", name)


def _name(value: Value, names: Names) -> str:
    return names.get(value, "%?")


# Nodes


class _Printer:
    """The lines of nodes, and what they share: origins, and texts seen before."""

    def __init__(self, *, numbered: bool = True) -> None:
        self.lines: list[str] = []
        self.origins: dict[Origin, int] = {}
        self.numbered = numbered
        self._types: dict[Type, str] = {}
        self._attrs: dict[tuple[Op, Attrs], str] = {}

    def nodes(self, nodes: Iterable[Node], names: Names, indent: str, module: str = "") -> None:
        """Append the lines of nodes, under a comment wherever their module changes."""
        for node in nodes:
            if node.origin.module != module:
                module = node.origin.module
                self.lines.append(f"{indent}# {word(module) if module else '(top level)'}")
            self.lines.append(f"{indent}{self.head(node, names)}{self.origin(node.origin)}")
            words = node.op.regions if len(node.op.regions) == len(node.regions) else ()
            for place, region in enumerate(node.regions):
                self.region(words[place] if words else "region", region, indent + "  ", module)

    def region(self, name: str, region: Region, indent: str, module: str) -> None:
        """Append the lines of a region."""
        names = _region_names(region)
        inputs = (f"{names[value]}: {self.type(value.type)}" for value in region.inputs)
        self.lines.append(f"{indent}{word(name)} ({', '.join(inputs)}) {{")
        self.nodes(region.nodes, names, indent + "  ", module)
        results = ", ".join(_name(value, names) for value in region.outputs)
        self.lines.append(f"{indent}  return {results}".rstrip())
        self.lines.append(f"{indent}}}")

    def head(self, node: Node, names: Names) -> str:
        """The line of a node, without indentation and origin."""
        outputs = ", ".join([_name(value, names) for value in node.outputs])
        inputs = ", ".join([_name(value, names) for value in node.inputs])
        types = ", ".join([self.type(value.type) for value in node.outputs])
        attrs = self.attrs(node.op, node.attrs) if node.attrs.items else ""
        return f"{outputs or '()'} = {word(node.op.name)}({inputs}){attrs} : {types or '()'}"

    def origin(self, origin: Origin) -> str:
        if not self.numbered or origin == UNKNOWN:
            return ""
        return f"  !{self.origins.setdefault(origin, len(self.origins) + 1)}"

    def type(self, of: Type) -> str:
        text = self._types.get(of)
        if text is None:
            text = self._types[of] = f"{of.dtype.value}{{{', '.join(map(word, of.axes))}}}"
        return text

    def attrs(self, op: Op, attrs: Attrs) -> str:
        text = self._attrs.get((op, attrs))
        if text is None:
            text = self._attrs[op, attrs] = _attrs(op, attrs)
        return text

    def input(self, port: Port) -> str:
        return f"  input {word(port.name)}: {self.type(port.value.type)}{_layout(port)}"

    def parameter(self, parameter: Parameter) -> str:
        aliases = ", ".join(map(word, parameter.aliases))
        return (
            f"  param {reference('@', parameter.name)}: {self.type(parameter.value.type)}"
            + _layout(parameter)
            + (f" alias {aliases}" if aliases else "")
            + ("" if parameter.trainable else " frozen")
        )


def _attrs(op: Op, attrs: Attrs) -> str:
    specs = {spec.name: spec for spec in op.attrs}
    text = ""
    for name, value in attrs.items:
        spec = specs.get(name)
        if spec is None or not _is_default(spec.default, spec.kind, value):
            text += f" {word(name)}={_attr(value, spec.kind if spec else None)}"
    return text


def _is_default(default: Any, kind: Kind, value: Any) -> bool:
    return default is not ... and Attrs((("", kind.coerce(default)),)) == Attrs((("", value),))


def _attr(value: Any, kind: Kind | None = None) -> str:
    """One attribute; sets and maps of axes have their own brackets."""
    match value:
        case None | bool():
            return str(value).lower()
        case int() | SizeExpr():
            return size_text(value)
        case float():
            return repr(value)
        case DType():
            return value.value
        case Literal():
            return literal_text(value)
        case tuple() if kind is AXIS_SET:
            return f"{{{', '.join(map(word, value))}}}"
        case tuple() if kind is AXIS_MAP:
            return f"{{{', '.join(f'{word(old)} -> {word(new)}' for old, new in value)}}}"
        case tuple():
            return f"[{', '.join(map(_attr, value))}]"
    return word(str(value))


# The rest of a graph


def _layout(port: Port | Parameter) -> str:
    return "" if port.layout == port.value.axes else f" as {_positions(port.layout)}"


def _positions(layout: tuple[str | None, ...]) -> str:
    return f"[{', '.join('1' if axis is None else word(axis) for axis in layout)}]"


def _axes(axes: AxisTable) -> list[str]:
    items = [f"{word(axis)}: {size}" for axis, size in axes.items()]
    line = f"  axes {{ {', '.join(items)} }}"
    if len(line) <= _WIDTH:
        return [line] if items else []
    lines = ["  axes {", "   "]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > _WIDTH:
            lines.append("   ")
        lines[-1] += f" {item},"
    return [*lines, "  }"]


def _output(port: Port, names: Names) -> str:
    return f"  output {word(port.name)} = {_name(port.value, names)}{_layout(port)}"


def _sites(graph: Graph, names: Names) -> list[str]:
    """Sites and spans; the places that they lead to may be inside regions."""
    sites = graph.sites
    places = [site.place for site in sites.values()]
    places += [end for span in sites.spans.values() for end in (span.start, span.end)]
    deep = {place.value for place in places} - names.keys()
    paths = levels_of(graph, deep) if deep else {}
    inside = {path: _region_names(level) for path, level in levels(graph) if path} if paths else {}

    def text(place: Place) -> str:
        steps = "".join(f"{word(step)} of " for step in reversed(place.inner))
        path = paths.get(place.value)
        if not path:
            return steps + _name(place.value, names)
        at = f" at {list(place.steps)}" if place.steps else ""
        return f"{steps}{_name(place.value, inside[path])} in {list(path)}{at}"

    lines = [f"  site {word(n)} = {text(s.place)} {_roles(s.roles)}" for n, s in sites.items()]
    for name, span in sites.spans.items():
        lines.append(f"  span {word(name)} = {text(span.start)} to {text(span.end)}")
    for block, why in sites.unrecognised.items():
        lines.append(f"  unrecognised {word(block)} {quote(why)}")
    return lines


def _roles(roles: Mapping[str, str]) -> str:
    parts = (word(r) if r == axis else f"{word(r)}: {word(axis)}" for r, axis in roles.items())
    return f"{{{', '.join(parts)}}}"


def _guard(guard: Guard) -> str:
    size = f"({guard.size})" if isinstance(guard.size, int) else size_text(guard.size)
    low = "" if guard.low is None else f"{guard.low} <= "
    high = "" if guard.high is None else f" <= {guard.high}"
    return f"  guard {low}{size}{high}" + (f" {quote(guard.reason)}" if guard.reason else "")


def _origins(origins: Mapping[Origin, int]) -> list[str]:
    lines = []
    for origin, number in origins.items():
        fields = {"module": origin.module, "op": origin.op, "source": origin.source}
        parts = [f" {name}={word(text)}" for name, text in fields.items() if text]
        if origin.passes:
            parts.append(f" passes=[{', '.join(map(word, origin.passes))}]")
        lines.append(f"    !{number}{''.join(parts)}")
    return ["  origins {", *lines, "  }"] if lines else []
