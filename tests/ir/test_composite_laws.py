"""The laws that all composites obey: they map over new axes, and are what their ops declare."""

from typing import Any

import numpy as np
import pytest
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.infer import expand
from graftwork.ir.op import REGISTRY
from graftwork.ir.types import Typing
from tests.ir.operands import CAUSAL, QKV, SIZES, normal
from tests.ir.small import evaluate, named, ordered, region_of


@frozen
class Sample:
    """A composite at some arrays."""

    attrs: dict[str, Any]
    arrays: tuple[NamedArray, ...]


POSITIVE = named(np.linspace(0.5, 2, 4), "chan")
KEYS = named(np.array([1, 2], np.uint32), "key")
SPACE = {"stride": (2, 1), "dilation": (1, 2), "low": (1, 0), "high": (0, 1)}
POOL = {"axes": ("height", "width"), "into": ("oh", "ow"), "size": (3, 2), **SPACE}
CONV = {
    "axes": ("height", "width"), "kernel": ("kh", "kw"), "into": ("oh", "ow"), "over": "chan",
    "base_dilation": (1, 2), **SPACE,
}  # fmt: skip
IDS = named(np.array([[1, 3, 0], [2, 2, 3]]), "batch seq")
PLAIN = (
    "relu", "gelu", "quick_gelu", "silu", "softplus", "log_sigmoid", "mish", "leaky_relu", "elu",
    "selu", "hard_sigmoid", "hard_swish",
)  # fmt: skip
SAMPLES: dict[str, Sample] = {
    **{name: Sample({}, (normal("batch dim"),)) for name in PLAIN},
    "saturate": Sample({"dtype": "i32"}, (normal("batch dim"),)),
    "clip": Sample({"low": -1.0, "high": 0.5}, (normal("batch dim"),)),
    "glu": Sample({"axis": "embed", "into": "half"}, (normal("batch embed"),)),
    **{
        name: Sample({"over": ("seq", "dim")}, (normal("batch seq dim"),))
        for name in ("mean", "var", "logsumexp")
    },
    **{
        name: Sample({"axis": "seq"}, (normal("batch seq"),)) for name in ("softmax", "log_softmax")
    },
    "logaddexp": Sample({}, (normal("batch seq"), normal("seq dim", 1))),
    "linear": Sample({"over": "dim"}, (normal("batch dim"), normal("dim out", 1), normal("out"))),
    "embedding": Sample({"axis": "chan"}, (normal("chan dim"), IDS)),
    "one_hot": Sample({"axis": "classes", "size": 3}, (IDS,)),
    "rotary": Sample({"axis": "dim"}, (normal("batch dim"), normal("seq dim", 1), normal("dim"))),
    "layer_norm": Sample(
        {"over": "dim", "eps": 0.1}, (normal("seq dim"), normal("dim", 1), normal("dim", 2))
    ),
    "rms_norm": Sample({"over": "dim", "eps": 0.1}, (normal("seq dim"), normal("dim", 1))),
    "batch_norm": Sample(
        {"eps": 0.1},
        (normal("batch chan"), normal("chan", 1), POSITIVE, normal("chan", 2), normal("chan", 3)),
    ),
    "group_norm": Sample(
        {"axis": "chan", "groups": 2, "over": "seq", "eps": 0.1},
        (normal("batch chan seq"), normal("chan", 1), normal("chan", 2)),
    ),
    "attention": Sample(
        {"over": "dim", "key": "kv_seq", "masked_rows": "zero", "softcap": 2.0},
        (*QKV.values(), CAUSAL),
    ),
    "conv": Sample(CONV, (normal("batch chan height width"), normal("out chan kh kw", 1))),
    "max_pool": Sample(POOL, (normal("batch height width"),)),
    "avg_pool": Sample(POOL, (normal("batch height width"),)),
    "cross_entropy": Sample({"axis": "vocab", "ignore": 2}, (normal("batch seq vocab"), IDS)),
    "dynamic_slice": Sample(
        {"axis": "embed", "size": 3, "into": "k"}, (normal("batch embed"), named(np.array(2)))
    ),
    "dynamic_update_slice": Sample(
        {"axis": "embed", "update_axis": "seq"},
        (normal("batch embed"), normal("seq", 1), named(np.array(2))),
    ),
    "threefry2x32": Sample({}, tuple(named(np.uint32(i)) for i in range(4))),
    "random_bits": Sample({"axes": ("seq", "dim"), "key": "key"}, (KEYS,)),
    "random_uniform": Sample({"axes": ("seq", "dim"), "key": "key"}, (KEYS,)),
    "random_normal": Sample({"axes": ("seq", "dim"), "key": "key"}, (KEYS,)),
    "random_split": Sample({"axes": ("seq",), "key": "key"}, (KEYS,)),
    "random_fold_in": Sample({"key": "key"}, (KEYS, named(np.array(7)))),
    "random_seed": Sample({"key": "key"}, (named(np.array(7)),)),
}
COMPOSITES = sorted(name for name, op in REGISTRY.items() if op.body is not None)


def shifted(array: NamedArray) -> NamedArray:
    """Another array of the same kind."""
    return NamedArray(np.roll(array.array, 1), array.axes)


def results(name: str, arrays: tuple[NamedArray, ...]) -> tuple[NamedArray, ...]:
    def function(*xs: Any) -> Any:
        return REGISTRY[name].emit(*xs, **SAMPLES[name].attrs)

    named_arrays = {f"x{i}": array for i, array in enumerate(arrays)}
    return evaluate(function, SIZES | {"worlds": 2, "key": 2}, **named_arrays)


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composite_maps_over_an_axis_that_an_operand_gains(name: str) -> None:
    arrays = SAMPLES[name].arrays
    for place, array in enumerate(arrays):
        pair = (array, shifted(array))
        wide = NamedArray(np.stack([x.array for x in pair]), ("worlds", *array.axes))
        mapped = results(name, (*arrays[:place], wide, *arrays[place + 1 :]))
        for world, single in enumerate(pair):
            alone = results(name, (*arrays[:place], single, *arrays[place + 1 :]))
            for many, few in zip(mapped, alone, strict=True):
                axes = " ".join(map(str, few.axes))
                picked = many[{"worlds": world}]
                np.testing.assert_allclose(ordered(picked, axes), few.array, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_body_has_the_types_and_sites_that_its_op_declares(name: str) -> None:
    typing = Typing(SIZES | {"key": 2})
    arrays = {f"x{i}": array for i, array in enumerate(SAMPLES[name].arrays)}
    region = region_of(lambda *xs: REGISTRY[name].emit(*xs, **SAMPLES[name].attrs), typing, arrays)
    (node,) = region.nodes
    opened = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
    for declared, made in zip(node.outputs, opened.region.outputs, strict=True):
        assert declared.type.same(made.type)
    assert set(opened.marks) == set(node.op.sites)
    inner = set(opened.typing.table) - set(typing.table)
    assert all(axis not in value.type.axis_set for value in opened.region.outputs for axis in inner)
