"""The benchmarks measure what they say: counterparts agree, rounds interleave, memory is seen."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import native, timing

TINY = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 64, "vocab_size": 101}


@pytest.fixture(scope="module")
def model():
    return native.gpt2(**TINY)


@pytest.mark.parametrize(("batch", "seq"), [(1, 16), (3, 7)])
def test_hand_written_jax_agrees_with_torch(model, batch, seq):
    ids = native.token_ids(batch, seq, vocab=101)
    np.testing.assert_allclose(
        native.jax_numpy(model)(ids), native.torch_eager(model)(ids), rtol=1e-4, atol=1e-5
    )


def test_exported_onnx_agrees_with_torch(model, tmp_path: Path):
    forward = native.onnx_runtime(model, native.token_ids(1, 16, vocab=101), tmp_path)
    ids = native.token_ids(3, 7, vocab=101)
    np.testing.assert_allclose(forward(ids), native.torch_eager(model)(ids), rtol=1e-4, atol=1e-5)


def test_every_round_runs_each_candidate_once_and_another_goes_first():
    order: list[str] = []
    timing.compare({name: lambda name=name: order.append(name) for name in "abc"}, rounds=3)
    assert "".join(order[3:]) == "abcbcacab"


def test_ratio_is_the_median_of_the_quotients_within_rounds():
    def samples(*walls: float) -> list[timing.Sample]:
        return [timing.Sample(wall, 2 * wall) for wall in walls]

    measured = timing.Comparison({"ours": samples(1, 20, 3), "theirs": samples(2, 10, 3)})
    assert measured.ratio("ours", to="theirs") == timing.Spread(1.0, 0.75, 1.5)
    assert measured.cpu("ours").median == 6


def test_memory_tells_what_was_used_from_what_was_kept():
    def work() -> np.ndarray:
        np.ones(16 << 20)
        return np.ones(4 << 20)

    _, added = timing.memory_of(work)
    assert added.peak == pytest.approx(128 << 20, rel=0.1)
    assert added.kept == pytest.approx(32 << 20, rel=0.1)
