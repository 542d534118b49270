"""What the structure of a model says of its axes, in the words that people use.

Each function yields (axis, word) for what it recognises, given the words found so far. `EVIDENCE`
lists them from the surest to the vaguest; the first word that an axis gets is its own. None knows
an architecture.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from graftwork.ir.graph import Node
from graftwork.ir.sizes import SizeExpr
from graftwork.passes.axes.reader import Reader

Words = Mapping[str, str]
Word = tuple[str, str]

_SPATIAL: Mapping[int, tuple[str, ...]] = {
    1: ("length",),
    2: ("height", "width"),
    3: ("depth", "height", "width"),
}


def attention_axes(reader: Reader, words: Words) -> Iterator[Word]:
    """The axes of queries, keys and values."""
    beside: defaultdict[str, set[str]] = defaultdict(set)  # what is a part, or a weight, with it
    for axes in (*(f.parts for f in reader.facts), *(w.axes for w in reader.weights)):
        for axis in axes:
            beside[axis].update(axes)
    for found in reader.attentions():
        q, k, v = (x.type.axis_set for x in (found.q, found.k, found.v))
        inner = (found.over, *(axis for axis in found.v.axes if axis not in q | k))
        yield from ((axis, "head_dim") for axis in inner)
        yield found.key, "kv_seq"
        parts = [a for a in found.q.axes if a not in inner and any(a in beside[i] for i in inner)]
        grouped = any(axis not in k | v for axis in parts)
        for axis in parts:
            word = "kv_heads" if grouped else "heads"
            yield axis, word if axis in k | v else "groups"
        for axis in found.q.axes:
            if axis not in k and axis not in inner and axis not in parts:
                yield axis, "seq"


def repeated_heads(reader: Reader, words: Words) -> Iterator[Word]:
    """Where queries have more heads than keys, heads are key heads times groups."""
    for fact in reader.facts:
        if words.get(fact.whole) == "heads" and len(fact.parts) == 2:
            yield fact.parts[0], "kv_heads"
            yield fact.parts[1], "groups"


def packed_heads(reader: Reader, words: Words) -> Iterator[Word]:
    """Axes that merge heads with what each has, and those that pack queries, keys and values."""
    plain = {("heads", "head_dim"): "inner", ("kv_heads", "head_dim"): "kv_inner"}
    packs: set[str] = set()
    for fact in reader.facts:
        parts = tuple(words.get(part, "") for part in fact.parts)
        if parts in plain:
            yield fact.whole, plain[parts]
        elif fact.sizes is not None and "head_dim" in parts:
            packs |= {fact.whole, *(a for a, w in zip(fact.parts, parts, strict=True) if not w)}
    for node in reader.named("slice"):
        if words.get(node.attrs["into"]) == "head_dim":
            packs.add(node.attrs["axis"])
    for fact in reader.facts:
        if not packs.isdisjoint(fact.parts) and fact.sizes is not None:
            packs.add(fact.whole)
    yield from ((axis, "qkv") for axis in sorted(packs))


def packed_slices(reader: Reader, words: Words) -> Iterator[Word]:
    """What is sliced into merged heads packs them."""
    for node in reader.named("slice"):
        if words.get(node.attrs["into"]) in ("inner", "kv_inner"):
            yield node.attrs["axis"], "qkv"


def logits(reader: Reader, words: Words) -> Iterator[Word]:
    """The last axis of an output called logits: words of the vocabulary, or classes."""
    sizes = {reader.graph.axes[axis] for table, _, _ in reader.lookups() for axis in table.axes}
    for port in reader.graph.outputs:
        axis = port.layout[-1] if port.layout else None
        if port.name.rpartition(".")[2] == "logits" and axis is not None:
            yield axis, "vocab" if reader.graph.axes[axis] in sizes else "classes"


def embeddings(reader: Reader, words: Words) -> Iterator[Word]:
    """Rows of tables: for words of the input, and for positions."""
    for table, axis, ids in reader.lookups():
        if reader.source(ids) in reader.inputs:
            yield axis, "vocab"
            yield from ((other, "embed") for other in table.axes if other != axis)
        elif (maker := reader.makers.get(reader.source(ids))) and maker.op.name == "iota":
            yield axis, "positions" if len(ids.axes) == 1 else "buckets"


def norms(reader: Reader, words: Words) -> Iterator[Word]:
    """What is normalized is the embedding."""
    for node in reader.named("layer_norm", "rms_norm"):
        if len(node.attrs["over"]) == 1:
            yield node.attrs["over"][0], "embed"


def mlps(reader: Reader, words: Words) -> Iterator[Word]:
    """What a weight expands the embedding into, and another contracts back to it."""
    made: defaultdict[str, set[str]] = defaultdict(set)
    for node, weight in reader.products():
        for source in node.attrs["over"]:
            made[source] |= weight.type.axis_set - {*node.attrs["over"]}
    for source, targets in made.items():
        if words.get(source) == "embed":
            yield from ((axis, "mlp") for axis in targets if source in made.get(axis, ()))


def images(reader: Reader, words: Words) -> Iterator[Word]:
    """The axes of convolutions and pools."""
    for node in reader.named("conv", "max_pool", "avg_pool"):
        names = _SPATIAL.get(len(node.attrs["axes"]), ())
        for axes in (node.attrs["axes"], node.attrs["into"]):
            yield from zip(axes, names, strict=False)
        if node.op.name == "conv":
            yield from _channels(node, names)


def _channels(node: Node, names: tuple[str, ...]) -> Iterator[Word]:
    x, weight = (value.type.axis_set for value in node.inputs)
    kernel, over = node.attrs["kernel"], node.attrs["over"]
    yield from zip(kernel, (f"kernel_{name}" for name in names), strict=False)
    yield from ((axis, "channels") for axis in over)
    for axis in sorted(weight - {*kernel, *over}):
        yield axis, "groups" if axis in x else "channels"


def complex_numbers(reader: Reader, words: Words) -> Iterator[Word]:
    """Two numbers that turn as one are the parts of a complex number."""
    for node in reader.named("rotary"):
        if reader.graph.axes.get(node.attrs["axis"]) == 2:
            yield node.attrs["axis"], "parts"


def keys(reader: Reader, words: Words) -> Iterator[Word]:
    """The two words of a random key."""
    for node in reader.nodes:
        if node.op.name.startswith("random_"):
            yield node.attrs["key"], "key"


def layers(reader: Reader, words: Words) -> Iterator[Word]:
    """A scan whose steps are blocks runs along layers."""
    for site in reader.graph.sites.values():
        if site.place.steps:
            inside = reader.graph.insides[site.place.value]
            yield from ((axis, "layers") for axis in inside.scanned)


def loops(reader: Reader, words: Words) -> Iterator[Word]:
    """A scan runs along time."""
    yield from ((node.attrs["axis"], "time") for node in reader.named("scan"))


def inputs(reader: Reader, words: Words) -> Iterator[Word]:
    """An axis that inputs have, outputs have, and no op binds, is a batch; ids have a sequence."""
    calls = {(node.op, node.attrs) for node in reader.nodes if node.attrs.items}
    bound = {axis for op, attrs in calls for axis in op.named_axes(attrs)}
    outputs = [port.value.type.axis_set for port in reader.graph.outputs]
    for port in reader.graph.inputs:
        first = port.layout[0] if port.layout else None
        if first is not None and first not in bound and all(first in axes for axes in outputs):
            yield first, "batch"
    for _, _, numbers in reader.lookups():
        ids = reader.source(numbers)
        if ids in reader.inputs and len(ids.axes) == 2:
            yield ids.axes[1], "seq"


def sources(reader: Reader, words: Words) -> Iterator[Word]:
    """What is made of an axis is called after it."""
    known = dict(words)
    known |= {axis: axis for axis in reader.graph.axes if axis not in known and axis[0] != "_"}
    for node in reader.nodes:
        for axis, word in _derived(node, known):
            if axis not in known:
                known[axis] = word
                yield axis, word


def _derived(node: Node, words: Words) -> Iterator[Word]:
    attrs = node.attrs
    if node.op.name in ("slice", "pad", "window", "top_k") and attrs["axis"] in words:
        ending = {"slice": "part", "pad": "padded", "window": "windows", "top_k": "top"}
        yield attrs["into"], f"{words[attrs['axis']]}_{ending[node.op.name]}"
    elif node.op.name == "concat" and attrs["axes"][0] in words:
        yield attrs["into"], f"{words[attrs['axes'][0]]}_joined"
    elif node.op.name == "merge" and attrs["axes"] and all(axis in words for axis in attrs["axes"]):
        yield attrs["into"], "_".join(words[axis] for axis in attrs["axes"])
    elif node.op.name == "split" and attrs["axis"] in words:
        for place, part in enumerate(attrs["into"]):
            yield part, f"{words[attrs['axis']]}_{place}"
    elif node.op.name == "rename":
        for old, new in attrs["axes"]:
            if old in words:
                yield new, words[old]


def modules(reader: Reader, words: Words) -> Iterator[Word]:
    """The features that a module makes are called after it; those that it takes, its inputs."""
    made = {axis for node, weight in reader.products() for axis in node.output.axes}
    for parameter in reader.graph.parameters:
        path = [part for part in re.split(r"\W+", parameter.name) if part]
        named = [place for place, part in enumerate(path[:-1]) if not part[0].isdigit()]
        word = "_".join(path[named[-1] : -1]) if named else path[-1]
        for axis in parameter.value.axes:
            yield axis, word if axis in made else f"{word}_in"


def symbols(reader: Reader, words: Words) -> Iterator[Word]:
    """An axis of a size that has a name is called by that."""
    for axis, size in reader.graph.axes.items():
        if isinstance(size, SizeExpr) and str(size).isidentifier():
            yield axis, str(size)


EVIDENCE: tuple[Callable[[Reader, Words], Iterator[Word]], ...] = (
    attention_axes,
    repeated_heads,
    packed_heads,
    packed_slices,
    logits,
    embeddings,
    norms,
    mlps,
    images,
    complex_numbers,
    keys,
    layers,
    loops,
    inputs,
    sources,
    modules,
    symbols,
)
