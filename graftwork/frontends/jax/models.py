"""What a caller converts, as a function of a tree of parameters and of arguments.

Functions, Flax modules (linen and nnx), and any module that is a pytree: Equinox, Penzai. Arrays
in a module are its parameters; everything else in it is part of the program.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from attrs import frozen

from graftwork.frontends.jax import _jax
from graftwork.ir.errors import ConversionError


@frozen
class Leaf:
    """One array of a tree.

    Attributes:
        name: dotted path from the root of the tree.
        value: the array, or the shape and dtype of one.
    """

    name: str
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.value.shape))


@frozen
class Tree:
    """A tree of which only the arrays vary.

    Attributes:
        leaves: the arrays.
        restore: the tree again, from other arrays.
    """

    leaves: tuple[Leaf, ...]
    restore: Callable[[Sequence[Any]], Any]

    @staticmethod
    def of(value: Any, name: str = "", rename: Callable[[str], str] = lambda x: x) -> Tree:
        """Take a tree apart; `name` stands for its root."""
        found, structure = jax.tree_util.tree_flatten_with_path(value)
        places = [i for i, (_, leaf) in enumerate(found) if is_array(leaf)]
        leaves = tuple(Leaf(rename(path_name(found[i][0], name)), found[i][1]) for i in places)

        def restore(arrays: Sequence[Any]) -> Any:
            parts = [leaf for _, leaf in found]
            for place, array in zip(places, arrays, strict=True):
                parts[place] = array
            return jax.tree_util.tree_unflatten(structure, parts)

        return Tree(leaves, restore)


def path_name(path: Sequence[Any], root: str) -> str:
    """A path into a pytree in words: `layers.0.weight`."""
    words = jax.tree_util.keystr(tuple(path), simple=True, separator=".")
    return ".".join(word for word in (root, words) if word)


def is_array(leaf: Any) -> bool:
    """Whether a leaf varies from run to run; Python numbers are part of the program."""
    return isinstance(leaf, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct)


@frozen
class Model:
    """A model to convert.

    Attributes:
        call: `call(arrays, *args)` runs the model on its parameters' arrays.
        parameters: the arrays that it holds, or is given by the caller.
        arguments: the names of its arguments.
        trained: says of a parameter's name whether training changes it.
        source: what the caller gave, in which closed-over arrays have names.
    """

    call: Callable[..., Any]
    parameters: tuple[Leaf, ...]
    arguments: tuple[str, ...]
    source: Any
    trained: Callable[[str], bool] = lambda name: not name.startswith("batch_stats.")


def read_model(model: Any, params: Any, count: int, training: bool) -> Model:
    """What `from_jax` was given, as a function of parameters and `count` arguments.

    Raises:
        ConversionError: if it cannot be called, or has parameters twice or not at all.
    """
    if not callable(model) and not _is_linen(model):
        raise ConversionError(
            f"from_jax takes a function or a module, not {type(model).__name__}; a linen module "
            "and its variables are `from_jax(module, x, params=variables)`"
        )
    if _is_linen(model):
        return _linen(model, params, count)
    module = _is_nnx(model) or not jax.tree_util.all_leaves([model])
    if module and params is not None:
        raise ConversionError(f"{type(model).__name__} holds its own parameters; leave params= out")
    if _is_nnx(model):
        return _nnx(model, count, training)
    return _pytree(model, count, training) if module else _function(model, params, count)


def _names(function: Any, count: int, skip: int = 0) -> tuple[str, ...]:
    """The names of the first arguments of a call."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        parameters = []
    single = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in single][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
    return (*names, *(f"{rest}_{i}" for i in range(count - len(names))))


def _function(function: Callable[..., Any], params: Any, count: int) -> Model:
    if params is None:
        return Model(lambda arrays, *args: function(*args), (), _names(function, count), function)
    tree = Tree.of(params, "params" if is_array(params) else "")
    return Model(
        lambda arrays, *args: function(tree.restore(arrays), *args),
        tree.leaves,
        _names(function, count, 1),
        function,
    )


def _pytree(model: Any, count: int, training: bool) -> Model:
    equinox: Any = sys.modules.get("equinox")
    if equinox is not None and isinstance(model, equinox.Module) and not training:
        model = equinox.nn.inference_mode(model)
    if _has_variables(model):
        return _penzai(model, count)
    tree = Tree.of(model)
    return Model(
        lambda arrays, *args: tree.restore(arrays)(*args),
        tree.leaves,
        _names(model, count),
        model,
    )


def _has_variables(model: Any) -> bool:
    variables: Any = sys.modules.get("penzai.core.variables")
    leaves = jax.tree_util.tree_leaves(model)
    return variables is not None and any(isinstance(x, variables.AbstractVariable) for x in leaves)


def _penzai(model: Any, count: int) -> Model:
    variables: Any = sys.modules["penzai.core.variables"]
    unbound, tree = _unbound(model)

    def call(arrays: Sequence[Any], *args: Any) -> Any:
        return variables.bind_variables(unbound, tree.restore(arrays).values())(*args)

    return Model(call, tree.leaves, _names(model, count), model)


def _unbound(model: Any) -> tuple[Any, Tree]:
    """A Penzai model less its variables, and those: no pytrees until they are taken out."""
    variables: Any = sys.modules["penzai.core.variables"]
    unbound, values = variables.unbind_variables(model, freeze=True)
    return unbound, Tree.of({str(value.label): value for value in values}, rename=_without_array)


def _without_array(name: str) -> str:
    return name.removesuffix(".data_array").removesuffix(".value")


def _is_nnx(model: Any) -> bool:
    nnx: Any = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(model, nnx.Module)


def _nnx(model: Any, count: int, training: bool) -> Model:
    nnx: Any = sys.modules["flax.nnx"]
    definition, state = nnx.split(model)
    tree = Tree.of(state, rename=_without_value)
    trained = {
        leaf.name for leaf in Tree.of(nnx.state(model, nnx.Param), "", _without_value).leaves
    }

    def call(arrays: Sequence[Any], *args: Any) -> Any:
        restored = nnx.merge(definition, tree.restore(arrays))
        if not training:
            restored.eval()
        return restored(*args)

    names = _names(model, count)
    return Model(call, tree.leaves, names, model, trained.__contains__)


def _without_value(name: str) -> str:
    return name.removesuffix(".value")


def _is_linen(model: Any) -> bool:
    linen: Any = sys.modules.get("flax.linen")
    return linen is not None and isinstance(model, linen.Module)


def _linen(module: Any, params: Any, count: int) -> Model:
    if params is None and module.scope is not None:
        module, params = module.unbind()
    if params is None:
        raise ConversionError(
            f"the linen module {type(module).__name__} has no variables; give them as "
            "params=variables, or convert `lambda variables, x: module.apply(variables, x)`"
        )
    tree = Tree.of(params)
    return Model(
        lambda arrays, *args: module.apply(tree.restore(arrays), *args),
        tree.leaves,
        _names(type(module).__call__, count, 1),
        module,
    )


# --- arrays that a function closes over ---------------------------------------------------------

_DEPTH = 4


def closed_over(source: Any) -> dict[object, str]:
    """Names of the arrays that a function reads without being given them: identity -> name."""
    found: dict[object, str] = {}
    for name, value in _reachable(source, _DEPTH, set()):
        try:
            known = _has_variables(value)
            tree = _unbound(value)[1] if known else Tree.of(value, name, _without_value)
        except (TypeError, ValueError):  # no pytree: a dictionary whose keys have no order
            continue
        for leaf in tree.leaves:
            found.setdefault(identity(leaf.value), leaf.name)
    return found


def identity(array: Any) -> object:
    """What two views of the same memory have in common."""
    if isinstance(array, np.ndarray):
        interface = array.__array_interface__
        return interface["data"], array.shape, array.strides, array.dtype.str
    return id(array)


def _reachable(source: Any, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The values, and their names, that a callable was made with; what it wraps first."""
    if depth == 0 or id(source) in seen:
        return
    seen.add(id(source))
    for attribute in ("__wrapped__", "__self__", "func"):
        inner = getattr(source, attribute, None)
        if inner is not None and not inspect.ismodule(inner):
            yield "", inner
            yield from _reachable(inner, depth - 1, seen)
    for name, value in _captured(source).items():
        if not inspect.ismodule(value) and not inspect.isclass(value):
            yield name, value
            if callable(value):
                yield from _reachable(value, depth - 1, seen)


def _captured(source: Any) -> dict[str, Any]:
    """The values that a callable itself holds, by name."""
    if isinstance(source, functools.partial):
        return {f"args.{i}": value for i, value in enumerate(source.args)} | source.keywords
    if not inspect.isfunction(source):
        return {}
    try:
        found = inspect.getclosurevars(source)
    except ValueError:  # a variable that has no value yet
        return {}
    return {**found.globals, **found.nonlocals}


def data(array: Any) -> Any:
    """The array that the store of a graph holds: keys are words."""
    return _jax.key_words(array) if _jax.is_key(array.dtype) else array
