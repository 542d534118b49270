"""Every rewrite rule, on random graphs in which its own left side is planted."""

import pytest

from graftwork.passes.composites import RULES
from graftwork.passes.rules import Rewrite
from graftwork.testing import check_rule, motif_of


@pytest.mark.parametrize(
    "place", range(len(RULES)), ids=lambda place: f"{RULES[place].name}-{place}"
)
def test_it_keeps_meaning_where_its_pattern_is_planted(place: int) -> None:
    rule = RULES[place]
    check_rule(motif_of(rule.pattern), Rewrite((rule,)), max_examples=3)
