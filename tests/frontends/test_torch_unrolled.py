"""Loops over a named axis, which torch.export unrolls, are scans of any length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_support import Function, check, numbers

import graftwork as gw
from graftwork import passes as p
from graftwork.backends.reference import compile
from graftwork.frontends.torch import convert
from graftwork.ir.errors import ConversionError, InputError
from graftwork.ir.selector import Selector
from tests.zoo import text

Body = Callable[[torch.Tensor], object]
AXES: dict[str | int, str] = {"x": "batch seq _"}
SIZES = [{"batch": 2, "seq": 6}, {"batch": 3, "seq": 11}, {"batch": 1, "seq": 2}]


def zeros(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros(x.shape[0], x.shape[2], dtype=x.dtype)


def stacked(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two carries; rows and a final state."""
    h, c, rows = zeros(x), zeros(x), []
    for t in range(x.shape[1]):
        c = torch.sigmoid(x[:, t]) * c + torch.tanh(x[:, t : t + 1].sum(1) + h)
        h = torch.tanh(c) * 0.5
        rows.append(h * 2)
    return torch.stack(rows, dim=1), c


def written(x: torch.Tensor) -> torch.Tensor:
    """Results written in place."""
    y, h = torch.ones_like(x), zeros(x)
    for t in range(x.shape[1]):
        h = torch.sin(h + x[:, t])
        y[:, t] = h
    return y


def started(x: torch.Tensor) -> torch.Tensor:
    """A first step that is not in the loop, and a write that begins at the second position."""
    y, h = x * 3, x[:, 0]
    rows = [h]
    for t in range(1, x.shape[1]):
        h = h * 0.5 + x[:, t]
        rows.append(h)
        y[:, t] = h.exp()
    return torch.stack(rows, dim=-1).sum(-1) + y.sum(1)


def backward(x: torch.Tensor) -> torch.Tensor:
    h, rows = zeros(x), []
    for t in reversed(range(x.shape[1])):
        h = torch.tanh(h * 0.5 + x[:, t])
        rows.append(h.unsqueeze(1))
    return torch.cat(rows[::-1], dim=1)


def layered(x: torch.Tensor) -> torch.Tensor:
    """Loops after loops, over lists and over tensors taken apart."""
    for scale in (0.3, 0.7):
        h, rows = zeros(x), []
        for row in [each * 2 for each in x.unbind(1)]:
            h = h * scale + row.cos()
            rows.append(h)
        x = torch.stack(rows, dim=1) + x
    return x[:, -1] / x.shape[1]


LOOPS: dict[str, tuple[Body, int]] = {  # and the number of scans
    "stacked": (stacked, 1),
    "written": (written, 1),
    "started": (started, 1),
    "backward": (backward, 1),
    "layered": (layered, 4),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_become_scans(name: str) -> None:
    body, count = LOOPS[name]
    graph = check(lambda x: body(x), lambda n: {"x": numbers(n["batch"], n["seq"], 3)}, AXES, SIZES)
    scans = [node for node in graph.nodes if node.op.name == "scan"]
    assert len(scans) == count
    assert all("seq" in str(graph.axes[scan.attrs["axis"]]) for scan in scans)


class Gated(torch.nn.Module):
    """A linear recurrence with input-dependent decay, as state-space models have."""

    def __init__(self) -> None:
        super().__init__()
        self.decay, self.out = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        decay, state, rows = self.decay(x).sigmoid(), torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + x[:, t]
            rows.append(state)
        return {"y": self.out(torch.stack(rows, dim=1))}


@pytest.fixture(scope="module")
def gated() -> tuple[Gated, gw.Graph]:
    torch.manual_seed(0)
    model = Gated().double().eval()
    return model, gw.from_torch(model, numbers(2, 6, 4), axes={"x": "batch seq _"})


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch", "onnx"])
def test_a_rolled_model_runs_everywhere(gated: tuple[Gated, gw.Graph], backend: str) -> None:
    model, graph = gated
    x = numbers(3, 9, 4)
    found = np.asarray(gw.compile(graph, backend=backend)(x=x.numpy())["y"])
    np.testing.assert_allclose(found, model(x)["y"].detach().numpy(), rtol=1e-9, atol=1e-9)


def test_a_rolled_model_is_text(gated: tuple[Gated, gw.Graph]) -> None:
    assert str(gw.parse(str(gated[1]))) == str(gated[1])


def test_an_edit_of_what_a_scan_reads_is_per_step(gated: tuple[Gated, gw.Graph]) -> None:
    """Without the decay of one step, what came before it is forgotten."""
    model, graph = gated
    edited = graph.apply(p.Ablate(Selector(op="logistic"), where={"seq": 4}, count=1))
    x = numbers(2, 8, 4)
    found = np.asarray(compile(edited)(x=x.numpy())["y"])
    wanted = torch.cat([model(x[:, :4])["y"], model(x[:, 4:])["y"]], dim=1).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def far(x: torch.Tensor) -> torch.Tensor:
    """Every step reads the one before the last."""
    rows = [x[:, 0], x[:, 1]]
    for t in range(2, x.shape[1]):
        rows.append(torch.sin(rows[-2] + x[:, t]))
    return torch.stack(rows)


def test_lengths_without_the_loop_are_refused() -> None:
    """What is left of a loop of no step may be another computation."""
    sizes = [{"batch": 2, "seq": n} for n in (6, 3, 8)]
    graph = check(lambda x: far(x), lambda n: {"x": numbers(n["batch"], n["seq"], 3)}, AXES, sizes)
    with pytest.raises(InputError, match="seq = 2 must be at least 3"):
        compile(graph)(x=numbers(2, 2, 3).numpy())


SCANS = {"falcon_mamba": 2, "jamba": 1, "mamba": 2, "recurrent_gemma": 1, "rwkv": 2}


@pytest.mark.all
@pytest.mark.parametrize("name", SCANS)
def test_state_space_models_have_any_length(name: str) -> None:
    family = text.RECURRENT[name]
    torch.manual_seed(0)
    model = family.make().eval()
    graph = convert(model, kwargs=family.arguments(), axes=family.axes())
    assert sum(node.op.name == "scan" for node in graph.nodes) == SCANS[name]
    other = family.arguments(other=True)
    found = compile(graph)(**{path: x.numpy() for path, x in other.items()})["logits"]
    wanted = model(**other).logits.detach().numpy()
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-4, atol=1e-5)


# --- what no scan is ------------------------------------------------------------------------------


def growing(x: torch.Tensor) -> torch.Tensor:
    """Every step reads all that came before."""
    rows = [x[:, 0]]
    for t in range(1, x.shape[1]):
        rows.append(torch.stack(rows).sum(0) + x[:, t])
    return rows[-1]


def counted(x: torch.Tensor) -> torch.Tensor:
    """The number of the step is a number in the step."""
    h = x[:, 0]
    for t in range(x.shape[1]):
        h = h * 0.5 + x[:, t] * t
    return h


def changing(x: torch.Tensor) -> torch.Tensor:
    """Another computation for long inputs."""
    h = zeros(x)
    for t in range(x.shape[1]):
        h = torch.tanh(h + x[:, t])
    return h * 2 if x.shape[1] > 8 else h


REFUSED: dict[str, tuple[Body, str]] = {
    "growing": (growing, "differs by more than"),
    "counted": (counted, "differs by more than"),
    "changing": (changing, "at 20, 'output' is not what the model gives"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_loops_are_refused(name: str) -> None:
    body, reason = REFUSED[name]
    with pytest.raises(ConversionError, match=reason) as caught:
        convert(Function(lambda x: body(x)), kwargs={"x": numbers(2, 6, 3)}, axes=AXES)
    assert "only works for one size of axis 'seq'" in str(caught.value)
