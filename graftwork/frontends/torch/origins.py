"""Where an operator of a traced program came from in the user's model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from graftwork.ir.origin import Origin

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_REPEATED = re.compile(r"@\d+")  # a module that is called several times is numbered
_TORCH = str(Path(torch.__file__).parent)
_LAYERS = str(Path(torch.nn.__file__).parent)
_OURS = str(Path(__file__).parent)


def origin_of(node: torch.fx.Node, prefix: str) -> Origin:
    """Module path, `file:line` of the deepest frame of the user's code, and operator."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    return Origin(
        module=_module(node, prefix),
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


def _module(node: torch.fx.Node, prefix: str) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = _REPEATED.sub("", stack[-1][0]) if stack else ""
    return without_prefix(path.removeprefix("L['self']").removeprefix("."), prefix)


def without_prefix(path: str, prefix: str) -> str:
    """A path as seen from the caller's model."""
    if prefix and path == prefix:
        return ""
    return path.removeprefix(f"{prefix}.") if prefix else path
