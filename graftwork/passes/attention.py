"""Finding attention, whole or written out: a softmax over keys between two contractions.

Where a composite holds it, scores and pattern are interior sites. Where a program writes it out
in a way that no rule of `composites` knows (biases of many kinds, masks that multiply, sinks that
take part of the probability), the values themselves are the places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import frozen

from graftwork.ir.graph import Node, Value
from graftwork.ir.sites import Place

PRODUCTS = frozenset({"linear", "contract"})


@frozen(eq=False)
class Attention:
    """Queries, keys and values as they meet in one attention, and what comes of it.

    Attributes:
        over: the axis that queries and keys are contracted over.
        key: the axis of the keys.
    """

    q: Value
    k: Value
    v: Value
    over: str
    key: str
    scores: Place
    pattern: Place
    z: Value


Makers = Mapping[Value, Node]
Readers = Callable[[Value], Iterable[Node]]


def attentions(nodes: Iterable[Node], makers: Makers, readers: Readers) -> Iterator[Attention]:
    """The attentions among some nodes.

    Args:
        makers: value -> the node that makes it.
        readers: value -> the nodes that read it.
    """
    for node in nodes:
        if node.op.name == "attention":
            q, k, v = node.inputs[:3]
            z = node.output
            inner = Place(z, ("scores",)), Place(z, ("pattern",))
            yield Attention(q, k, v, node.attrs["over"], node.attrs["key"], *inner, z)
        elif node.op.name == "softmax":
            found = _written_out(node, makers, readers)
            if found is not None:
                yield found


def _written_out(softmax: Node, makers: Makers, readers: Readers) -> Attention | None:
    axis = softmax.attrs["axis"]
    made = _scores(softmax.inputs[0], axis, makers)
    read = _reading(softmax.output, axis, readers)
    if made is None or read is None:
        return None
    product, scores, key = made
    reading, operand, pattern = read
    q, k = sorted(product.inputs[:2], key=lambda x: key in x.type.axis_set)
    v = next(x for x in reversed(reading.inputs[:2]) if x is not operand)
    (over,) = product.attrs["over"]
    return Attention(q, k, v, over, key, Place(scores), Place(pattern), reading.output)


def _scores(value: Value, key: str, makers: Makers) -> tuple[Node, Value, str] | None:
    """The product that makes scores, the scores as they are compared, and their key axis.

    Along the way the key axis may be renamed, or be one part of what is compared.
    """
    stack, seen = [(value, value, key)], {value}
    while stack:
        value, scores, key = stack.pop()
        node = makers.get(value)
        if node is None:
            continue
        if node.op.name in PRODUCTS and len(node.attrs["over"]) == 1:
            if sum(key in x.type.axis_set for x in node.inputs[:2]) == 1:
                return node, scores, key
            continue
        for read, axis in _behind(node, key):
            if read not in seen:
                seen.add(read)
                stack.append((read, scores if axis == key else read, axis))
    return None


def _behind(node: Node, key: str) -> Iterator[tuple[Value, str]]:
    """The operands that an axis of a node's result comes from position by position."""
    name, attrs = node.op.name, node.attrs
    if name == "rename":
        yield node.inputs[0], {new: old for old, new in attrs["axes"]}.get(key, key)
    elif name in ("slice", "concat") and attrs["into"] == key:
        axes = attrs["axes"] if name == "concat" else [attrs["axis"]]
        yield from ((x, a) for x, a in zip(node.inputs, axes, strict=True) if a in x.type.axis_set)
    elif passes(node) or name in ("slice", "concat"):
        yield from ((x, key) for x in node.inputs if key in x.type.axis_set)


def _reading(value: Value, key: str, readers: Readers) -> tuple[Node, Value, Value] | None:
    """The product of a pattern with the values, its operand, and the pattern with that key axis."""
    stack, seen = [(value, value, key)], {value}
    while stack:
        value, pattern, key = stack.pop()
        for node in readers(value):
            if node.op.name in PRODUCTS and key in node.attrs["over"]:
                return node, value, pattern
            axis = _ahead(node, key)
            for made in node.outputs:
                if axis is not None and axis in made.type.axis_set and made not in seen:
                    seen.add(made)
                    stack.append((made, pattern if axis == key else made, axis))
    return None


def _ahead(node: Node, key: str) -> str | None:
    """What an axis of an operand is called in the result, if it is kept position by position."""
    name, attrs = node.op.name, node.attrs
    if name == "rename":
        return str(dict(attrs["axes"]).get(key, key))
    if name == "slice":
        return str(attrs["into"] if attrs["axis"] == key else key)
    return key if passes(node) else None


def passes(node: Node) -> bool:
    """Whether a node looks at each position of its operands alone."""
    return bool(node.inputs) and bool(node.op.traits & {"elementwise", "view"})
