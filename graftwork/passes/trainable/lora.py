"""Low-rank adapters: new trainable parameters beside a weight that stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import numpy as np
from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.calls import calls, calls_of
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import InputError, SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.names import unused
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require, seen_parameters
from graftwork.ir.selector import Selector
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site
from graftwork.passes.linears import weight_at
from graftwork.passes.trainable.dropout import draws, dropped, key_input

_SEEN_THROUGH = frozenset({"split", "merge", "rename", "cast", "add", "sub", "mul", "div"})


def _each(given: Site | Sequence[Site]) -> tuple[Site, ...]:
    return (given,) if isinstance(given, str | Selector) else tuple(given)


def _ranks(given: int | Sequence[int]) -> int | tuple[int, ...]:
    return given if isinstance(given, int) else tuple(given)


@frozen
class LoRA(Pass):
    """Add `alpha / rank * B A dropout(x)` to the output of linear maps (Hu et al. 2021).

    B is zero, so without dropout the output is the same until it is trained; A is normal with
    variance 1 / inputs. New parameters are named after the module: `h.3.q_proj.lora_a` (rank by
    inputs), `h.3.q_proj.lora_b` (outputs by rank); beside weights of 16 bits they have 32.
    `MergeLoRA` adds what was learned to the weights.

    Attributes:
        target: the linear maps: a glob over module paths (`**.q_proj`; each call of a module has
            an adapter of its own), a site that one makes (`blocks.*.mlp.out`), or a Selector, of
            its weight too (`Selector(parameter="*.w")`). Of several the first that means a map
            counts.
        rank: size of the axis between A and B, or one for each target.
        key: seed of A.
        alpha: the update is scaled by alpha / rank; by 1 if None.
        dropout: how often an element of the input is left out in training, the others divided by
            1 - dropout. To run what was learned, apply the pass without it.
        dropout_key: the input that dropout draws by: two u32, as in training mode.
        count: how many linear maps there must be.

    Raises:
        SelectionError: if a target means no linear map, or there are not `count`.
        InputError: if there are not as many ranks as targets, or a number is out of its range.
    """

    promise = "bitwise"

    target: Site | Sequence[Site] = field(converter=_each)
    rank: int | Sequence[int] = field(converter=_ranks)
    key: int
    alpha: float | None = field(default=None, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)
    dropout_key: str = field(default="key", kw_only=True)
    count: int | None = field(default=None, kw_only=True)

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "LoRA")
        rng = np.random.default_rng(self.key)
        ranks = self._targets(graph)
        if self.count is not None and len(ranks) != self.count:
            paths = [node.origin.module for node in ranks]
            raise SelectionError(f"expected {self.count} linear maps, found {paths}")
        axes: dict[int, str] = {}
        for rank in dict.fromkeys(ranks.values()):
            axes[rank] = rewriter.typing.fresh("lora_rank")
            rewriter.typing.make(axes[rank], rank)
        for number, (node, rank) in enumerate(ranks.items(), draws(graph, self.dropout_key)):
            self._adapt(rewriter, node, axes[rank], rng, number)
        return rewriter.finish(must_reach=True)

    def _targets(self, graph: Graph) -> dict[Node, int]:
        """The linear maps, in the order of the graph, and the rank of each."""
        targets = _each(self.target)
        ranks = (self.rank,) * len(targets) if isinstance(self.rank, int) else tuple(self.rank)
        if len(ranks) != len(targets) or any(rank < 1 for rank in ranks):
            raise InputError(f"LoRA: the targets {list(map(str, targets))} have no ranks {ranks}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"LoRA: dropout is from 0 to below 1, not {self.dropout}")
        found: dict[Node, int] = {}
        for target, rank in zip(targets, ranks, strict=True):
            for node in _linears(graph, target):
                found.setdefault(node, rank)
        return {node: found[node] for node in graph.nodes if node in found}

    def _adapt(
        self, rewriter: Rewriter, node: Node, rank: str, rng: np.random.Generator, number: int
    ) -> None:
        at = weight_at(node, seen_parameters(rewriter.graph, rewriter.graph.parameters))
        assert at is not None
        w, x = node.inputs[at], node.inputs[1 - at]
        over = node.attrs["over"]
        outward = tuple(axis for axis in w.axes if axis not in over)
        sizes = {axis: int(str(rewriter.typing.size(axis))) for axis in (*over, *outward, rank)}
        dtype = DType.f32 if w.type.dtype.bits < 32 else w.type.dtype
        fan_in = [sizes[axis] for axis in over]
        down = rng.standard_normal((sizes[rank], *fan_in)) / np.sqrt(np.prod(fan_in))
        up = np.zeros([sizes[axis] for axis in (*outward, rank)])
        name = _free(rewriter, node.origin.module)

        def parameter(word: str, data: Any, axes: tuple[str, ...]) -> Value:
            array = data.astype(dtype.numpy)
            return rewriter.add_parameter(f"{name}.lora_{word}", array, Type(dtype, axes))

        a, b = parameter("a", down, (rank, *over)), parameter("b", up, (*outward, rank))
        scale = 1.0 if self.alpha is None else self.alpha / sizes[rank]

        def edit(y: Term, x: Term, a: Term, b: Term, *key: Term) -> Term:
            x = x.cast(dtype)
            kept = dropped(x, key[0], number, self.dropout) if key else x
            low = ops.contract(kept, a, over=over)
            update = ops.contract(low, b, over=(rank,)) * float(scale)
            return y + update.cast(y.dtype)

        keys = (key_input(rewriter, self.dropout_key),) if self.dropout else ()
        rewriter.interpose(node.output, edit, (x, a, b, *keys))


def _linears(graph: Graph, target: Site) -> list[Node]:
    """The linear maps that a glob over module paths or any selector means.

    Raises:
        SelectionError: if there are none, or a place is not what one of them makes.
    """
    weights = seen_parameters(graph, [p for p in graph.parameters if p.trainable])
    if isinstance(target, str) and not matching(target, graph.sites):
        paths = set(calls_of(target, calls(graph)))
        ours = [node for node in graph.nodes if "LoRA" not in node.origin.passes]
        maps = [node for node in ours if weight_at(node, weights) is not None]
        found = [node for node in maps if node.origin.module in paths]
        if not found:
            known = [node.origin.module for node in maps]
            raise SelectionError(f"no linear module matches {target!r}{nearest(target, known)}")
        return found
    return [node for place in require(graph, target) for node in _behind(graph, place, weights)]


def _behind(graph: Graph, place: Found, weights: Set[Value]) -> Iterator[Node]:
    """The linear maps that read a weight, or the one that makes a value.

    Between the map and the value may be views, biases, constant factors and other adapters.
    """
    value = place.place.value
    if value in weights:
        yield from (n for n in graph.index.users_of(value) if weight_at(n, weights) is not None)
        return
    known = {p.value for p in graph.parameters}
    maps: list[Node | None] = []
    stack = [value]
    while stack and not place.place.inner:
        value = stack.pop()
        node = graph.index.producer.get(value)
        if node is None or node.op.name not in _SEEN_THROUGH:
            constant = node is not None and not node.inputs
            ours = node is not None and "LoRA" in node.origin.passes
            maps += [] if value in known or constant or ours else [node]
        else:
            stack.extend(node.inputs)
    found = maps[0] if len(maps) == 1 else None
    if found is None or weight_at(found, weights) is None:
        raise SelectionError(
            f"LoRA: {place.name} (from {place.origin}) is not what one linear map makes; where "
            "queries, keys and values come from one, apply SplitQKV first, or name its module"
        )
    yield found


def _free(rewriter: Rewriter, path: str) -> str:
    """The module's path; a second product in one module gets a number."""
    names = [p.name for p in rewriter.parameters]
    taken = {name.removesuffix(".lora_a") for name in names if name.endswith(".lora_a")}
    return unused(path, taken, ".")
