"""Head detectors and probes against the formulas."""

from __future__ import annotations

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError
from tests.passes.interventions.decoder import close

IDS = np.array([[1, 2, 3, 1, 2, 3], [4, 4, 5, 6, 5, 4]])
RNG = np.random.default_rng(0)
AXES = ("batch", "heads", "seq", "kv_seq")


def patterns() -> gw.NamedArray:
    weights = np.tril(RNG.random((2, 3, 6, 6)))
    return gw.NamedArray(weights / weights.sum(-1, keepdims=True), AXES)


def looked_for(kind: str, ids: list[int]) -> np.ndarray:
    n = len(ids)
    found = np.zeros((n, n))
    for q in range(n):
        for k in range(q + 1):
            found[q, k] = {
                "previous_token": k == q - 1,
                "duplicate_token": k < q and ids[k] == ids[q],
                "induction": 0 < k <= q and ids[k - 1] == ids[q] and k - 1 < q,
            }[kind]
    return found


@pytest.mark.parametrize("kind", ["previous_token", "duplicate_token", "induction"])
def test_scores_are_the_formulas(kind: str) -> None:
    seen = patterns()
    array = np.asarray(seen)
    before = array.copy()
    mul = np.asarray(p.head_scores(seen, IDS, kind))
    far = np.asarray(p.head_scores(seen, IDS, kind, measure="abs"))
    bare = np.asarray(p.head_scores(seen, IDS, kind, exclude_first=True, exclude_current=True))
    for b in range(2):
        wanted = looked_for(kind, list(IDS[b]))
        for h in range(3):
            a = array[b, h]
            close(mul[b, h], (a * wanted).sum() / a.sum())
            close(far[b, h], 1 - np.abs(a - wanted).mean() * 6)
            a = a * (1 - np.eye(6))
            a[:, 0] = 0
            close(bare[b, h], (a * wanted).sum() / a.sum())
    assert (array == before).all()


def test_a_head_that_does_it_scores_one() -> None:
    ideal = np.eye(6, k=-1)
    ideal[0, 0] = 1
    named = gw.NamedArray(ideal[None, None], AXES)
    ids = IDS[:1]
    assert np.asarray(p.head_scores(named, ids, "previous_token", exclude_first=True)) == 4 / 4
    found = p.head_scores(named, ids, gw.NamedArray(ideal, ("seq", "kv_seq")), measure="abs")
    assert np.asarray(found) == 1
    with pytest.raises(InputError, match="no detector"):
        p.head_scores(named, ids, "prevoius_token")


def test_ridge_is_the_closed_form_and_reads_held_out_examples() -> None:
    x = RNG.standard_normal((20, 6, 8))
    true = RNG.standard_normal(8)
    y = x @ true + 3 + 0.01 * RNG.standard_normal((20, 6))
    fit, held = p.split_examples(20, key=0)
    assert not set(fit) & set(held)
    assert len(held) == 5
    seen = [gw.NamedArray(x[rows], ("batch", "seq", "embed")) for rows in (fit, held)]
    probe = p.ridge_probe(seen[0], y[fit], penalty=0.5)
    rows, wanted = x[fit].reshape(-1, 8), y[fit].ravel()
    wide = np.hstack([rows, np.ones((len(rows), 1))])
    shrink = 0.5 * np.diag([*np.ones(8), 0])
    solved = np.linalg.solve(wide.T @ wide + shrink, wide.T @ wanted)
    close(np.asarray([*np.asarray(probe.direction), probe.bias]), solved)
    assert probe.r2(seen[1], y[held]) > 0.99
    with pytest.raises(InputError, match="labels of shape"):
        p.ridge_probe(seen[0], y)


def test_logistic_is_where_the_slope_vanishes() -> None:
    x = RNG.standard_normal((200, 4))
    y = x @ [1.0, -2.0, 0.0, 0.5] + RNG.logistic(size=200) > 0
    named = gw.NamedArray(x, ("batch", "embed"))
    probe = p.logistic_probe(named, y, penalty=0.3)
    w = np.asarray(probe.direction)
    missed = 1 / (1 + np.exp(-(x @ w + probe.bias))) - y
    np.testing.assert_allclose(x.T @ missed + 0.3 * w, 0, atol=1e-8)
    np.testing.assert_allclose(missed.sum(), 0, atol=1e-8)
    assert probe.accuracy(named, y) > 0.75
    close(probe.unit @ probe.unit.T, np.ones((1, 1)))
    with pytest.raises(InputError, match="both classes"):
        p.logistic_probe(named, np.ones(200))
