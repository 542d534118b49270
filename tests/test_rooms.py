"""The rooms of the package: who imports whom, what loads when, and how large a file may grow."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import attrs
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "graftwork"
FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = {"ir", "frontends", "passes", "backends", "viz"}
FRAMEWORKS = {"torch", "jax", "onnx", "onnxruntime", "transformers"}
MAX_LINES = 450
# Pictures that need a run of the model live in the public face, which may run one; they are asked
# for as `graftwork.viz.flow`, so that file, and no other of its room, knows where they are.
DRIVEN = ("", ".logit_lens", ".flow", ".head", ".neuron")
WINDOWS = {("graftwork.viz", f"graftwork.pictures{name}") for name in DRIVEN}


class Import(NamedTuple):
    """One imported name, absolute, and whether importing the file imports it."""

    name: str
    line: int
    eager: bool


def module_of(path: Path) -> str:
    """The dotted name of a file of the repository: `graftwork.ir.graph`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Every import of a file; `from a import b` counts as `a.b`."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    todo: list[tuple[ast.AST, bool]] = [(ast.parse(source), True)]
    while todo:
        node, eager = todo.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            for alias in node.names:
                yield Import(".".join([*base, alias.name]), node.lineno, eager)
        children = ast.iter_child_nodes(node)
        todo += [(child, eager and not is_lazy(node, child)) for child in children]


def is_lazy(parent: ast.AST, child: ast.AST) -> bool:
    """Whether importing a file leaves this child unrun: a function's body, `if TYPE_CHECKING:`."""
    if isinstance(parent, ast.If) and "TYPE_CHECKING" in ast.unparse(parent.test):
        return child in parent.body
    return isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def file_imports(path: Path) -> list[Import]:
    """The imports of a file of the package."""
    is_package = path.name == "__init__.py"
    return list(imports_of(path.read_text(), module_of(path), is_package=is_package))


def room_of(name: str) -> str | None:
    """The room of a name of the package; None in the public face and in what knows all rooms."""
    return next(iter(set(name.split(".")[1:2]) & ROOMS), None)


def import_names(requirements: list[str]) -> set[str]:
    """The modules that requirements like `onnx-ir>=1.1` install."""
    names = {r.split(">=")[0].split("[")[0].replace("-", "_") for r in requirements}
    return names | {"attr"} if "attrs" in names else names


def frameworks_at_home(path: Path) -> set[str]:
    """The frameworks that a frontend or backend is for, by its path: `backends/torch/lower.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] not in {"frontends", "backends"}:
        return set()
    words = {word for part in parts[1:] for word in part.split("_")}
    return FRAMEWORKS & words | ({"onnxruntime", "onnx_ir"} if "onnx" in words else set())


def where(path: Path, found: Import) -> str:
    """A complaint about an import: `graftwork/ir/graph.py:12 imports graftwork.viz`."""
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"


def test_imports_are_read_as_python_reads_them() -> None:
    source = (
        "from . import a\nfrom ..ir.b import c\nimport d.e as f\n"
        "if TYPE_CHECKING:\n    import g\nelse:\n    import h\ndef i():\n    import j\n"
    )
    found = {(name, eager) for name, _, eager in imports_of(source, "p.q.r", is_package=False)}
    lazy = {("g", False), ("j", False)}
    assert found == {("p.q.a", True), ("p.ir.b.c", True), ("d.e", True), ("h", True)} | lazy


# The public face, the drivers, the command line and `testing` have no room and know them all.
@pytest.mark.parametrize("path", [f for f in FILES if room_of(module_of(f))], ids=module_of)
def test_a_room_imports_only_itself_and_ir(path: Path) -> None:
    room = room_of(module_of(path))
    ours = [i for i in file_imports(path) if i.name.split(".")[0] == "graftwork"]
    beyond = [i for i in ours if room_of(i.name) not in {room, "ir"}]
    assert [where(path, i) for i in beyond if (module_of(path), i.name) not in WINDOWS] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_needs_only_the_core_and_its_own_framework_to_load(path: Path) -> None:
    allowed = import_names(PROJECT["dependencies"]) | frameworks_at_home(path) | {"graftwork"}
    if path.is_relative_to(PACKAGE / "testing"):
        allowed |= {"hypothesis"}
    if path.is_relative_to(PACKAGE / "explore"):
        allowed |= {"starlette", "uvicorn"}
    allowed |= sys.stdlib_module_names
    eager = [i for i in file_imports(path) if i.eager]
    assert [where(path, i) for i in eager if i.name.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_is_one_idea(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines"


@pytest.mark.parametrize("module", ["graftwork", "graftwork.passes", "graftwork.viz"])
def test_importing_loads_no_framework_and_no_extra(module: str) -> None:
    extras = set().union(*map(import_names, PROJECT["optional-dependencies"].values()))
    watched = sorted((FRAMEWORKS | extras) - {"graftwork"})
    program = f"import sys, {module}; print(*(sys.modules.keys() & set({watched!r})))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def data_classes() -> set[type]:
    """Every attrs class that a module of `graftwork.ir` defines."""
    package = importlib.import_module("graftwork.ir")
    names = [m.name for m in pkgutil.walk_packages(package.__path__, "graftwork.ir.")]
    modules = [package, *map(importlib.import_module, names)]
    classes = {c for m in modules for c in vars(m).values() if isinstance(c, type) and attrs.has(c)}
    return {c for c in classes if c.__module__.startswith("graftwork.ir")}


def test_instances_of_the_core_data_classes_have_no_dict() -> None:
    classes = data_classes()
    assert {"Graph", "Node", "Value"} <= {c.__name__ for c in classes}
    assert [c for c in classes if c.__dictoffset__ and not issubclass(c, Exception)] == []
