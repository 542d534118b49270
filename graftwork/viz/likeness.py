"""Which heads attend alike: groups of heads, and an order in which like heads are neighbours.

As Clark et al. (2019, "What Does BERT Look At?") cluster heads by the distances of their attention
distributions. The distance here is Hellinger's, which comes from one product of matrices, unlike
their Jensen-Shannon divergence: the square root of 1 - the overlap of two heads, where the overlap
of shares p and q is the sum of sqrt(p q), a mean over queries. Clusters are joined by their average
distance; leaves are ordered as Bar-Joseph et al. (2001) do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graftwork.viz.heads import Heads

Array = np.ndarray[Any, Any]
OVERLAP = 0.8
"""Groups are joined while their heads' average distance is at most that of such an overlap."""
_CELLS = 1 << 24


def overlaps(layers: Sequence[Heads]) -> Array:
    """How much each two heads overlap: from 0, no key in common, to 1, the same shares."""
    count = sum(layer.shares.shape[1] for layer in layers)
    examples, _, queries, keys = layers[0].shares.shape
    found = np.zeros((count, count))
    rows = max(1, _CELLS // (count * keys))
    for example in range(examples):
        for start in range(0, queries, rows):
            some = [layer.shares[example, :, start : start + rows] for layer in layers]
            roots = np.sqrt(np.concatenate(some)).reshape(count, -1)
            found += roots @ roots.T
    sizes = np.sqrt(np.diagonal(found))
    sizes[sizes == 0] = 1
    return np.clip(found / np.outer(sizes, sizes), 0, 1)


def groups_of(layers: Sequence[Heads]) -> list[list[int]]:
    """The heads in groups of like ones, by their numbers over all layers; single ones come last."""
    found = overlaps(layers)
    if len(found) < 2:
        return [[*range(len(found))]]
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

    distances = np.sqrt(1 - found)
    tree = linkage(distances[np.triu_indices(len(found), 1)], "average", optimal_ordering=True)
    labels = fcluster(tree, (1 - OVERLAP) ** 0.5, "distance")
    groups: dict[int, list[int]] = {}
    for head in leaves_list(tree).tolist():
        groups.setdefault(int(labels[head]), []).append(head)
    return sorted(groups.values(), key=lambda group: len(group) == 1)
