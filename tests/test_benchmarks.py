"""The benchmarks measure what they say: counterparts agree, rounds interleave, memory is seen."""

from typing import Any

import numpy as np
import pytest
from xdsl.transforms.common_subexpression_elimination import cse

from benchmarks import __main__ as entry
from benchmarks import chains, native, report, rewriting, timing
from graftwork.ir.digest import equal
from graftwork.passes.cleanup import ShareCommon

TINY = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 64, "vocab_size": 101}


@pytest.fixture(scope="module")
def model():
    return native.gpt2(**TINY)


@pytest.mark.parametrize(("batch", "seq"), [(1, 16), (3, 7)])
def test_hand_written_jax_agrees_with_torch(model, batch, seq):
    ids = native.token_ids(batch, seq, vocab=101)
    native.check(native.jax_numpy(model), native.torch_eager(model)(ids), ids)


def test_a_counterpart_that_is_off_is_refused(model):
    ids = native.token_ids(1, 16, vocab=101)
    reference = native.torch_eager(model)(ids)
    with pytest.raises(AssertionError, match="logits differ"):
        native.check(lambda _: reference * 1.001, reference, ids)


def test_exported_onnx_agrees_with_torch(model):
    ids = native.token_ids(3, 7, vocab=101)
    native.check(native.onnx_runtime(model), native.torch_eager(model)(ids), ids)


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


def test_a_line_is_judged_by_its_target():
    ratio = timing.Spread(0.9, 0.8, 1.1)
    at_most = report.Figure("forward", "9 ms", "native: 10 ms", ratio, 0.9, report.Target(1.0))
    at_least = report.Figure(
        "rewrite", "", judged=9e4, target=report.Target(1e5, "nodes/s", at_least=True)
    )
    assert at_most.cells()[-3:] == ("0.90 (0.80–1.10)", "≤ 1", "yes")
    assert at_least.cells()[-2:] == ("≥ 100,000 nodes/s", "no")


def test_the_table_is_markdown_of_equal_lines():
    lines = report.table([report.Figure("a", "1"), report.Figure("longer", "")]).splitlines()
    assert len(lines) == 4
    assert len({(len(line), line.count("|")) for line in lines}) == 1


@pytest.fixture
def workloads(monkeypatch, tmp_path):
    """Two quick workloads, and a page of their own."""
    figure = report.Figure("answer", "42")
    chosen = {"good": lambda: [figure], "other": lambda: [figure]}
    monkeypatch.setattr(entry, "WORKLOADS", chosen)
    monkeypatch.setattr(entry, "RESULTS", tmp_path / "results.md")
    return chosen


def run(monkeypatch, *names: str) -> int:
    monkeypatch.setattr("sys.argv", ["benchmarks", *names])
    return entry.main()


def test_a_full_run_prints_and_writes_the_page(workloads, monkeypatch, capsys):
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out in entry.RESULTS.read_text()
    assert entry.RESULTS.read_text().count("answer") == len(workloads)


def test_a_partial_run_prints_and_leaves_the_page(workloads, monkeypatch, capsys):
    assert run(monkeypatch, "good") == 0
    assert "answer" in capsys.readouterr().out
    assert not entry.RESULTS.exists()


def test_a_failing_workload_fails_the_run_and_spares_the_others(workloads, monkeypatch, capsys):
    workloads["other"] = lambda: 1 / 0
    assert run(monkeypatch) == 1
    assert "answer" in capsys.readouterr().out
    assert not entry.RESULTS.exists()


def test_the_four_libraries_do_the_same_work_on_the_same_chain() -> None:
    size = 10 * chains.BLOCK
    ours, fx, onnx = chains.chain(size), chains.fx_chain(size), chains.onnx_chain(size)

    def calls(graph: object) -> list[str]:
        return [node.target.__name__ for node in graph.nodes if node.op == "call_function"]  # type: ignore[attr-defined]

    kinds = [node.op_type.lower() for node in onnx.graph]
    assert [node.op.name for node in ours.nodes] == calls(fx) == kinds
    assert len(kinds) == size
    chains.fx_substitute(fx)
    chains.onnx_substitute(onnx)
    assert calls(fx) == ["sin", "sub", "log_softmax", "truediv"] * 10
    assert [node.op_type for node in onnx.graph] == ["Sin", "Sub", "LogSoftmax", "Div"] * 10
    module = chains.xdsl_chain(size)
    before = [op.name for op in chain_of(module)]
    assert before == ["math.tanh", "arith.addf", "math.exp", "arith.mulf"] * 10
    chains.xdsl_substitute(module)
    module.verify()
    after = [op.name for op in chain_of(module)]
    assert after == ["math.sin", "arith.subf", "math.log", "arith.divf"] * 10
    edited = chains.substitute(ours)
    assert [node.op.name for node in edited.nodes] == ["sin", "sub", "log_softmax", "div"] * 10


def chain_of(module: Any) -> list[Any]:
    """The operations of an xDSL chain but for the return."""
    (function,) = module.body.block.ops
    return list(function.body.block.ops)[:-1]


def test_sharing_halves_the_doubled_chain_in_every_library() -> None:
    size = 10 * chains.BLOCK
    assert equal(ShareCommon()(chains.chain(size, copies=2)), chains.chain(size // 2))
    shared = chains.torch_fx(size)["share what is common"]()
    assert len(shared.graph_module.graph.nodes) == size // 2 + 2  # type: ignore[attr-defined]
    result = chains.onnx_ir(size)["share what is common"]()
    assert len(result.model.graph) == size // 2  # type: ignore[attr-defined]
    doubled = chains.xdsl_chain(size, copies=2)
    cse(doubled)
    assert len(chain_of(doubled)) == size // 2


def test_every_operation_of_a_peer_is_one_of_ours() -> None:
    size = chains.BLOCK
    ours = chains.ours(size).keys()
    assert ours == rewriting.TARGETS.keys()
    assert chains.torch_fx(size).keys() <= ours
    assert chains.onnx_ir(size).keys() <= ours
    assert chains.xdsl(size).keys() <= ours
