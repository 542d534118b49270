"""Pictures of a language model at work: those that must run it before they can be drawn.

They are `graftwork.viz.logit_lens`, `flow`, `head` and `neuron`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.select import require
from graftwork.lower import compile
from graftwork.passes.analyses import (
    Contributions,
    FactoredMatrix,
    LogitLens,
    neuron_vocabulary,
    ov,
    unembedding,
)
from graftwork.passes.analyses.readout import readout
from graftwork.passes.interventions import Collect
from graftwork.promoted import of_heads, of_mlps
from graftwork.viz.attention import attention
from graftwork.viz.cards import Section, card_part, ranking
from graftwork.viz.lens import Run, Seen, divergence, lens_view, seen, targets_of
from graftwork.viz.part import Part
from graftwork.viz.predictions import log_probabilities, predictions
from graftwork.viz.routes import Notes, flow_of, flow_part
from graftwork.viz.single import rows_of, single
from graftwork.viz.tokens import tokens
from graftwork.viz.view import View
from graftwork.viz.words import Tokenizer, spelled

Array = np.ndarray[Any, Any]
_LOGITS = 1 << 28
"""How many bytes of logits one run may give."""


def logit_lens(
    graph: Graph,
    ids: Any,
    tokenizer: Tokenizer,
    *,
    targets: Sequence[int] = (),
    site: str | None = None,
    top: int = 10,
    other: Graph | None = None,
    other_inputs: Mapping[str, Any] | None = None,
    names: tuple[str, str] = ("run", "other"),
    backend: str = "onnx",
    **inputs: Any,
) -> View:
    """A page that shows what a language model would say at each layer and position.

    The model is run with `passes.LogitLens`. Each cell has the likeliest token; its colour is that
    token's probability, or by a switch the entropy, or the probability or rank of a target: what
    the model says in the end, the token that comes next, or one of `targets`.

    Another run stands beside it, or is taken off: of an edited graph, or of the same one on another
    prompt of as many tokens. Both have the targets of the first run.

    Args:
        graph: with the input `input_ids` and the output `logits`.
        ids: integers, of one prompt.
        tokenizer: what decodes ids, or a list with the string of each.
        targets: further ids whose probability and rank are shown.
        site: which streams; before the first block, and after every block if None.
        top: how many tokens each cell gives.
        other: the graph of the other run, with the same streams; the same graph if None.
        other_inputs: the inputs of the other run that differ, `input_ids` for another prompt.
        names: what the two runs are called.
        inputs: further inputs of the graph; an `attention_mask` is ones where it is not given.

    Raises:
        InputError: if the graph has not that input and output, ids are of several prompts, or two
            runs are of other streams or of prompts of other lengths.
        SelectionError: if there are no such streams, or no such target.
    """
    if not isinstance(other, Graph | None):
        raise InputError(
            "other= is the graph of another run; call the run that an edit reads by another name"
        )
    runs = [(graph, _given(graph, ids, inputs))]
    if other is not None or other_inputs is not None:
        changed = {"input_ids": ids, **inputs, **(other_inputs or {})}
        runs.append((other or graph, _given(other or graph, changed.pop("input_ids"), changed)))
    numbers = runs[0][1]["input_ids"].reshape(-1)
    for target in targets:
        _within(target, _vocabulary(graph), "targets=: there is no token")
    streams = _streams(graph, site)
    for of, given in runs[1:]:
        if _streams(of, site) != streams or _vocabulary(of) != _vocabulary(graph):
            raise InputError(f"the other graph has not the streams {streams} over the same words")
        if given["input_ids"].size != numbers.size:
            raise InputError(
                f"a prompt of {given['input_ids'].size} tokens and one of {numbers.size} cannot be "
                "compared position by position"
            )
    aims: Array | None = None
    found: list[list[Seen]] = [[] for _ in runs]
    apart = []
    for parts in zip(*(_lenses(of, streams, given, backend) for of, given in runs), strict=True):
        if aims is None:
            aims = targets_of(rows_of(parts[0][1]["logits"]), numbers, targets)
        for name in parts[0][0]:
            logs = [log_probabilities(rows_of(out[f"lens.{name}"])) for _, out in parts]
            for mine, own in zip(found, logs, strict=True):
                mine.append(seen(name, own, aims, top))
            if len(logs) > 1:
                apart.append(divergence(*logs))
    shown = [
        Run(name, given["input_ids"].reshape(-1), of)
        for name, (_, given), of in zip(names, runs, found, strict=False)
    ]
    return lens_view(shown, np.stack(apart) if apart else None, tokenizer, targets, "Logit lens")


def flow(
    graph: Graph,
    ids: Any,
    tokenizer: Tokenizer,
    *,
    threshold: float = 0.04,
    floor: float = 0.01,
    top: int = 8,
    backend: str = "onnx",
    **inputs: Any,
) -> View:
    """A page of information-flow routes (Ferrando and Voita 2024), over all attention maps.

    The model is run once with `passes.Contributions`, and for what its streams say with
    `passes.LogitLens`. The page draws the routes to a token that is chosen there, above a threshold
    that is moved there, as `passes.routes` finds them. A node says what its stream would say, by
    which heads and neurons it was made, and what tokens these promote. Below are the attention maps
    of all heads beside their contribution maps; a head that is chosen above is shown.

    What a head or neuron promotes is read from the weights as they are: without the final norm.

    Args:
        graph: with the input `input_ids` and the output `logits`.
        ids: integers, of one prompt.
        tokenizer: what decodes ids, or a list with the string of each.
        threshold: where the page begins.
        floor: the lowest threshold that the page can show; lower ones make larger files.
        top: how many tokens each stream says.
        inputs: further inputs of the graph; an `attention_mask` is ones where it is not given.

    Raises:
        InputError: if the graph has not that input and output, ids are of several prompts, or the
            threshold is below the floor.
        SelectionError: if a stream is no sum, or an attention no sum over its heads.
    """
    if not 0 <= floor <= threshold < 1:
        raise InputError(f"threshold={threshold} must be from floor={floor} up to 1")
    given = _given(graph, ids, inputs)
    numbers = given["input_ids"].reshape(-1)
    read = [s for s in graph.sites if s.endswith((".attn.pattern", ".attn.z", ".mlp.post"))]
    out = compile(graph.apply(Contributions(), Collect(*read)), backend)(**given)
    found = flow_of(out, floor)
    said = [
        predictions(log_probabilities(rows_of(lens[f"lens.{name}"])), top)
        for names, lens in _lenses(graph, list(found.streams), given, backend)
        for name in names
    ]
    promote = np.asarray(unembedding(graph).order("target", "vocab"), np.float32)
    notes = Notes(said, of_heads(graph, out, found, promote), of_mlps(graph, out, found, promote))
    part = flow_part(found, notes, numbers, tokenizer, threshold, floor)
    patterns = {name: x for name, x in out.items() if name.endswith(".attn.pattern")}
    maps = attention(
        patterns,
        (tokenizer, numbers),
        other={name: x for name, x in out.items() if name.startswith("flow.")},
        names=("attention", "contribution"),
    )
    return View(part.title, (part, *maps.parts), part.title)


def head(
    graph: Graph,
    layer: int | str,
    head: int,
    tokenizer: Tokenizer,
    *,
    ids: Any = None,
    top: int = 12,
    directions: int = 3,
    backend: str = "onnx",
    **inputs: Any,
) -> View:
    """A card of an attention head: what it promotes and suppresses by what it attends to.

    The head's circuit from the stream to the vocabulary (`passes.head_vocabulary`) is shown by its
    greatest singular directions, each of which promotes tokens and suppresses others, or the other
    way round. With a prompt, the card also says what the head would promote if it attended to each
    of its tokens alone, and shows its attention there. Weights are taken as they are: without the
    final norm.

    Args:
        layer: its number, or the path of an attention (`decoder.blocks.1.cross_attn`).
        tokenizer: what decodes ids, or a list with the string of each.
        ids: integers, of one prompt.
        top: how many tokens each list has.
        directions: how many singular directions are shown.
        inputs: further inputs of the graph, for the prompt.

    Raises:
        SelectionError: if there is no such head, or it cannot be told apart in the weights.
        InputError: if ids are of several prompts.
    """
    path = layer if isinstance(layer, str) else f"blocks.{layer}.attn"
    whole = ov(graph, layer)
    _within(head, whole.b.sizes["heads"], f"{path} has no head")
    a, b = (x[{"heads": head}] if "heads" in x.axes else x for x in (whole.a, whole.b))
    circuit = FactoredMatrix(a, b, whole.over, whole.rows, whole.columns) @ unembedding(graph)
    size, sections = _directions(circuit, tokenizer, top, directions)
    title = f"Head {head} of {path}"
    facts = [("site", f"{path}.z"), ("norm of its circuit to the vocabulary", f"{size:.4g}")]
    if ids is None:
        return _page(title, card_part(title, facts, sections))
    given = _given(graph, ids, inputs)
    numbers = given["input_ids"].reshape(-1)
    out = compile(graph.apply(Collect(f"{path}.in", f"{path}.pattern")), backend)(**given)
    read = single(out[f"{path}.in"])
    stream = np.asarray(read.order("seq", *(axis for axis in read.sizes if axis != "seq")))
    inner = stream @ np.asarray(circuit.a.order(circuit.rows, circuit.over), np.float32)
    scores = inner @ np.asarray(circuit.b.order(circuit.over, "vocab"), np.float32)
    words = spelled(tokenizer, numbers)
    rankings = [
        ranking(f"{at} {word}", scores[at], tokenizer, top // 2) for at, word in enumerate(words)
    ]
    sections.append(Section("if it attended to one token alone, it would promote", tuple(rankings)))
    pattern = single(out[f"{path}.pattern"])[{"heads": head}]
    maps = attention(pattern, (tokenizer, numbers), site=f"{path}.pattern")
    return _page(title, card_part(title, facts, sections), *maps.parts)


def neuron(
    graph: Graph,
    layer: int | str,
    neuron: int,
    tokenizer: Tokenizer,
    *,
    ids: Any = None,
    top: int = 20,
    backend: str = "onnx",
    **inputs: Any,
) -> View:
    """A card of a neuron: the tokens that it promotes and suppresses when it is active.

    The numbers are logits for each unit of activation (`passes.neuron_vocabulary`), without the
    final norm. With a prompt, its tokens are coloured by the activation.

    Args:
        layer: its number, or the path of an MLP.
        tokenizer: what decodes ids, or a list with the string of each.
        ids: integers, of one prompt.
        top: how many tokens each list has.
        inputs: further inputs of the graph, for the prompt.

    Raises:
        SelectionError: if there is no such neuron, or the MLP is no sum over its neurons.
        InputError: if ids are of several prompts.
    """
    path = layer if isinstance(layer, str) else f"blocks.{layer}.mlp"
    circuit = neuron_vocabulary(graph, layer)
    _within(neuron, circuit.a.sizes["mlp"], f"{path} has no neuron")
    vector = np.asarray(circuit.a[{"mlp": neuron}], np.float32)
    scores = vector @ np.asarray(circuit.b.order("target", "vocab"), np.float32)
    title = f"Neuron {neuron} of {path}"
    facts = [
        ("site", f"{path}.post"),
        ("length of what it writes", f"{np.linalg.norm(vector):.4g}"),
    ]
    ends = (
        ranking("promoted", scores, tokenizer, top),
        ranking("suppressed", scores, tokenizer, top, least=True),
    )
    card = card_part(title, facts, [Section("", ends)])
    if ids is None:
        return _page(title, card)
    given = _given(graph, ids, inputs)
    out = compile(graph.apply(Collect(f"{path}.post")), backend)(**given)
    active = np.asarray(single(out[f"{path}.post"])[{"mlp": neuron}])
    text = tokens(
        (tokenizer, given["input_ids"]), {"activation": active}, title=f"{title}: activation"
    )
    return _page(title, card, *text.parts)


def _directions(
    circuit: FactoredMatrix, tokenizer: Tokenizer, top: int, count: int
) -> tuple[float, list[Section]]:
    """The norm of a circuit to the vocabulary, and the tokens of its greatest directions."""
    found = circuit.svd()
    sizes = np.asarray(found.s)
    written = np.asarray(found.v.order(circuit.over, "vocab"))
    total = float((sizes**2).sum()) or 1.0
    sections = []
    for i, size in enumerate(sizes[:count]):
        ends = (
            ranking("one way", written[i] * size, tokenizer, top),
            ranking("the other way", written[i] * size, tokenizer, top, least=True),
        )
        title = f"direction {i}: {100 * size**2 / total:.0f} % of the squares"
        sections.append(Section(title, ends))
    return total**0.5, sections


def _streams(graph: Graph, site: str | None) -> list[str]:
    """The names of streams, in order: those of `site`, or the first one and that of each block."""
    prefix = readout(graph).prefix
    globs = [f"{prefix}blocks.0.resid_pre", f"{prefix}blocks.*.resid_post"]
    return [found.name for glob in ([site] if site else globs) for found in require(graph, glob)]


def _lenses(
    graph: Graph, sites: list[str], given: Mapping[str, Any], backend: str
) -> Iterator[tuple[list[str], Mapping[str, NamedArray]]]:
    """Runs with the lenses of sites, of as many at a time as give no more than a run may."""
    size = max(1, _LOGITS // (4 * given["input_ids"].size * _vocabulary(graph)))
    for start in range(0, len(sites), size):
        some = sites[start : start + size]
        yield some, compile(graph.apply(*map(LogitLens, some)), backend)(**given)


def _vocabulary(graph: Graph) -> int:
    extent = graph.axes[readout(graph).vocab]
    assert isinstance(extent, int), "a model has so many tokens as its unembedding"
    return extent


# --- one prompt


def _given(graph: Graph, ids: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a run on one prompt."""
    names = [port.name for port in graph.inputs]
    if "input_ids" not in names or all(port.name != "logits" for port in graph.outputs):
        raise InputError("this picture needs a graph with the input input_ids and output logits")
    numbers = np.atleast_2d(np.asarray(ids))
    if numbers.dtype.kind not in "iu" or not numbers.size:
        raise InputError(f"ids= are the numbers of tokens, as a tokenizer gives them, not {ids!r}")
    if len(numbers) != 1:
        raise InputError(f"there are {len(numbers)} prompts; this picture shows one")
    mask = {} if "attention_mask" not in names else {"attention_mask": np.ones_like(numbers)}
    return {**mask, **inputs, "input_ids": numbers.astype(np.int64)}


def _page(title: str, *parts: Part) -> View:
    return View(title, parts, title)


def _within(number: int, count: int, complaint: str) -> None:
    if not 0 <= number < count:
        raise SelectionError(f"{complaint} {number}; they are 0 to {count - 1}")
