"""Every rewrite rule, on random graphs in which its own left side is planted."""

import pytest

from graftwork.passes.composites import RULES
from graftwork.passes.rules import Rewrite
from graftwork.testing import check_rule, motif_of
from graftwork.testing.values import NORMAL, WHOLE


@pytest.mark.parametrize(
    "place", range(len(RULES)), ids=lambda place: f"{RULES[place].name}-{place}"
)
def test_it_keeps_meaning_where_its_pattern_is_planted(place: int) -> None:
    """On moderate numbers: a kernel may overflow elsewhere, and masks with other great numbers."""
    rule = RULES[place]
    check_rule(motif_of(rule.pattern), Rewrite((rule,)), kinds=(WHOLE, NORMAL), max_examples=2)
