"""Running a part of a graph again, beside itself, with other values in the place of some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Node, Value


def replay(
    builder: Builder,
    nodes: Iterable[Node],
    instead: Mapping[Value, Term],
    frozen: Collection[Value] = (),
    own: Mapping[Value, Term] | None = None,
) -> dict[Value, Term]:
    """Value -> what it is in the other run, of those that differ there.

    Args:
        nodes: in order; those that depend on nothing that differs are not run again.
        instead: value -> what stands in its place. It may have axes of its own: everything maps
            over them.
        frozen: values that stay as they are.
        own: value -> what it is where it does not differ, if that is not the value itself.
    """
    env, same = dict(instead), own or {}
    for node in nodes:
        if not any(value in env for value in node.inputs):
            continue
        if all(value in env or value in frozen for value in node.outputs):
            continue
        builder.origin = node.origin
        operands = [env[v] if v in env else same.get(v, Term(v, builder)) for v in node.inputs]
        made = builder.emit(node.op, operands, node.attrs.as_dict(), node.regions)
        env |= {
            value: term
            for value, term in zip(node.outputs, made, strict=True)
            if value not in instead and value not in frozen
        }
    return env
