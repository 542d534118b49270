"""The PyTorch frontend around the operators: inputs, axes, weights, outputs, origins, errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from graftwork.backends.reference import compile
from graftwork.frontends.torch import convert
from graftwork.frontends.torch.decompose import simplified
from graftwork.frontends.torch.rules import find_rule
from graftwork.ir.axis_spec import is_unnamed
from graftwork.ir.errors import AxisError, ConversionError, InputError, UnsupportedOpError
from graftwork.ir.graph import Graph
from graftwork.ir.sizes import symbol
from graftwork.ir.verify import verify
from tests.frontends.torch_support import agree, integers, numbers

T = torch.Tensor


class Small(nn.Module):
    """A little of everything: a tied weight, a buffer, a constant, a submodule called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.block = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", numbers(6), persistent=False)
        self.unused = nn.Linear(3, 3)
        self.double()

    def forward(self, ids: T, mask: T | None = None) -> dict[str, T]:
        hidden = self.block(self.block(self.embed(ids))).relu() * self.scale
        if mask is not None:
            hidden = hidden * mask[..., None]
        return {"logits": self.head(hidden), "hidden": hidden}


def small(axes: str = "batch seq", ids: T | None = None) -> tuple[Small, Graph]:
    model = Small()
    graph = convert(model, integers(2, 5, high=11) if ids is None else ids, axes={0: axes})
    verify(graph)
    return model, graph


# --- signature ----------------------------------------------------------------------------------


def test_inputs_and_outputs_have_names_and_layouts() -> None:
    _, graph = small()
    (port,) = graph.inputs
    assert (port.name, port.layout) == ("ids", ("batch", "seq"))
    assert [out.name for out in graph.outputs] == ["logits", "hidden"]
    assert {graph.axes["batch"], graph.axes["seq"]} == {symbol("batch"), symbol("seq")}
    assert all(is_unnamed(axis) for axis in graph.axes if axis not in ("batch", "seq"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 1), (2, 2), (3, 3)])
def test_samples_of_any_size_are_dynamic(shape: tuple[int, int]) -> None:
    model, graph = small(ids=integers(*shape, high=11))
    assert graph.axes["batch"] == symbol("batch")
    for size in [(1, 1), (4, 3)]:
        agree(graph, model, {"ids": integers(*size, high=11)}, 1e-12)


def test_a_fixed_axis_keeps_its_name_and_size() -> None:
    model, graph = small("batch=1 seq", integers(1, 5, high=11))
    assert graph.axes["batch"] == 1
    assert graph.inputs[0].layout == ("batch", "seq")
    assert graph.outputs[0].layout[:2] != (None, None)
    agree(graph, model, {"ids": integers(1, 7, high=11)}, 1e-12)
    _, graph = small("batch=2 seq")
    assert graph.axes["batch"] == 2


def test_an_axis_of_size_1_that_the_model_insists_on() -> None:
    class One(nn.Module):
        def forward(self, x: T) -> T:
            return x.squeeze(0) * x.reshape(x.shape[1]).sum()

    graph = convert(One(), numbers(1, 5), axes={"x": "batch=1 seq"})
    assert graph.inputs[0].layout == ("batch", "seq")
    agree(graph, One(), {"x": numbers(1, 8)}, 1e-12)


def test_an_argument_that_is_not_spoken_of_follows_the_axes_that_it_must_have() -> None:
    for batch in (1, 2):
        ids, mask = integers(batch, 5, high=11), numbers(batch, 5)
        model = Small()
        graph = convert(model, kwargs={"ids": ids, "mask": mask}, axes={"ids": "batch seq"})
        sizes = [graph.axes[axis] for axis in graph.inputs[1].layout if axis is not None]
        assert sizes == [symbol("batch"), symbol("seq")]
        agree(graph, model, {"ids": integers(3, 2, high=11), "mask": numbers(3, 2)}, 1e-12)


def test_without_axes_all_sizes_are_the_samples() -> None:
    model = Small()
    graph = convert(model, integers(2, 5, high=11))
    assert graph.symbols == ()
    agree(graph, model, {"ids": integers(2, 5, high=11)}, 1e-12)


def test_arguments_in_containers_have_dotted_names() -> None:
    class Nested(nn.Module):
        def forward(self, pair: tuple[T, T], *more: T, extra: Mapping[str, T], **rest: T) -> Any:
            return (pair[0] + pair[1] + more[0], [extra["a"] * rest["z"]])

    x = numbers(2, 3)
    kwargs = {"extra": {"a": x}, "z": x}
    graph = convert(Nested(), (x, x), x, kwargs=kwargs, axes={"pair.1": "rows _", "extra": "a _"})
    assert [port.name for port in graph.inputs] == ["pair.0", "pair.1", "more.0", "extra.a", "z"]
    assert [port.name for port in graph.outputs] == ["output_0", "output_1.0"]


def test_a_single_tensor_is_called_output_and_objects_are_left_out() -> None:
    class Cached(nn.Module):
        def forward(self, x: T, flag: bool = True) -> Any:
            return {"y": x + flag, "cache": object(), "nothing": None}

    assert [p.name for p in convert(nn.ReLU(), numbers(2)).outputs] == ["output"]
    graph = convert(Cached(), numbers(2), kwargs={"flag": False})
    assert [port.name for port in graph.outputs] == ["y"]
    assert [port.name for port in graph.inputs] == ["x"]


# --- weights ------------------------------------------------------------------------------------


def test_weights_share_memory_and_tied_ones_are_one() -> None:
    model, graph = small()
    found = {p.name: p for p in graph.parameters}
    assert set(found) == {"embed.weight", "block.weight", "block.bias", "scale"}
    assert found["embed.weight"].aliases == ("head.weight",)
    assert [p.name for p in graph.parameters if not p.trainable] == ["scale"]
    with torch.no_grad():
        model.embed.weight[3, 2] = 42.0
    assert graph.params["embed.weight"][3, 2] == 42.0


@pytest.mark.parametrize(
    "function", [torch.relu, lambda x: torch.relu(x), functools.partial(torch.clamp, min=0.0)]
)
def test_a_function_of_tensors_is_a_model(function: Callable[..., torch.Tensor]) -> None:
    x = torch.randn(3, 4)
    graph = convert(function, x)
    (found,) = compile(graph)(**{graph.inputs[0].name: x.numpy()}).values()
    np.testing.assert_array_equal(found.array, x.clamp(min=0.0))


def test_bfloat16_weights_are_not_copied() -> None:
    model = nn.Linear(3, 2).bfloat16()
    for parameter in model.parameters():  # nothing cancels, so that roundings stay relative
        nn.init.uniform_(parameter, 0.5, 1.0)
    graph = convert(model, torch.ones(2, 3, dtype=torch.bfloat16), axes={0: "rows _"})
    array = graph.params["weight"]
    assert array.dtype.name == "bfloat16"
    assert array.__array_interface__["data"][0] == model.weight.data_ptr()
    got = compile(graph)(input=np.ones((4, 3), array.dtype))["output"].array
    wanted = model(torch.ones(4, 3, dtype=torch.bfloat16)).float().detach().numpy()
    np.testing.assert_allclose(np.asarray(got, np.float32), wanted, rtol=0.02)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.LSTM(3, 3, batch_first=True))
    model[1].eval()
    modes = [module.training for module in model.modules()]
    weights = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    convert(model, torch.ones(2, 4, 3), axes={0: "batch seq _"})
    assert [module.training for module in model.modules()] == modes
    assert {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()} == weights
    assert all(p.requires_grad for p in model.parameters())
    model(torch.ones(2, 4, 3))[0].sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# --- provenance and guards ----------------------------------------------------------------------


def test_nodes_know_their_module_their_line_and_their_operator() -> None:
    _, graph = small()
    (relu,) = (node for node in graph.nodes if node.op.name == "relu")
    assert relu.origin.op == "aten.relu.default"
    assert relu.origin.module == ""
    file, _, line = relu.origin.source.rpartition(":")
    assert file == "tests/frontends/test_torch.py"
    assert int(line) > 30
    linears = [node for node in graph.nodes if node.op.name == "linear"]
    assert [node.origin.module for node in linears] == ["block@0", "block@1", "head"]


def test_conditions_on_sizes_travel_with_the_graph() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(numbers(16, 4))

        def forward(self, x: T) -> T:
            return (x + self.table[: x.shape[1]]).view(x.shape[0], -1, 2, 4)

    graph = convert(Positions(), numbers(2, 6, 4), axes={0: "batch seq _"})
    assert {(str(g.size), g.low, g.high) for g in graph.guards} == {
        ("seq", None, 16),
        ("seq % 2", 0, 0),
    }


# --- other programs -----------------------------------------------------------------------------


def test_an_exported_program() -> None:
    model = Small().eval()
    ids, dynamic = integers(2, 5, high=11), {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, (ids,), dynamic_shapes={"ids": dynamic})
    cases: list[dict[str | int, str]] = [{}, {"ids": "batch seq=5"}]
    for axes in cases:
        graph = convert(program, axes=axes)
        verify(graph)
        agree(graph, model, {"ids": integers(4, 5, high=11)}, 1e-12)
    assert "batch" in graph.axes
    with pytest.raises(InputError, match="samples"):
        convert(program, ids)


def test_an_exported_program_of_core_operators() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval()
    program = torch.export.export(layer, (numbers(2, 5, 8),)).run_decompositions()
    agree(convert(program), layer, {"src": numbers(2, 5, 8)}, 1e-9)


def test_only_what_writes_is_decomposed() -> None:
    class Cached(nn.Module):
        """Starts from an empty constant, as caches of keys do, which torch detaches in place."""

        def forward(self, x: T) -> T:
            return torch.max(torch.cat([torch.tensor([], dtype=x.dtype), x]), x)

    program = torch.export.export(Cached(), (numbers(3),))
    assert "aten.detach_.default" in {str(node.target) for node in program.graph.nodes}
    assert simplified(program, find_rule) is program
    agree(convert(program), Cached(), {"x": numbers(3)}, 1e-12)
    written = torch.export.export(nn.BatchNorm1d(3), (torch.zeros(2, 3),))
    assert simplified(written, find_rule) is not written


def test_an_fx_graph_module() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.GELU()).double()
    traced = torch.fx.symbolic_trace(model)
    graph = convert(traced, numbers(2, 4), axes={0: "rows _"})
    agree(graph, traced, {"input": numbers(5, 4)}, 1e-9)


# --- bad input ----------------------------------------------------------------------------------


def test_arguments_that_do_not_fit_the_model() -> None:
    with pytest.raises(InputError, match="ids"):
        convert(Small())
    with pytest.raises(InputError, match=r"maske|unexpected"):
        convert(Small(), integers(2, 5), kwargs={"maske": 1})
    with pytest.raises(InputError, match=r"'idz'.*did you mean 'ids'"):
        convert(Small(), integers(2, 5), axes={"idz": "batch seq"})
    with pytest.raises(AxisError, match="1 words"):
        convert(Small(), integers(2, 5), axes={"ids": "batch"})
    with pytest.raises(InputError, match="int"):
        convert(3)  # type: ignore[arg-type]


def test_control_flow_that_depends_on_data() -> None:
    class Branching(nn.Module):
        def forward(self, x: T) -> T:
            if x.sum() > 0:
                return x
            return -x

    with pytest.raises(ConversionError, match=r"torch\.where.*test_torch\.py:\d+"):
        convert(Branching(), numbers(3))


def test_a_model_that_does_not_run_on_the_samples() -> None:
    with pytest.raises(ConversionError, match=r"does not run on these arguments.*mat1"):
        convert(nn.Linear(3, 2), numbers(4, 5))


def test_a_model_that_takes_another_way_when_traced() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.runs = nn.Buffer(torch.zeros(()))

        def forward(self, x: T) -> T:
            if torch.compiler.is_exporting():
                raise ValueError("not here")
            self.runs += 1
            return x

    model = Counting()
    with pytest.raises(ConversionError, match=r"runs on these samples.*Torch says: not here"):
        convert(model, numbers(3))
    assert model.runs == 0


def test_an_axis_that_cannot_vary() -> None:
    class Fixed(nn.Module):
        def forward(self, x: T) -> T:
            return x + torch.ones(5, dtype=x.dtype)

    with pytest.raises(ConversionError, match="axis 'seq'"):
        convert(Fixed(), numbers(2, 5), axes={"x": "batch seq"})
    agree(convert(Fixed(), numbers(2, 5), axes={"x": "b s=5"}), Fixed(), {"x": numbers(3, 5)}, 0)


def test_operators_without_a_rule_are_named_with_their_origin() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: T) -> T:
            result: T = self.inner(x)
            return result

    class Inner(nn.Module):
        def forward(self, x: T) -> T:
            return torch.special.airy_ai(x)

    with pytest.raises(UnsupportedOpError, match=r"airy_ai.*inner.*test_torch\.py:\d+.*rule"):
        convert(Odd(), numbers(3, 3))


def test_a_module_that_is_moved_to_where_it_is_converts() -> None:
    class Moving(torch.nn.Module):
        def __init__(self, dtype: torch.dtype) -> None:
            super().__init__()
            self.layer, self.dtype = torch.nn.Linear(3, 2), dtype

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer.to(self.dtype)(x.to(self.dtype))

    x = torch.randn(2, 3)
    moving = Moving(torch.float32)
    weight = moving.layer.weight
    graph = convert(moving, x, axes={"x": "batch in=3"})
    assert moving.layer.weight is weight
    agree(graph, moving, {"x": x}, 1e-6)
    with pytest.raises(ConversionError, match=r"do it before the conversion, module.to\(...\)"):
        convert(Moving(torch.float64), x, axes={"x": "batch in=3"})
