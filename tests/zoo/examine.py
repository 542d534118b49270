"""Everything that is held of a model of the zoo, in one go.

A family is converted with every axis dynamic that it leaves dynamic, and run at another size than
it was traced with. At its sites one graph with an axis of `worlds` shows two things at once: in
world 0 every site is replaced by itself, and nothing changes; in world i site i is shaken, and the
outputs change.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from torch.utils import _pytree as pytree

import graftwork as gw
from graftwork.ir.attributes import Literal
from graftwork.ir.digest import equal
from graftwork.ir.errors import ConversionError, UnreachableEditError, UnsupportedOpError
from graftwork.ir.sizes import symbols
from graftwork.ir.verify import verify
from graftwork.ir.vocabulary import roles_of
from graftwork.passes.edit import edit_sites
from tests.zoo.families import Family

BACKENDS = ("numpy", "jax", "torch", "onnx")
COMPILED = (*BACKENDS, "inductor")  # and by TorchInductor, which takes longer than all the others
ALWAYS = frozenset({"seq", "kv_seq", "embed", "head_dim", "mlp", "experts", "vocab"})
# An open attention, and an axis of worlds, sum in another order: the outputs of a family are some
# ten roundings apart. Of a deep network 32 bits make more, which grow layer by layer; 64 decide.
ROUNDINGS = 32
NOTICED = 1e-5
MIXED = ("attn.z", "cross_attn.z", "mixer.out")  # a block that has one of these is recognised


@frozen
class Report:
    """What was found of a family.

    Attributes:
        refused: why it was not converted; empty if it was.
        axes: the symbols of the graph's dynamic axes.
        apart: backend -> greatest difference to the model, relative to its greatest result; or
            what the backend lacks.
        sites: how many sites there are.
        blocks: how many blocks have theirs.
        unrecognised: what the graph says of the others.
        broken: everything that does not hold and should.
    """

    refused: str = ""
    axes: tuple[str, ...] = ()
    apart: Mapping[str, float | str] = field(factory=dict)
    sites: int = 0
    blocks: int = 0
    unrecognised: Mapping[str, str] = field(factory=dict)
    broken: tuple[str, ...] = ()


def examine(family: Family, backends: Sequence[str] = BACKENDS) -> Report:
    """All checks of a family."""
    model = family.build()
    try:
        graph = gw.from_torch(model, kwargs=family.arguments(), axes=family.axes())
    except (ConversionError, UnsupportedOpError) as error:
        return Report(refused=str(error))
    verify(graph)
    given = family.arguments(other=True)
    with torch.no_grad():
        expected = results(model(**given))
    apart = {backend: difference(graph, backend, given, expected) for backend in backends}
    broken = [
        f"{backend} is {found} apart"
        for backend, found in apart.items()
        if not isinstance(found, str) and not found <= family.tolerance
    ]
    broken += [*round_trips(graph), *promises(graph), *at_sites(family, graph, given)]
    dynamic = {symbol for size in graph.axes.values() for symbol in symbols(size)}
    return Report(
        "", tuple(sorted(dynamic)), apart, len(graph.sites), len(recognised(graph)),
        graph.sites.unrecognised, tuple(broken),
    )  # fmt: skip


def results(output: Any) -> list[np.ndarray]:
    """The tensors that a model gives, in order."""
    leaves = pytree.tree_leaves(output)
    return [leaf.float().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def difference(
    graph: gw.Graph, backend: str, given: Mapping[str, Any], expected: Sequence[np.ndarray]
) -> float | str:
    """The greatest difference of a backend's outputs, or what it says that it lacks."""
    try:
        if backend == "torch":
            with torch.no_grad():
                found = list(gw.to_torch(graph)(**given).values())
        else:
            name = "torch" if backend == "inductor" else backend
            found = list(gw.compile(graph, backend=name)(**given).values())
    except UnsupportedOpError as error:
        return str(error)
    arrays = [np.asarray(x, dtype=np.float64) for x in found]
    assert [x.shape for x in arrays] == [x.shape for x in expected]
    return max(apart(x, y) for x, y in zip(arrays, expected, strict=True))


def apart(x: np.ndarray, y: np.ndarray) -> float:
    """The greatest difference, relative to the greatest number; infinite where one is no number."""
    finite = np.isfinite(y)
    if not np.array_equal(finite, np.isfinite(x)):
        return float("inf")
    scale = max(1e-3, float(np.abs(y[finite]).max(initial=0)))
    return float(np.abs(x[finite] - y[finite]).max(initial=0)) / scale


def round_trips(graph: gw.Graph) -> Iterator[str]:
    """What does not come back from text, or from a folder."""
    text = str(graph)
    if not equal(gw.parse(text), graph):
        yield "its text parses to another graph"
    with tempfile.TemporaryDirectory() as folder:
        gw.save(graph, Path(folder) / "model")
        if str(gw.load(Path(folder) / "model")) != text:
            yield "it is loaded as another graph"


# --- sites --------------------------------------------------------------------------------------


def recognised(graph: gw.Graph) -> set[str]:
    """The blocks whose attention, or whatever else mixes positions in them, was found."""
    ends = [f".{word}" for word in MIXED]
    return {path.removesuffix(end) for path in graph.sites for end in ends if path.endswith(end)}


def promises(graph: gw.Graph) -> Iterator[str]:
    """Sites whose axes have other roles than their names promise."""
    for path, site in graph.sites.items():
        grid = set(site.roles) & {"depth", "height", "width"}
        promised = set(roles_of(path)) | grid
        needed = promised & ALWAYS - ({"seq"} if grid or "tokens" in site.roles else set())
        if not needed <= set(site.roles) <= promised:
            yield f"{path} has the roles {sorted(site.roles)}, not {sorted(promised)}"


def at_sites(family: Family, graph: gw.Graph, given: Mapping[str, Any]) -> Iterator[str]:
    """Sites where replacing by itself changes something, or shaking changes nothing, but `cut`."""
    itself, shaken = changes(graph, given)
    if itself > ROUNDINGS * float(np.finfo(np.float32).eps):
        itself, _ = changes(*doubled(family))
        if itself > ROUNDINGS * float(np.finfo(np.float64).eps):
            yield f"sites replaced by themselves change the outputs by {itself} in 64 bits"
    for path, change in shaken.items():
        if (change > NOTICED) is (path in family.cut):
            yield f"noise at {path} changes {'something' if path in family.cut else 'nothing'}"


def doubled(family: Family) -> tuple[gw.Graph, Mapping[str, Any]]:
    """The graph of a family in 64 bits, and arguments for it of the other size."""
    traced, given = (
        {name: x.double() if x.is_floating_point() else x for name, x in arguments.items()}
        for arguments in (family.arguments(), family.arguments(other=True))
    )
    return gw.from_torch(family.build().double(), kwargs=traced, axes=family.axes()), given


def changes(graph: gw.Graph, given: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
    """How far outputs move where sites are replaced by themselves, and where each is shaken."""
    edited, worlds = graph, {}
    for number, path in enumerate(graph.sites, start=1):
        try:
            edited = edit_sites(edited, "Shake", path, shaking(number, len(graph.sites) + 1))
            worlds[path] = number
        except UnreachableEditError:
            continue
    before = gw.compile(graph, "numpy")(**given)
    after = gw.compile(edited, "numpy")(**given)

    def moved(number: int) -> float:
        found = (
            apart(numbers(in_world(after[name], number), x), numbers(x, x))
            for name, x in before.items()
        )
        return max(found, default=0.0)

    return moved(0), {path: moved(number) for path, number in worlds.items()}


def numbers(x: gw.NamedArray, like: gw.NamedArray) -> np.ndarray:
    """The numbers of an array in the order of axes that another one has."""
    axes = [axis for axis in like.axes if axis is not None]
    return np.asarray(x.squeeze().order(*axes) if axes else x, np.float64).reshape(like.shape)


def in_world(x: gw.NamedArray, number: int) -> gw.NamedArray:
    return x[{"worlds": number}] if "worlds" in x.axes else x


def shaking(number: int, count: int) -> Callable[..., Any]:
    """A function that changes an activation in one of many worlds, element by element."""

    def shake(_: Any, __: Any, x: Any) -> Any:
        world = Literal.of([float(number == i) for i in range(count)], x.dtype)
        on = x.builder.constant(world, axes=("worlds",))
        return x + gw.ops.sin(gw.ops.maximum(x, -50.0) * 37.0 + 1.0) * on

    return shake
