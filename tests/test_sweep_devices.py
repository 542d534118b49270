"""A sweep in JAX: worlds are shared out among devices, and chunks are of one shape."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import jax
import numpy as np

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError
from tests.models.zoo import axes, build, inputs

given = inputs("gpt2", (1, 9))
clean = {**given, "input_ids": given["input_ids"].clone()}
clean["input_ids"][:, 2] = (clean["input_ids"][:, 2] + 7) % 99
model = build("gpt2", "sdpa").double()
graph = gw.from_torch(model, kwargs=given, axes=axes("gpt2"))
edit = p.Patch("blocks.{layer}.resid_pre", where={"seq": gw.each}, source="clean")
metric = lambda out: out["logits"][{"seq": -1, "vocab": 3}]
run = {**given, "clean": clean}
expected = gw.Sweep(graph, edit, metric=metric, backend="numpy").run(**run)

assert len(jax.devices()) == 2
whole = gw.Sweep(graph, edit, metric=metric, devices=jax.devices())
sizes = [program.native._cache_size() for program in whole.program.programs]
assert sizes == [0, 0], sizes
np.testing.assert_allclose(whole.run(**run), expected, rtol=1e-9)
sizes = [program.native._cache_size() for program in whole.program.programs]
assert sizes == [1, 1], sizes  # both devices have a part of the worlds

small = gw.Sweep(graph, edit, metric=metric, devices=jax.devices(), memory=1)
assert small.plan(**run).chunks == 9
np.testing.assert_allclose(small.run(progress=False, **run), expected, rtol=1e-9)
programs = (*small.program.programs, *small.probe.programs)
sizes = [program.native._cache_size() for program in programs]
assert sizes == [1, 1, 1, 1], sizes  # nothing is compiled for single chunks

try:
    gw.Sweep(graph, edit, metric=metric, backend="onnx", devices=jax.devices()).run(**run)
except InputError as error:
    assert "those of JAX" in str(error)
else:
    raise AssertionError
"""


def test_worlds_are_shared_out_among_devices() -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **flags}, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
