"""Complex numbers in PyTorch models, against torch, at the traced sizes, at others, and at size 1.

Functions give the parts of their results, or complex results, whose parts are a last dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from graftwork.backends.reference import compile
from graftwork.frontends.torch import convert
from graftwork.frontends.torch.rules import COMPLEX_RULES, RULES
from graftwork.ir.errors import UnsupportedOpError
from tests.frontends.torch_support import Function, check, numbers

T = torch.Tensor
SIZES = [{"batch": 2, "seq": 6}, {"batch": 3, "seq": 7}, {"batch": 1, "seq": 6}]


def inputs(sizes: Mapping[str, int]) -> dict[str, T]:
    shape = (sizes["batch"], sizes["seq"])
    return {"x": numbers(*shape, 8), "y": numbers(*shape, 4, 2, seed=1)}


AXES: dict[str | int, str] = {"x": "batch seq wide=8", "y": "batch seq pairs=4 two=2"}


def shown(found: Mapping[str, T]) -> dict[str, T]:
    return {k: torch.view_as_real(v) if v.is_complex() else v for k, v in found.items()}


def pairs(x: T) -> T:
    return torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))


def parts(x: T, y: T) -> dict[str, T]:
    z, w = pairs(x), torch.view_as_complex(y)
    turn = torch.polar(torch.ones(4, dtype=x.dtype), torch.arange(4.0, dtype=x.dtype))
    return shown(
        {"real": z.real, "real_of_real": x.real, "conj_of_real": x.conj(),
         "imag": z.imag, "abs": z.abs(), "angle": z.angle(), "polar": turn + w,
         "conj": z.conj().resolve_conj(), "complex": torch.complex(x[..., :4], x[..., 4:]),
         "cast": x[..., :4].to(torch.complex128) + w, "rotated": z * turn[None]}
    )  # fmt: skip


def arithmetic(x: T, y: T) -> dict[str, T]:
    z, w = pairs(x), torch.view_as_complex(y)
    r = x[..., :4]
    return shown(
        {"add": z + w, "add_real": z + r, "add_one": z + 1, "sub": 2 - z,
         "alpha": z.add(w, alpha=2), "mul": z * w, "mul_real": r * z, "mul_two": z * 2.0,
         "mul_i": z * 1j, "real_i": r * 1j, "square": z.square(),
         "div": z / w, "div_real": z / (r + 9), "div_i": z / 2j,
         "one_over": 1 / w, "real_over": r / w, "reciprocal": w.reciprocal(), "neg": -z}
    )  # fmt: skip


def moved(x: T, y: T) -> dict[str, T]:
    z, w = pairs(x), torch.view_as_complex(y)
    at = torch.tensor([2, 0])
    return shown(
        {"cat": torch.cat([z, w], 1), "cat_real": torch.cat([z, x], -1),
         "stack": torch.stack([z, w]), "view": z.reshape(z.shape[0], -1),
         "back": z.mT.unsqueeze(1).expand(-1, 3, -1, -1).clone(),
         "slice": z[:, 1:, ::2], "select": z[:, -1], "index": z[..., at], "flip": z.flip(1),
         "where": torch.where(x[..., :4] > 0, z, 1), "fill": z.masked_fill(x[..., :4] > 0, 2 - 1j),
         "pad": torch.nn.functional.pad(z, (1, 2)), "ones": torch.ones_like(z) + w,
         "full": torch.full_like(z, 3j) + w, "sum": z.sum(1), "mean": z.mean(-1),
         "roll": z.roll(1, -1), "unfold": z.unfold(2, 2, 1)}
    )  # fmt: skip


def products(x: T, y: T) -> dict[str, T]:
    z, w = pairs(x), torch.view_as_complex(y)
    weight = torch.view_as_complex(numbers(3, 4, 2))
    return shown(
        {"matmul": z.mT @ w, "bmm": torch.bmm(z, w.mT), "mv": z[0] @ weight[0],
         "einsum": torch.einsum("bsi,oi->bso", z, weight),
         "linear": torch.nn.functional.linear(z, weight, weight[:, 0])}
    )  # fmt: skip


def fourier(x: T, y: T) -> dict[str, T]:
    z = pairs(x)
    found = {
        f"{name}_{norm}": getattr(torch.fft, name)(z, dim=1, norm=norm)
        for name in ("fft", "ifft", "irfft")
        for norm in ("ortho", "forward", "backward")
    }
    found |= {"fftn": torch.fft.fftn(x, dim=(1, 2)), "ifft2": torch.fft.ifft2(z), "empty": z[:, :0]}
    found |= {
        "rfft": torch.fft.rfft(x, dim=1),
        "rfft2": torch.fft.rfft2(x),
        "hfft": torch.fft.hfft(z),
    }
    found |= {"irfft_odd": torch.fft.irfft(z, n=5), "irfft2": torch.fft.irfft2(z, s=(6,), dim=(2,))}
    return shown(found)


@pytest.mark.parametrize("function", [parts, arithmetic, moved, products, fourier])
def test_complex_numbers_are_those_of_torch(function: Callable[..., dict[str, T]]) -> None:
    check(function, inputs, AXES, SIZES, tolerance=1e-11)


def test_inputs_outputs_and_parameters_have_their_parts_last() -> None:
    class Filter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.view_as_complex(numbers(8, 2)))
            self.register_buffer("shift", torch.tensor(2 - 1j))

        def forward(self, z: T) -> T:
            return z * self.weight + self.shift

    model, z = Filter(), torch.view_as_complex(numbers(3, 8, 2))
    graph = convert(model, z[:2], axes={"z": "batch wide=8"})
    (given,) = graph.inputs
    assert given.layout[:2] == ("batch", "wide")
    assert len(given.layout) == 3
    assert graph.store["weight"].shape == (8, 2)
    found = compile(graph)(z=torch.view_as_real(z).numpy())["output"]
    np.testing.assert_allclose(found.array, torch.view_as_real(model(z)).detach(), rtol=1e-12)


def test_a_rotation_by_complex_numbers_is_one_op_and_leaves_no_renames() -> None:
    import graftwork as gw

    def rotate(x: T) -> T:
        turn = torch.polar(torch.ones(x.shape[1]), torch.arange(x.shape[1]) * 0.1)
        return torch.view_as_real(pairs(x) * turn[None, :, None]).flatten(-2)

    x = numbers(2, 5, 8).float()
    graph = gw.from_torch(Function(rotate), kwargs={"x": x}, axes={"x": "batch seq wide=8"})
    ops = [node.op.name for node in graph.nodes]
    assert ops.count("rotary") == 1
    assert "rename" not in ops
    assert graph.axes["parts"] == 2


def test_what_is_not_known_of_complex_numbers_is_refused_by_name() -> None:
    def sorted_by(x: T) -> T:
        return torch.tanh(pairs(x)).real

    with pytest.raises(UnsupportedOpError, match=r"aten.tanh.default of complex numbers"):
        convert(Function(sorted_by), kwargs={"x": numbers(2, 8)}, axes={"x": "batch wide=8"})


def test_operators_that_take_real_numbers_too_have_rules_for_both() -> None:
    real = {*RULES, *(op.rpartition(".")[0] for op in RULES)}
    alone = COMPLEX_RULES.keys() - real
    assert alone == {
        f"aten.{name}"
        for name in (
            "complex", "polar", "view_as_complex", "view_as_real", "_view_as_real_copy",
            "view_as_real_copy", "imag", "_conj_physical", "_fft_c2c", "_fft_r2c", "_fft_c2r",
        )
    }  # fmt: skip
