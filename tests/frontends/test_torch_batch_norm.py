"""Batch norms in training mode: what they gather comes out under the names of their buffers."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from graftwork.backends.reference import compile
from graftwork.frontends.torch import convert
from graftwork.ir.verify import verify
from tests.frontends.torch_support import numbers


def test_a_run_gives_the_statistics_that_torch_gathers() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4, momentum=0.3)
    ).double()
    before = copy.deepcopy(model.state_dict())
    axes: dict[str | int, str] = {0: "batch channels=3 height=8 width=8"}
    graph = convert(model, numbers(2, 3, 8, 8), axes=axes, training=True)
    verify(graph)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    for batch in (2, 5):
        x = numbers(batch, 3, 8, 8, seed=1)
        run = copy.deepcopy(model).train()
        with torch.no_grad():
            wanted = {"output": run(x)}
            wanted |= {f"model.{name}": buffer for name, buffer in run.named_buffers()}
        found = compile(graph)(**{graph.inputs[0].name: x.numpy()})
        assert set(found) == set(wanted)
        for name, expected in wanted.items():
            np.testing.assert_allclose(found[name], expected.numpy(), rtol=1e-9, err_msg=name)
