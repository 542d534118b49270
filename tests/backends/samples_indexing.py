"""Sample graphs of gather, scatter and sliding windows."""

from __future__ import annotations

import numpy as np

from graftwork.ir import ops
from tests.backends.build import F64, I32, I64, Sample, bools, normal, sample, whole


def _gathers() -> list[Sample]:
    table, ids = normal(5, 3), whole(2, 4)
    wild = np.array([[0, -1, 4], [7, 2, -9]])
    wide = normal(2, 5, 3)
    return [
        sample("gather", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("b s", ids)),
        sample("gather-shared", lambda x, i: ops.gather(x, i, axes=("v",)), x=("b v e", wide),
               i=("b s", ids)),
        sample("gather-last", lambda x, i: ops.gather(x, i, axes=("v",)),
               x=("b e v", wide.transpose(0, 2, 1).copy()), i=("s b", ids.T.copy())),
        sample("gather-shared-across", lambda x, i: ops.gather(x, i, axes=("v",)),
               x=("b v e", wide), i=("e s b", whole(3, 4, 2))),
        sample("gather-two", lambda x, i, j: ops.gather(x, i, j, axes=("v", "b")),
               x=("b v e", wide), i=("s", whole(4)), j=("t", whole(3, high=2))),
        sample("gather-same-name", lambda x, i: ops.gather(x, i, axes=("v",)),
               x=("b v", wide[:, :, 0]), i=("b v", whole(2, 5))),
        sample("gather-scalar", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("", np.array(3, I32))),
        sample("gather-none", lambda x: ops.gather(x, axes=()), x=("v e", table)),
        sample("gather-empty", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v e", table),
               i=("s", np.zeros(0, I64))),
        sample("gather-clip", lambda x, i: ops.gather(x, i, axes=("v",), mode="clip"),
               x=("v e", table), i=("b s", wild)),
        sample("gather-fill", lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=-2.5),
               x=("v e", table), i=("b s", wild)),
        sample("gather-fill-shared",
               lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=float("nan")),
               x=("b v e", wide), i=("b s", wild)),
        sample("gather-fill-int", lambda x, i: ops.gather(x, i, axes=("v",), mode="fill", fill=9.0),
               x=("v", whole(5)), i=("b s", wild)),
        sample("gather-bool", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v", bools(5)),
               i=("b s", ids)),
        sample("gather-u8", lambda x, i: ops.gather(x, i, axes=("v",)), x=("v", normal(5)),
               i=("b s", ids.astype(np.uint8))),
    ]  # fmt: skip


def _scatters() -> list[Sample]:
    x, ids = normal(5, 3), np.array([4, 0, 2])
    wild = np.array([1, -1, 9, 1])
    repeat = np.array([1, 1, 4, 1])
    found = [
        sample("scatter-set", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("s e", normal(3, 3)), i=("s", ids)),
        sample("scatter-shared", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("b v", normal(2, 5)), u=("b s", normal(2, 3)),
               i=("b s", np.array([[0, 1, 2], [4, 3, 0]]))),
        sample("scatter-free", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("w s", normal(2, 3)), i=("s", ids)),
        sample("scatter-into-broadcast",
               lambda x, u, i: ops.scatter(
                   u.builder.constant(0.0, u.dtype).broadcast("v"), u, i, axes=("v",), over="s",
                   combine="add") + x,
               x=("v", normal(5)), u=("s e", normal(4, 3)), i=("s", repeat)),
        sample("scatter-point", lambda x, u, i: ops.scatter(x, u, i, axes=("v",)),
               x=("v e", x), u=("e", normal(3)), i=("", np.array(2))),
        sample("scatter-rows", lambda x, u, i: ops.scatter(x, u, i, axes=("v",)),
               x=("v", normal(5)), u=("b", normal(3)), i=("b", ids)),
        sample("scatter-two",
               lambda x, u, i, j: ops.scatter(x, u, i, j, axes=("e", "v"), over=("s", "t")),
               x=("v e", x), u=("", np.array(7.0)), i=("s", np.array([0, 2])), j=("t", ids)),
        sample("scatter-empty", lambda x, u, i: ops.scatter(x, u, i, axes=("v",), over="s"),
               x=("v e", x), u=("s e", normal(0, 3)), i=("s", ids[:0])),
    ]  # fmt: skip
    for combine in ("add", "mul", "min", "max"):
        for dtype in (F64, I64, np.uint32):
            data = (x * 9).astype(dtype) if dtype is not np.uint32 else whole(5, 3, dtype=dtype)
            found.append(sample(
                f"scatter-{combine}-{data.dtype}",
                lambda x, u, i, c=combine: ops.scatter(
                    x, u, i, axes=("v",), over="s", combine=c),
                x=("v e", data), u=("s e", whole(4, 3, low=1).astype(dtype)),
                i=("s", repeat)))  # fmt: skip
    for combine in ("set", "add", "max"):
        for mode in ("drop", "clip"):
            where = wild if combine != "set" else np.array([1, -1, 9, 3])
            found.append(sample(
                f"scatter-{combine}-{mode}",
                lambda x, u, i, c=combine, m=mode: ops.scatter(
                    x, u, i, axes=("v",), over="s", combine=c, mode=m),
                x=("v e", x), u=("s e", normal(4, 3)), i=("s", where)))  # fmt: skip
    return found


def _windows() -> list[Sample]:
    x = normal(2, 9)
    return [
        sample(
            f"window-{size}-{stride}-{dilation}",
            lambda x, a=(size, stride, dilation): ops.window(
                x, axis="s", into="o", kernel="k", size=a[0], stride=a[1], dilation=a[2]
            ),
            x=("b s", x),
        )
        for size, stride, dilation in ((1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 4), (9, 1, 1))
    ]


SAMPLES: list[Sample] = [*_gathers(), *_scatters(), *_windows()]
