"""Tracing a model with torch.export, so that nothing about the model changes."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from attrs import evolve, frozen
from torch.utils import _pytree as pytree

from graftwork.frontends.torch.decompose import Knows, let_go, simplified
from graftwork.frontends.torch.dynamic import KeepingAxes, keeping_modules
from graftwork.frontends.torch.failures import explained
from graftwork.ir.axis_spec import AxisWord, fixed_sizes, match_axes
from graftwork.ir.errors import ConversionError, InputError

ROOT = "model"  # where the traced wrapper holds the caller's model


@frozen(eq=False)
class Exported:
    """A traced program and what its caller said of it.

    Attributes:
        program: the program, decomposed.
        inputs: input path -> placeholder, of all arguments of the caller.
        words: input path -> what the caller said of each dimension.
        fixed: axis -> the size that the caller fixed it to.
        prefix: what precedes the model's own names in the program.
        key: the name of the input that random numbers come from.
    """

    program: torch.export.ExportedProgram
    inputs: Mapping[str, str]
    words: Mapping[str, Sequence[AxisWord]]
    fixed: Mapping[str, int]
    prefix: str = ""
    key: str = "key"

    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Input path -> shape as traced, of the inputs that are tensors."""
        nodes = self.program.graph.nodes
        values = {n.name: n.meta.get("val") for n in nodes if n.op == "placeholder"}
        return {
            path: tuple(values[name].shape)
            for path, name in self.inputs.items()
            if isinstance(values[name], torch.Tensor)
        }


class _Wrapper(torch.nn.Module):
    """Calls the model with arguments by name, and keeps what of its output can be traced."""

    def __init__(self, model: torch.nn.Module, signature: inspect.Signature) -> None:
        super().__init__()
        self.signature = signature
        self.add_module(ROOT, model)

    def forward(self, arguments: dict[str, Any]) -> Any:
        bound = inspect.BoundArguments(self.signature, dict(arguments))
        with KeepingAxes(), keeping_modules():
            return traceable(self.get_submodule(ROOT)(*bound.args, **bound.kwargs))


def traceable(output: Any) -> Any:
    """The output without the leaves that are no tensors or numbers, such as a cache's objects."""
    kinds = (torch.Tensor, torch.SymInt, bool, int, float, str, type(None))
    return pytree.tree_map(lambda leaf: leaf if isinstance(leaf, kinds) else None, output)


@frozen
class _Plan:
    """What is tried to be dynamic.

    Attributes:
        ones: axes that the caller fixed to 1 are traced as dynamic, so that they stay axes.
        guess: unit dimensions of arguments that the caller did not mention may be such axes.
    """

    ones: bool
    guess: bool


def trace(
    model: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    axes: Mapping[str | int, str],
    training: bool,
    knows: Knows,
) -> Exported:
    """Trace a model on sample arguments, the axes that `axes` names being dynamic.

    `knows` tells which operators need no decomposition.

    Raises:
        InputError: if the model does not take these arguments, or `axes` names an unknown one.
        AxisError: if `axes` does not fit the samples.
        ConversionError: if the model cannot be traced.
    """
    signature = inspect.signature(model.forward)
    try:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise InputError(f"{type(model).__name__}.forward{signature}: {error}") from None
    paths = argument_paths(arguments, signature)
    shapes = {p: tuple(x.shape) for p, x in paths.items() if isinstance(x, torch.Tensor)}
    words = match_axes(axes, shapes, _positions(arguments, signature))
    fixed = fixed_sizes(words.values())
    wrapper = _Wrapper(model, signature)
    run = partial(_untraced, model, signature, arguments, training)
    failures: list[ConversionError] = []
    for plan in _plans(words, shapes, fixed):
        sample, dims = _sample(arguments, paths, words, fixed, plan)
        try:
            with as_found(model, training):
                program = simplified(_run_export(wrapper, sample, dims), knows)
        except Exception as error:
            failures.append(explained(error, words, shapes, run))
            continue
        inputs = dict(zip(paths, user_inputs(program), strict=True))
        exported = Exported(program, inputs, words, fixed, ROOT)
        if not plan.guess or _guesses_hold(exported, shapes):
            return exported
    raise failures[0]


def argument_paths(arguments: Any, signature: inspect.Signature | None = None) -> dict[str, Any]:
    """Dotted path -> leaf, in the order in which torch flattens arguments."""
    catch_all = (
        ""
        if signature is None
        else next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), "")
    )
    found: dict[str, Any] = {}
    for keys, leaf in pytree.tree_flatten_with_path(arguments)[0]:
        words = [_key_word(key) for key in keys]
        found[".".join(words[1:] if words[0] == catch_all else words)] = leaf
    return found


def _key_word(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _positions(arguments: Mapping[str, Any], signature: inspect.Signature) -> list[str]:
    """The path of each positional argument."""
    names: list[str] = []
    for name, value in arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}.{i}" for i in range(len(value))]
        else:
            names.append(name)
    return names


def _plans(
    words: Mapping[str, Sequence[AxisWord]],
    shapes: Mapping[str, Sequence[int]],
    fixed: Mapping[str, int],
) -> list[_Plan]:
    """Most dynamic first."""
    ones = 1 in fixed.values()
    named = [
        extent
        for path, each in words.items()
        for word, extent in zip(each, shapes[path], strict=True)
        if word.name is not None
    ]
    guess = 1 in named and any(1 in shapes[path] for path in shapes if path not in words)
    plans = [_Plan(ones, True)] if guess else []
    plans.append(_Plan(ones, False))
    return [*plans, _Plan(False, False)] if ones else plans


def _sample(
    arguments: Mapping[str, Any],
    paths: Mapping[str, Any],
    words: Mapping[str, Sequence[AxisWord]],
    fixed: Mapping[str, int],
    plan: _Plan,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments to trace with, and which of their dimensions are dynamic.

    A dimension of extent 1 cannot be traced as dynamic, so it is repeated.
    """
    leaves: list[Any] = []
    dims: list[Any] = []
    for path, leaf in paths.items():
        if not isinstance(leaf, torch.Tensor):
            leaves.append(leaf)
            dims.append(None)
            continue
        spoken = words.get(path)
        marks: dict[int, Any] = {}
        repeats = [1] * leaf.ndim
        for place, extent in enumerate(leaf.shape):
            if spoken is not None:
                name = spoken[place].name
                size = None if name is None else fixed.get(name)
                if name is None or (size is not None and not (size == 1 and plan.ones)):
                    continue
                marks[place] = torch.export.Dim.DYNAMIC
            elif words:
                marks[place] = torch.export.Dim.AUTO
            if extent == 1 and (spoken is not None or (words and plan.guess)):
                repeats[place] = 2
        sample = leaf.detach()
        leaves.append(sample.repeat(repeats) if 2 in repeats else sample)
        dims.append(marks or None)
    spec = pytree.tree_structure(dict(arguments))
    return pytree.tree_unflatten(leaves, spec), _marked(spec, iter(dims))


def _marked(spec: pytree.TreeSpec, dims: Iterator[Any]) -> Any:
    """Marks of dimensions, arranged as torch.export takes them: a cache's own class as a list."""
    if spec.is_leaf():
        return next(dims)
    children = [_marked(child, dims) for child in spec.children()]
    plain = spec.type in (dict, list, tuple)
    return pytree.tree_unflatten(children, _flat(spec)) if plain else children


def _flat(spec: pytree.TreeSpec) -> pytree.TreeSpec:
    """The outermost level of a tree."""
    leaf = pytree.tree_structure(0)
    return pytree.TreeSpec(spec.type, spec.context, [leaf] * spec.num_children)


def _run_export(
    wrapper: _Wrapper, sample: dict[str, Any], dims: dict[str, Any]
) -> torch.export.ExportedProgram:
    # opt_einsum would choose an order of contractions by sizes, and fix them.
    einsum_in_order = torch.backends.opt_einsum.flags(enabled=False)
    with torch.no_grad(), warnings.catch_warnings(), einsum_in_order:
        warnings.simplefilter("ignore")
        program = torch.export.export(
            wrapper, (sample,), dynamic_shapes={"arguments": dims}, strict=False
        )
    let_go()
    return program


def _untraced(
    model: torch.nn.Module,
    signature: inspect.Signature,
    arguments: Mapping[str, Any],
    training: bool,
) -> None:
    """Run the model on samples; it changes neither them nor itself."""
    given = pytree.tree_map_only(torch.Tensor, torch.clone, dict(arguments))
    bound = inspect.BoundArguments(signature, given)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), as_found(model, training):
        torch.func.functional_call(model, buffers, bound.args, bound.kwargs)


@contextlib.contextmanager
def as_found(model: torch.nn.Module, training: bool) -> Iterator[None]:
    """The model in the wanted mode; afterwards each of its modules in the mode that it was in."""
    before = {module: module.training for module in model.modules()}
    try:
        model.train(training)
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


def _guesses_hold(exported: Exported, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether every unit dimension that was repeated on a guess is one of the named axes."""
    inputs = exported.shapes()
    named = {
        str(extent)
        for path, words in exported.words.items()
        for word, extent in zip(words, inputs[path], strict=True)
        if word.name is not None
    }
    return all(
        str(traced) in named
        for path, extents in shapes.items()
        if path not in exported.words
        for extent, traced in zip(extents, inputs[path], strict=True)
        if extent == 1
    )


def user_inputs(program: torch.export.ExportedProgram) -> list[str]:
    """The placeholders of all arguments of the caller, in order."""
    kind = torch.export.graph_signature.InputKind.USER_INPUT
    return [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is kind]


def adopt(
    program: torch.export.ExportedProgram,
    axes: Mapping[str | int, str],
    knows: Knows,
) -> Exported:
    """A program that the caller exported; `knows` tells which operators need no decomposition.

    Raises:
        InputError, AxisError: if `axes` does not fit the program's inputs.
        ConversionError: if torch cannot decompose an operator.
    """
    try:
        program = simplified(program, knows)
    except Exception as error:
        raise explained(error, {}, {}) from error
    names = user_inputs(program)
    inputs = {name: name for name in names}
    signature = program.module_call_graph[0].signature
    if signature is not None and signature.forward_arg_names is not None:
        args, kwargs = pytree.tree_unflatten(names, program.call_spec.in_spec)
        words = dict(zip(signature.forward_arg_names, args, strict=False)) | kwargs
        inputs = argument_paths(words)
    exported = Exported(program, inputs, {}, {})
    shapes = exported.shapes()
    hints = {path: [int(extent) for extent in map(_hint, each)] for path, each in shapes.items()}
    spoken = match_axes(axes, hints, list(inputs))
    return evolve(exported, words=spoken, fixed=fixed_sizes(spoken.values()))


def _hint(extent: Any) -> int:
    """The extent that a dimension had in the sample."""
    return extent if isinstance(extent, int) else int(extent.node.hint)
