"""Workloads of interpretability, as they are written with plain torch hooks on GPT-2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray

Array = NDArray[Any]
Cell = tuple[int, int]


@frozen(eq=False)
class Hooked:
    """A model, two prompts, and the difference of two logits at the last position.

    Attributes:
        clean, corrupted: token ids (1, seq).
        noise: noise on the embeddings of the subject's tokens, (samples, len(subject), embed).
    """

    model: Any
    clean: torch.Tensor
    corrupted: torch.Tensor
    tokens: tuple[int, int]
    subject: Sequence[int]
    noise: torch.Tensor

    @property
    def blocks(self) -> Any:
        return self.model.transformer.h

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids).logits[:, -1]

    def metric(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, self.tokens[0]] - logits[:, self.tokens[1]]

    # --- one run --------------------------------------------------------------------------------

    @torch.no_grad()
    def last_logits(self) -> Array:
        return self.logits(self.clean).numpy()

    @torch.no_grad()
    def cache(self) -> Array:
        """Every residual stream, and with eager attention every pattern, as one vector."""
        with _recorded(self.blocks) as streams:
            out = self.model(input_ids=self.clean, output_attentions=True)
        parts = [x.flatten() for x in (*streams, *out.attentions)]
        return torch.cat(parts).numpy()

    def attribution(self) -> Array:
        """Attribution patching of every residual stream, (layers, seq)."""
        with torch.no_grad(), _recorded(self.blocks) as clean:
            self.logits(self.clean)
        streams: list[torch.Tensor] = []

        def grab(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x = args[0] if args[0].requires_grad else args[0].detach().requires_grad_(True)
            streams.append(x)
            return (x, *args[1:])

        with _hooked([block.register_forward_pre_hook(grab) for block in self.blocks]):
            found = self.metric(self.logits(self.corrupted))[0]
        gradients = torch.autograd.grad(found, streams)
        triples = zip(clean, streams, gradients, strict=True)
        return np.stack([((a - x.detach()) * g).sum(-1)[0].numpy() for a, x, g in triples])

    # --- one run for every edit -----------------------------------------------------------------

    @torch.no_grad()
    def patch_streams(self, cells: Sequence[Cell]) -> Array:
        """Patch the stream into a layer at a position: (layer, position) -> metric."""
        with _recorded(self.blocks) as clean:
            self.logits(self.clean)

        def edit(cell: Cell) -> Callable[..., Any]:
            layer, position = cell

            def patched(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
                x = args[0].clone()
                x[:, position] = clean[layer][:, position]
                return (x, *args[1:])

            return patched

        return self._each(cells, lambda cell: self.blocks[cell[0]], edit)

    @torch.no_grad()
    def patch_heads(self, cells: Sequence[Cell]) -> Array:
        """Patch what a head gives, at all positions: (layer, head) -> metric."""
        outputs = [block.attn.c_proj for block in self.blocks]
        width = self.model.config.n_embd // self.model.config.n_head
        with _recorded(outputs) as clean:
            self.logits(self.clean)

        def edit(cell: Cell) -> Callable[..., Any]:
            layer, head = cell
            part = slice(head * width, (head + 1) * width)

            def patched(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
                x = args[0].clone()
                x[..., part] = clean[layer][..., part]
                return (x,)

            return patched

        return self._each(cells, lambda cell: outputs[cell[0]], edit)

    def _each(
        self,
        cells: Sequence[Cell],
        module: Callable[[Cell], Any],
        edit: Callable[[Cell], Callable[..., Any]],
    ) -> Array:
        found = []
        for cell in cells:
            with _hooked([module(cell).register_forward_pre_hook(edit(cell))]):
                found.append(self.metric(self.logits(self.corrupted))[0].item())
        return np.array(found, np.float32)

    @torch.no_grad()
    def trace(self, cells: Sequence[Cell]) -> Array:
        """Causal tracing: noise on the subject, the clean output of a block restored at a position.

        Gives the mean over samples of the probability of the clean run's likeliest token.
        """
        samples = len(self.noise)
        ids = self.clean.expand(samples + 1, -1)
        answer = int(self.logits(self.clean).argmax())

        def noised(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
            out = out.clone()
            out[1:, list(self.subject)] += self.noise
            return out

        found = []
        with _hooked([self.model.transformer.wte.register_forward_hook(noised)]):
            for layer, position in cells:

                def restored(_: Any, __: Any, out: Any, at: int = position) -> Any:
                    x = out[0] if isinstance(out, tuple) else out
                    x = x.clone()
                    x[1:, at] = x[0, at]
                    return (x, *out[1:]) if isinstance(out, tuple) else x

                with _hooked([self.blocks[layer].register_forward_hook(restored)]):
                    likely = self.logits(ids)[1:].softmax(-1)[:, answer]
                found.append(likely.mean().item())
        return np.array(found, np.float32)


@contextmanager
def _hooked(handles: Sequence[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _recorded(modules: Sequence[Any]) -> Iterator[list[torch.Tensor]]:
    """What goes into modules, in order."""
    found: list[torch.Tensor] = []

    def keep(_: Any, args: tuple[Any, ...]) -> None:
        found.append(args[0].detach().clone())

    with _hooked([module.register_forward_pre_hook(keep) for module in modules]):
        yield found
