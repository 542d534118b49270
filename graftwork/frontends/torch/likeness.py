"""What two operators of programs have in common, exactly or but for a length."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node
from torch.utils import _pytree as pytree

from graftwork.frontends.torch.decompose import is_number


def leaves_of(node: Node) -> list[Any]:
    """Everything that an operator is given."""
    leaves: list[Any] = pytree.tree_leaves((node.args, dict(node.kwargs)))
    return leaves


def kind_of(node: Any) -> Any:
    """The shape and element type of what a node gives."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return (*map(str, value.shape), value.dtype) if isinstance(value, torch.Tensor) else None


def sketch_of(node: Node) -> tuple[Any, ...]:
    """An operator less everything that may depend on a length."""
    kind = kind_of(node)
    words = [_word(each) for each in (*node.args, *node.kwargs.items())]
    return (node.target, *words, kind and (len(kind), kind[-1]))


def _word(argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        words = [_word(each) for each in argument]
        return words[:1] if words[:1] == ["%"] else words
    if isinstance(argument, Node) and not is_number(argument.meta.get("val")):
        return "%"
    if isinstance(argument, Node) or type(argument) is int:
        return "#"
    return text_of(argument)


def text_of(value: Any) -> str:
    """A number, or what else is no tensor, as text that tells it from others."""
    return str(value.meta["val"]) if isinstance(value, Node) else repr(value)
