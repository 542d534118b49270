"""The picture of information flow: which positions and parts made the last stream what it is
(Ferrando and Voita 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.viz.manifest import NAMES, TOKENS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, Strings, packed
from graftwork.viz.part import Part
from graftwork.viz.predictions import Predictions
from graftwork.viz.single import single
from graftwork.viz.still import still
from graftwork.viz.words import Tokenizer, numbered, spelled

Array = np.ndarray[Any, Any]
_PREFIX = "flow."
_WIDE, _HIGH, _LEFT, _TOP = 58, 12, 14, 34
_STYLE = (
    ".gw-label{text-anchor:middle}path{fill:none}"
    ".gw-stay{stroke:#b1b7c3}.gw-move{stroke:#2f5fe0}.gw-mlp{stroke:#a84300}"
    "@media(prefers-color-scheme:dark){.gw-stay{stroke:#566072}.gw-move{stroke:#7ea6ff}"
    ".gw-mlp{stroke:#ff9e5e}}"
)


@frozen(eq=False)
class Flow:
    """Contributions to the streams of one prompt.

    Attributes:
        streams: their sites; a sum leads from each to the next.
        attentions, mlps: of each sum, the path of the branch that it adds, or None.
        stays: what is left of the stream before, over sums and positions.
        added: what MLPs add, over sums and positions.
        moves: rows of sum, query, head and key, sorted: what heads bring, if above a floor.
        shares: of the moves.
    """

    streams: tuple[str, ...]
    attentions: tuple[str | None, ...]
    mlps: tuple[str | None, ...]
    stays: Array
    added: Array
    moves: Array
    shares: Array

    @property
    def writers(self) -> Array:
        """The distinct sums, queries and heads of the moves, sorted."""
        return np.unique(self.moves[:, :3], axis=0)


@frozen(eq=False)
class Neurons:
    """The neurons of one MLP that write most, over positions and then from the most on.

    Attributes:
        ids: their numbers.
        sizes: activation times the length of what the neuron writes.
        tokens: ids of the tokens that each promotes most, in the direction of its activation.
    """

    ids: Array
    sizes: Array
    tokens: Array


@frozen(eq=False)
class Notes:
    """What is said of the nodes of a flow.

    Attributes:
        said: the logit lens of each stream.
        heads: ids of the tokens that each of `Flow.writers` promotes most by what it wrote.
        neurons: of each sum; None where it adds no MLP, or one whose neurons are not told apart.
    """

    said: Sequence[Predictions]
    heads: Array
    neurons: Sequence[Neurons | None]


def flow_of(contributions: Mapping[str, NamedArray], floor: float) -> Flow:
    """The outputs of `Contributions` for a single prompt; of heads, what is above the floor."""
    parts = {
        name.removeprefix(_PREFIX): _of_one(x)
        for name, x in contributions.items()
        if name.startswith(_PREFIX)
    }
    streams = [name for name in parts if _is_stream(name)]
    stays = np.stack([parts[name] for name in streams])
    added = np.zeros_like(stays)
    attentions: list[str | None] = [None] * len(streams)
    mlps: list[str | None] = [None] * len(streams)
    moves, shares = [np.zeros((0, 4), np.int64)], [np.zeros(0, np.float32)]
    step = -1
    for name, share in parts.items():
        if _is_stream(name):
            step += 1
        elif share.ndim == 1:
            added[step] += share
            mlps[step] = name
        else:
            found = np.argwhere(share > floor)
            attentions[step] = name
            moves.append(np.insert(found, 0, step, axis=1))
            shares.append(share[share > floor])
    last = streams[-1].rpartition(".")[0] + ".resid_post"
    branches = tuple(attentions), tuple(mlps)
    return Flow(
        (*streams, last), *branches, stays, added, np.concatenate(moves), np.concatenate(shares)
    )


def _is_stream(name: str) -> bool:
    return name.rpartition(".")[2].startswith("resid_")


def _of_one(share: NamedArray) -> Array:
    """Over positions; of an attention over queries, heads and keys."""
    one = single(share)
    if len(one.axes) == 1:
        return np.asarray(one, np.float32)
    heads, query, key = (axis for axis in one.axes if axis is not None)
    return np.asarray(one.order(query, heads, key), np.float32)


def flow_part(
    flow: Flow, notes: Notes, ids: Array, tokenizer: Tokenizer, threshold: float, floor: float
) -> Part:
    """The part of a page that shows a flow."""
    words, strings = spelled(tokenizer, ids), Strings()
    top = notes.said[0].ids.shape[-1]
    facts = {
        "title": "Information flow",
        "words": words,
        "streams": [[visible(x, 200), x] for x in flow.streams],
        "attentions": flow.attentions,
        "mlps": flow.mlps,
        "threshold": threshold,
        "floor": floor,
        "top": top,
        "promoted": notes.heads.shape[-1],
    }
    columns: dict[str, Column] = {
        "stays": flow.stays.reshape(-1).astype(np.float32),
        "added": flow.added.reshape(-1).astype(np.float32),
        **{
            word: flow.moves[:, i].tolist()
            for i, word in enumerate(("step", "query", "head", "key"))
        },
        "shares": flow.shares.astype(np.float32),
        "said": [n for said in notes.said for n in said.words(tokenizer, strings)],
        "sayShares": np.concatenate([said.shares.reshape(-1) for said in notes.said]),
        **{f"writer{i}": flow.writers[:, i].tolist() for i in range(3)},
        "writerWords": numbered(notes.heads, tokenizer, strings),
        **_neurons(notes, tokenizer, strings),
    }
    data = packed({**facts, "strings": strings.all()}, columns)
    manifest = Manifest(
        (NAMES, TOKENS),
        (f"contributions of heads up to {floor:g}",),
        (Numbers("contributions, probabilities and sizes of neurons"),),
    )
    svg = _still(flow, words, threshold)
    return Part("flow", "Information flow", data, svg, manifest, height=760)


def _neurons(notes: Notes, tokenizer: Tokenizer, strings: Strings) -> Mapping[str, Column]:
    """Of each sum and position that has them: neurons, their sizes and what they promote."""
    found = [(step, neurons) for step, neurons in enumerate(notes.neurons) if neurons is not None]
    sizes = [neurons.sizes.reshape(-1) for _, neurons in found]
    return {
        "neuronStep": [step for step, _ in found],
        "neuron": [int(n) for _, neurons in found for n in neurons.ids.reshape(-1)],
        "neuronSize": np.concatenate([np.zeros(0), *sizes]).astype(np.float32),
        "neuronWords": [
            number
            for _, neurons in found
            for number in numbered(neurons.tokens, tokenizer, strings)
        ],
    }


# --- standing still


def edges(flow: Flow, root: int, threshold: float) -> Iterator[tuple[str, int, int, int, float]]:
    """What leads to a position of the last stream: kind, sum, from, to and weight.

    At each sum, parts up to the threshold do not count, and the others are divided by their sum.
    """
    reached = {root}
    for step in reversed(range(len(flow.stays))):
        rows = flow.moves[:, 0] == step
        before: set[int] = set()
        for at in sorted(reached):
            mine = rows & (flow.moves[:, 1] == at) & (flow.shares > threshold)
            stay, mlp = (
                x if x > threshold else 0.0 for x in (flow.stays[step, at], flow.added[step, at])
            )
            total = stay + mlp + flow.shares[mine].sum()
            if not total:
                continue
            if stay:
                yield "stay", step, at, at, stay / total
            if mlp:
                yield "mlp", step, at, at, mlp / total
            for key in np.unique(flow.moves[mine, 3]).tolist():
                share = flow.shares[mine][flow.moves[mine, 3] == key].sum()
                yield "move", step, key, at, share / total
                before.add(key)
            if stay or mlp:
                before.add(at)
        reached = before


def _still(flow: Flow, words: Sequence[str], threshold: float) -> str:
    """The routes to the last position, from the first stream at the bottom to the last one."""
    steps, count = flow.stays.shape
    width, height = 2 * _LEFT + _WIDE * count, _TOP + _HIGH * steps + 34
    paths = []
    for kind, step, source, target, weight in edges(flow, count - 1, threshold):
        x, to_x = (_LEFT + _WIDE * (at + 0.5) for at in (source, target))
        y = _TOP + _HIGH * (steps - step)
        bend = f"{x + 9:g} {y - _HIGH / 2:g} {x + 9:g} {y - _HIGH / 2:g}" if kind == "mlp" else ""
        curve = bend or f"{x:g} {y - _HIGH / 2:g} {to_x:g} {y - _HIGH / 2:g}"
        paths.append(
            f'<path class="gw-{kind}" stroke-width="{0.6 + 4 * weight:.1f}" '
            f'd="M{x:g} {y:g}C{curve} {to_x:g} {y - _HIGH:g}"/>'
        )
    labels = "".join(
        f'<text class="gw-label" x="{_LEFT + _WIDE * (at + 0.5):g}" y="{height - 14}">'
        f"{escape(word[:9])}</text>"
        for at, word in enumerate(words)
    )
    title = f"Information flow to position {count - 1}, above {threshold:g}"
    return still(title, width, height, "".join(paths) + labels, _STYLE)
