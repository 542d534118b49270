"""Where an operator of a traced program came from in the user's model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from graftwork.ir.calls import is_within, module_of
from graftwork.ir.origin import Origin

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_TORCH = str(Path(torch.__file__).parent)
_LAYERS = str(Path(torch.nn.__file__).parent)
_OURS = str(Path(__file__).parent)


Stack = tuple[tuple[str, str], ...]  # of the calls that a node is in: key, and module path


def origin_of(node: torch.fx.Node, module: str) -> Origin:
    """The origin of a node in a module: `file:line` of the deepest frame of the user's code."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    return Origin(
        module=module,
        source=source_line((file, int(line)) for file, line in frames),
        op=str(node.target),
    )


def source_line(frames: Iterable[tuple[str, int]]) -> str:
    """`file:line` of the deepest frame that is not torch's, or else in one of torch's layers."""
    known = [(file, line) for file, line in frames if not file.startswith(_OURS)]
    own = [(file, line) for file, line in known if not file.startswith(_TORCH)]
    layers = [(file, line) for file, line in known if file.startswith(_LAYERS)]
    return "".join(f"{_short(file)}:{line}" for file, line in (own or layers)[-1:])


def _short(file: str) -> str:
    """A file's path as seen from where its package is installed, or from where the user is."""
    for root in ("site-packages/", "dist-packages/"):
        if root in file:
            return file.rpartition(root)[2]
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def call_paths(nodes: Iterable[torch.fx.Node], prefix: str) -> dict[Stack, str]:
    """The paths of all calls of modules, as `graftwork.ir.calls` writes them.

    torch gives each call a key; calls of one module within one call are numbered in order.
    """
    siblings: dict[tuple[Stack, str], dict[Stack, None]] = {}
    for node in nodes:
        stack = stack_of(node, prefix)
        for end, (_, module) in enumerate(stack):
            siblings.setdefault((stack[:end], module), {})[stack[: end + 1]] = None
    paths: dict[Stack, str] = {(): ""}
    for (outer, module), stacks in siblings.items():
        word = without_prefix(module, outer[-1][1] if outer else "")
        around = f"{paths[outer]}." if outer else ""
        for number, stack in enumerate(stacks):
            paths[stack] = f"{around}{word}@{number}" if len(stacks) > 1 else f"{around}{word}"
    return paths


def stack_of(node: torch.fx.Node, prefix: str) -> Stack:
    """The calls of modules that a node is in, outer ones first, of those that hold the last."""
    found = (node.meta.get("nn_module_stack") or {}).items()
    stack = [(key, _module(path, prefix)) for key, (path, _) in found]
    last = stack[-1][1] if stack else ""
    return tuple((key, module) for key, module in stack if module and is_within(last, module))


def _module(path: str, prefix: str) -> str:
    """A module path as the caller knows it."""
    path = module_of(path).removeprefix("L['self']").removeprefix(".")
    return without_prefix(path, prefix)


def without_prefix(path: str, prefix: str) -> str:
    """A path as seen from the caller's model."""
    if prefix and path == prefix:
        return ""
    return path.removeprefix(f"{prefix}.") if prefix else path
