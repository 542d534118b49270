"""Every rule is tested on its own left side: it fires, and the numbers stay."""

import numpy as np
import pytest
from hypothesis import given

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Builder
from graftwork.ir.digest import equal
from graftwork.ir.dtypes import DType
from graftwork.ir.evaluate import run
from graftwork.ir.graph import Graph, Port
from graftwork.ir.sizes import symbol
from graftwork.ir.types import Typing
from graftwork.ir.verify import verify
from graftwork.passes import rules
from graftwork.passes.axes import Unify
from graftwork.passes.cleanup import Cleanup
from graftwork.passes.composites import RULES, STAGES, Recover
from graftwork.passes.rules import rewrite
from tests.frontends.jax_support import from_jax, normal
from tests.frontends.test_jax_repeats import layer, stack
from tests.passes.programs import programs

# What a result of 16 bits may differ by: both sides round to 8 bits of precision.
TOLERANCE = {DType.bf16: 2**-6}


def arrays(graph, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {}
    for port in graph.inputs:
        dtype = port.value.type.dtype
        array = rng.standard_normal([graph.axes[axis] for axis in port.layout])
        array = array > 0 if dtype is DType.boolean else array.astype(dtype.numpy)
        inputs[port.name] = NamedArray(array, port.layout)
    return inputs


def result(graph, seed):
    return np.asarray(run(graph, arrays(graph, seed), {})["result"]).astype(np.float64)


NUMBERED = [pytest.param(rule, id=f"{i}-{rule.name}") for i, rule in enumerate(RULES)]


@pytest.mark.parametrize("rule", NUMBERED)
def test_a_rule_fires_on_its_own_example_and_keeps_the_numbers(rule):
    graph = rule.pattern.example()
    verify(graph)
    after, fired = rewrite(graph, [rule])
    verify(after)
    assert [firing.rule for firing in fired] == [rule.name]
    assert rule.name in {node.op.name for node in after.nodes}
    tolerance = TOLERANCE.get(graph.outputs[0].value.type.dtype, 1e-9)
    for seed in range(3):
        np.testing.assert_allclose(
            result(after, seed), result(graph, seed), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("first", ["x", "weight"])
def test_an_affine_map_is_found_with_its_weight_on_either_side(first):
    axes = {"batch": symbol("batch"), "embed": 8, "out": 5}
    with Builder(Typing(axes)) as builder:
        x, weight = builder.input("f64", "batch embed", "x"), builder.input("f64", "out embed", "w")
        pair = (x, weight) if first == "x" else (weight, x)
        y = ops.contract(*pair, over="embed") + builder.input("f64", "out", "b")
    graph = Graph((), (), tuple(builder.nodes), (Port("y", y.value, y.axes),), axes)
    (node,) = Recover()(graph).nodes
    assert node.op.name == "linear"
    assert [set(value.axes) for value in node.inputs] == [
        {"batch", "embed"}, {"out", "embed"}, {"out"},
    ]  # fmt: skip


@pytest.mark.parametrize("rule", NUMBERED)
def test_all_rules_together_find_the_same(rule):
    after = Recover()(rule.pattern.example())
    verify(after)
    ops = [node.op.name for node in after.nodes]
    assert rule.name in ops
    assert len([op for op in ops if op != "constant"]) <= 2
    assert str(Recover()(after)) == str(after)


def rewritten(graph, everywhere):
    """What the stages make of a graph, and the rules that fired."""
    with pytest.MonkeyPatch.context() as patch:
        if everywhere:
            patch.setattr(rules, "_behind", lambda level, changed, depth: level.nodes)
        names = []
        for stage in STAGES:
            graph, fired = rewrite(graph, stage, rounds=8)
            names += [firing.rule for firing in fired]
    return graph, names


def same_as_everywhere(graph):
    new, names = rewritten(graph, everywhere=False)
    plain, all_names = rewritten(graph, everywhere=True)
    assert names == all_names
    assert equal(new, plain, origins=True)
    return names


def test_later_rounds_find_what_they_would_if_they_looked_everywhere():
    x = normal(2, 5, 8, dtype=np.float32)
    raw = from_jax(stack, x, params=[layer(i) for i in range(3)])
    names = same_as_everywhere(raw.apply(Unify(), Cleanup()))
    assert len(set(names)) > 4  # of which some rest on what others found


@given(programs())
def test_later_rounds_miss_nothing_in_any_program(graph):
    same_as_everywhere(graph.apply(Unify(), Cleanup()))
