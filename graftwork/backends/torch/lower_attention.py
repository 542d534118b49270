"""torch: attention as `scaled_dot_product_attention`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.torch import kernels
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]
Axes = tuple[str, ...]


@frozen
class _Plan:
    """Which axes play which part in torch's four dimensions.

    Attributes:
        batch: leading axes, as the first dimension.
        heads: those that keys and values have, as the second.
        group: axes after them that only queries have.
        row: the queries' sequence.
        out: the values' own axis.
    """

    batch: Axes
    heads: Axes
    group: Axes
    row: Axes
    out: Axes


def _plan(node: Node, operands: Operands) -> _Plan | None:
    """None if the operands have more axes than the kernel can tell apart."""
    q, k, v, *masks = operands
    over, key = node.attrs["over"], node.attrs["key"]
    scored = {axis for x in (q, k, *masks) for axis in x.axes} - {over}
    out = tuple(a for a in v.axes if a != key and a not in scored)
    masked = {axis for mask in masks for axis in mask.axes}
    bound = {over, key, *out}
    if len(out) != 1 or over in masked:
        return None
    own = [a for a in q.axes if a not in bound and a not in k.axes and a not in v.axes]
    row = [a for a in own if a in masked] or own
    row = row[-1:]
    leading = dict.fromkeys(a for x in (q, k, v, *masks) for a in x.axes if a not in bound)
    shared = [a for a in leading if a not in own and a not in row]
    group = [a for a in leading if a not in shared and a not in row]
    return _Plan(tuple(shared[:-1]), tuple(shared[-1:]), tuple(group), tuple(row), out)


def _attention(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    plan = None if node.attrs["softcap"] is not None else _plan(node, operands)
    if plan is None:
        return target.open_body(node, operands)
    q, k, v, *masks = operands
    over, key = (node.attrs["over"],), (node.attrs["key"],)
    heads = (*plan.heads, *plan.group)
    found = target.call(
        F.scaled_dot_product_attention,
        target.grouped(q, (plan.batch, heads, plan.row, over)),
        target.grouped(k, (plan.batch, plan.heads, key, over)),
        target.grouped(v, (plan.batch, plan.heads, key, plan.out)),
        attn_mask=_mask(target, masks[0], plan, key) if masks else None,
        scale=node.attrs["scale"],
        **({"enable_gqa": True} if plan.group else {}),
    )
    z = target.ungrouped(found, (plan.batch, heads, plan.row, plan.out))
    if not masks or node.attrs["masked_rows"] in ("zero", "none"):
        return z
    return _masked_rows(target, node, z, v, masks[0])


def _mask(target: TorchTarget, mask: Laid, plan: _Plan, key: Axes) -> Any:
    """The mask in torch's four dimensions, of extent 1 where it lacks all axes of one."""
    dims = (plan.batch, (*plan.heads, *plan.group), plan.row)
    present = [dim if any(a in mask.axes for a in dim) else () for dim in dims]
    return target.grouped(mask, (*present, key))


def _masked_rows(target: TorchTarget, node: Node, z: Laid, v: Laid, mask: Laid) -> Laid:
    """The kernel gives zeros where every key is masked; here they are to be something else."""
    key = node.attrs["key"]
    if key not in mask.axes:
        mask = Laid(mask.array.unsqueeze(-1), (*mask.axes, key))
    dead = target.call(kernels.all_masked, mask.array, mask.axes.index(key))
    rows = Laid(dead, tuple(a for a in mask.axes if a != key))
    if node.attrs["masked_rows"] == "nan":
        return Laid(z.array.masked_fill(target.zip(rows, z.axes), float("nan")), z.axes)
    mean = Laid(v.array.mean(v.axes.index(key)), tuple(a for a in v.axes if a != key))
    fixed = target.call(torch.where, target.zip(rows, z.axes), target.zip(mean, z.axes), z.array)
    return Laid(fixed, z.axes)


TABLE: Mapping[Op, Lowering] = {ops.attention: _attention}
