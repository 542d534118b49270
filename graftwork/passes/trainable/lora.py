"""Low-rank adapters: new trainable parameters beside a weight that stays as it is."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.names import unused
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import modules
from graftwork.ir.types import Type
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass


@frozen
class LoRA(Pass):
    """Add `scale * B A x` to the output of linear modules (Hu et al. 2021).

    B is zero, so the output is the same until it is trained; A is normal with variance 1 / inputs.
    New parameters are named after the module: `h.3.q_proj.lora_a`, `h.3.q_proj.lora_b`.

    Attributes:
        module: a glob over module paths.
        rank: size of the axis between A and B.
        key: seed of A.
        scale: factor on the update, often called alpha / rank.
        count: how many linear modules there must be.
    """

    promise = "bitwise"

    module: str
    rank: int
    key: int
    scale: float = 1.0
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "LoRA")
        rank = rewriter.typing.fresh("lora_rank")
        rewriter.typing.table[rank] = self.rank
        rng = np.random.default_rng(self.key)
        targets = self._targets(graph)
        if self.count is not None and len(targets) != self.count:
            paths = [path for path, _, _ in targets]
            raise SelectionError(f"expected {self.count} linear modules, found {paths}")
        for path, node, weight in targets:
            self._adapt(rewriter, path, node, weight, rank, rng)
        return rewriter.finish(must_reach=True)

    def _targets(self, graph: Graph) -> list[tuple[str, Node, int]]:
        """Module path, product and position of its weight, for all linear modules that match."""
        paths = set(matching(self.module, modules(graph)))
        weights = {p.value for p in graph.parameters}
        found = [
            (node.origin.module, node, next(i for i, v in enumerate(node.inputs) if v in weights))
            for node in graph.nodes
            if node.op.name in PRODUCTS
            and node.origin.module in paths
            and any(v in weights for v in node.inputs[:2])
        ]
        if not found:
            known = [
                n.origin.module
                for n in graph.nodes
                if n.op.name in PRODUCTS and any(v in weights for v in n.inputs[:2])
            ]
            raise SelectionError(
                f"no linear module matches {self.module!r}{nearest(self.module, known)}"
            )
        return found

    def _adapt(
        self,
        rewriter: Rewriter,
        path: str,
        node: Node,
        weight: int,
        rank: str,
        rng: np.random.Generator,
    ) -> None:
        w, x = node.inputs[weight], node.inputs[1 - weight]
        over = node.attrs["over"]
        outward = tuple(a for a in w.axes if a not in over)
        fan_in = [int(str(rewriter.typing.size(a))) for a in over]
        fan_out = [int(str(rewriter.typing.size(a))) for a in outward]
        dtype = w.type.dtype
        down = rng.standard_normal((self.rank, *fan_in)) / np.sqrt(np.prod(fan_in))
        name = _free(rewriter, path)
        a = rewriter.add_parameter(
            f"{name}.lora_a", down.astype(dtype.numpy), Type(dtype, (rank, *over))
        )
        b = rewriter.add_parameter(
            f"{name}.lora_b", np.zeros((*fan_out, self.rank), dtype.numpy),
            Type(dtype, (*outward, rank)),
        )  # fmt: skip

        def edit(y: Term, source: Term, a: Term, b: Term) -> Term:
            low = ops.contract(source, a, over=over)
            return y + ops.contract(low, b, over=(rank,)) * float(self.scale)

        reads: tuple[Value, ...] = (x, a, b)
        rewriter.interpose(node.output, edit, reads)


def _free(rewriter: Rewriter, path: str) -> str:
    """The module's path; a second product in one module gets a number."""
    names = [p.name for p in rewriter.parameters]
    taken = {name.removesuffix(".lora_a") for name in names if name.endswith(".lora_a")}
    return unused(path, taken, ".")
