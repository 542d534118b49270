"""Reading graphs from text, by recursive descent; every complaint has a line and a column.

What was read is verified, so the types that a text states are checked against the rules of ops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graftwork.ir.errors import GraftworkError, TextError, VerificationError, nearest
from graftwork.ir.graph import Graph, Guard, Node, Parameter, Port, Region, Value
from graftwork.ir.levels import Path
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.origin import UNKNOWN, Origin
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.ir.sizes import Size
from graftwork.ir.store import EMPTY_STORE, Store
from graftwork.ir.text.spelling import reference, unquote, word
from graftwork.ir.text.terms import Terms
from graftwork.ir.types import Type
from graftwork.ir.verify import verify

Scope = dict[str, Value]
_DEEPEST = 100


def parse(text: str, store: Store = EMPTY_STORE) -> Graph:
    """The graph that `text` writes; the arrays of its parameters are in `store`.

    Raises:
        TextError: if the text is no graph, or one that breaks an invariant; names the line, the
            column, and what was expected there.
    """
    reader = _Reader(text)
    graph = reader.graph(store)
    try:
        verify(graph, where=reader.place)
    except VerificationError as error:
        raise TextError(str(error)) from error
    return graph


class _Reader(Terms):
    """One reading of one text: what it has defined so far."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.axes: dict[str, Size] = {}
        self.inputs: list[Port] = []
        self.parameters: list[Parameter] = []
        self.nodes: list[Node] = []
        self.outputs: list[Port] = []
        self.sites: dict[str, Site] = {}
        self.spans: dict[str, Span] = {}
        self.unrecognised: dict[str, str] = {}
        self.guards: list[Guard] = []
        self.top: Scope = {}
        self.scopes: dict[Path, Scope] = {(): self.top}
        self.starts_of: dict[int, int] = {}  # id of a node, port or site -> its first token
        self.table_begin = self.table_end = 0
        self.origins = self._read_origins()

    def place(self, part: object) -> str:
        """The line and column at which a part of the graph stands."""
        at = self.starts_of.get(id(part))
        return "" if at is None else self.where(at)

    def graph(self, store: Store) -> Graph:
        """The whole text."""
        statements: Mapping[str, Callable[[], object]] = {
            "axes": self._axes,
            "input": self._input,
            "param": self._parameter,
            "output": self._output,
            "site": self._site,
            "span": self._span,
            "unrecognised": self._unrecognised,
            "guard": self._guard,
            "origins": self._skip_origins,
        }
        self.expect("graph")
        self.expect("{")
        while not self.accept("}"):
            if self.kind == "ref" or self.word == "(":
                self.nodes.append(self._node(self.top, (len(self.nodes),)))
            elif self.word in statements:
                self.at += 1
                statements[self.words[self.at - 1]]()
            else:
                raise self.wrong(f"a node, {', '.join(statements)} or '}}'")
        self.take("end", "the end of the text")
        return Graph(
            tuple(self.inputs),
            tuple(self.parameters),
            tuple(self.nodes),
            tuple(self.outputs),
            self.axes,
            store,
            Sites(self.sites, self.spans, self.unrecognised),
            tuple(self.guards),
        )

    # Values

    def _define(self, scope: Scope, at: int, made: Type) -> Value:
        key, hint = _key(self.words[at])
        if key in scope:
            raise self.refuse(at, f"{key} is defined twice")
        value = scope[key] = Value(made, hint)
        return value

    def _value(self, scope: Scope) -> Value:
        value = scope.get(self.words[self.at])
        if value is None:
            self.take("ref", "a value such as %x")
            return self._known(scope, self.at - 1)
        self.at += 1
        return value

    def _known(self, scope: Scope, at: int) -> Value:
        ref = self.words[at]
        value = scope.get(ref)
        if value is None and (value := scope.get(_key(ref)[0])) is None:
            raise self.refuse(at, f"{ref} is not defined here{nearest(ref, scope)}")
        return value

    # Nodes

    def _node(self, scope: Scope, path: Path) -> Node:
        start = self.at
        made = self._made()
        self.expect("=")
        op = self._op()
        self.expect("(")
        inputs = self.list_of(lambda: self._value(scope), ")")
        attrs = self.attributes(op)
        self.expect(":")
        types = self._types_of(len(made))
        origin = self._origin()
        regions = [self._region(name, (*path, place)) for place, name in enumerate(op.regions)]
        outputs = [self._define(scope, at, x) for at, x in zip(made, types, strict=True)]
        node = Node(op, tuple(inputs), tuple(outputs), attrs, tuple(regions), origin)
        self.starts_of[id(node)] = start
        return node

    def _made(self) -> list[int]:
        """The tokens that name the outputs of a node."""
        if self.accept("("):
            self.expect(")")
            return []
        made = [self.at]
        self.take("ref", "a value such as %x")
        while self.accept(","):
            made.append(self.at)
            self.take("ref", "a value such as %x")
        return made

    def _op(self) -> Op:
        start = self.at
        op = REGISTRY.get(self.words[start])
        if op is not None:
            self.at += 1
            return op
        name = self.name("the name of an op")
        try:
            return REGISTRY[name]
        except GraftworkError as error:
            raise self.refuse(start, error) from error

    def _types_of(self, count: int) -> list[Type]:
        if count == 0:
            self.expect("(")
            self.expect(")")
            return []
        types = [self.type()]
        while len(types) < count:
            self.expect(",")
            types.append(self.type())
        return types

    def _region(self, name: str, path: Path) -> Region:
        if len(path) > 2 * _DEEPEST:
            raise self.refuse(self.at, f"regions stand in each other deeper than {_DEEPEST}")
        self.expect(word(name))
        scope = self.scopes[path] = {}
        self.expect("(")
        inputs = self.list_of(lambda: self._region_input(scope), ")")
        self.expect("{")
        nodes: list[Node] = []
        while not self.accept("return"):
            nodes.append(self._node(scope, (*path, len(nodes))))
        outputs = self.list_of(lambda: self._value(scope), "}")
        return Region(tuple(inputs), tuple(nodes), tuple(outputs))

    def _region_input(self, scope: Scope) -> Value:
        start = self.at
        self.take("ref", "a value such as %x")
        self.expect(":")
        return self._define(scope, start, self.type())

    # Origins

    def _origin(self) -> Origin:
        ref = self.words[self.at]
        if self.kinds[ref] != "origin":
            return UNKNOWN
        if ref not in self.origins:
            raise self.refuse(self.at, f"the table of origins has no {ref}")
        self.at += 1
        return self.origins[ref]

    def _read_origins(self) -> dict[str, Origin]:
        """The table of origins: it stands last, for the reader's sake, but is needed first."""
        last = next((at for at in range(len(self.words) - 1, 0, -1) if self.words[at] == "{"), 0)
        if self.words[last - 1] != "origins":
            return {}
        self.table_begin = self.at = last
        origins: dict[str, Origin] = {}
        self.expect("{")
        while not self.accept("}"):
            start = self.at
            ref = self.take("origin", "an origin such as !1, or '}'")
            if ref in origins:
                raise self.refuse(start, f"{ref} stands here twice")
            origins[ref] = self._origin_fields()
        self.table_end, self.at = self.at, 0
        return origins

    def _origin_fields(self) -> Origin:
        fields: dict[str, Any] = {}
        while self.kind == "word":
            start = self.at
            name = self.new_name(fields, "field")
            self.expect("=")
            if name in ("module", "op", "source"):
                fields[name] = self.name("a name")
            elif name == "passes":
                self.expect("[")
                fields[name] = tuple(self.list_of(lambda: self.name("the name of a pass"), "]"))
            else:
                raise self.refuse(start, "an origin has module, op, source and passes")
        return Origin(**fields)

    def _skip_origins(self) -> None:
        if self.at != self.table_begin:
            raise self.refuse(self.at - 1, "the table of origins stands once, and last")
        self.at = self.table_end

    # Statements, behind their first word

    def _axes(self) -> None:
        self.expect("{")
        self.list_of(self._axis, "}")

    def _axis(self) -> None:
        name = self.new_name(self.axes, "axis")
        self.expect(":")
        self.axes[name] = self.size_until(self.closing(",", "}"))

    def _input(self) -> None:
        start = self.at
        name = self.name("the name of an input")
        self.expect(":")
        value = self._define(self.top, start, self.type())
        self._port(self.inputs, start, name, value)

    def _output(self) -> None:
        start = self.at
        name = self.name("the name of an output")
        self.expect("=")
        self._port(self.outputs, start, name, self._value(self.top))

    def _port(self, ports: list[Port], start: int, name: str, value: Value) -> None:
        port = Port(name, value, self.layout(value.axes))
        ports.append(port)
        self.starts_of[id(port)] = start

    def _parameter(self) -> None:
        start = self.at
        ref = self.take("ref", "a parameter such as @weight")
        self.expect(":")
        value = self._define(self.top, start, self.type())
        layout = self.layout(value.axes)
        aliases: list[str] = []
        while self.accept("," if aliases else "alias"):
            aliases.append(self.name("the other name of a parameter"))
        trainable = not self.accept("frozen")
        parameter = Parameter(_key(ref)[1], value, layout, tuple(aliases), trainable)
        self.parameters.append(parameter)
        self.starts_of[id(parameter)] = start

    def _site(self) -> None:
        start = self.at
        name = self.new_name(self.sites, "site")
        self.expect("=")
        place = self._place()
        self.expect("{")
        site = self.sites[name] = Site(place, dict(self.list_of(self._role, "}")))
        self.starts_of[id(site)] = start

    def _span(self) -> None:
        start = self.at
        name = self.new_name(self.spans, "span")
        self.expect("=")
        first = self._place()
        self.expect("to")
        span = self.spans[name] = Span(first, self._place())
        self.starts_of[id(span)] = start

    def _place(self) -> Place:
        inner: list[str] = []
        while self.kind != "ref":
            inner.append(self.name("a value, or a place inside one and 'of'"))
            self.expect("of")
        ref = self.at
        self.at += 1
        path: Path = ()
        if self.accept("in"):
            self.expect("[")
            path = tuple(self.list_of(self.integer, "]"))
            if path not in self.scopes:
                raise self.refuse(ref, f"there is no region {list(path)}")
        steps: tuple[int, ...] = ()
        if path and self.accept("at"):
            self.expect("[")
            steps = tuple(self.list_of(self.integer, "]"))
        return Place(self._known(self.scopes[path], ref), tuple(reversed(inner)), steps)

    def _role(self) -> tuple[str, str]:
        role = self.name("the role of an axis")
        return role, self.name("an axis") if self.accept(":") else role

    def _unrecognised(self) -> None:
        block = self.new_name(self.unrecognised, "block")
        self.unrecognised[block] = unquote(self.take("string", "a reason in quotes"))

    def _guard(self) -> None:
        low = high = None
        if self.kind == "number" and self.words[self.at + 1] == "<=":
            low = self.integer()
            self.expect("<=")
        size = self.size()
        if self.accept("<="):
            high = self.integer()
        reason = self.name("a reason") if self.kind == "string" else ""
        self.guards.append(Guard(size, low, high, reason))


def _key(token: str) -> tuple[str, str]:
    """The canonical spelling of the value that a token names, and the hint that it carries."""
    sigil, rest = (token[0], token[1:]) if token[0] in "%@" else ("%", token)
    if rest[0] != '"':
        return sigil + rest, "" if sigil == "%" and rest.isdigit() else rest
    name = unquote(rest)
    return reference(sigil, name), name
