"""The model zoo: every family converts, agrees with its model everywhere, and has its sites.

A fixed sample runs always; all families run with `-m all`, which writes docs/coverage/models.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.zoo import networks, perception, table, text
from tests.zoo.examine import COMPILED, Report, examine
from tests.zoo.families import Family

GROUPS: Mapping[str, Mapping[str, Family]] = {
    "decoders": text.DECODERS,
    "encoders": text.ENCODERS,
    "encoder-decoders": text.PAIRS,
    "mixtures of experts": text.MIXTURES,
    "state space and hybrid": text.RECURRENT,
    "vision": perception.VISION,
    "audio": perception.AUDIO,
    "multimodal": perception.MULTIMODAL,
    "time series": perception.SERIES,
    "plain networks": networks.NETWORKS,
}
FAMILIES = {name: family for group in GROUPS.values() for name, family in group.items()}
SAMPLE = (
    "falcon", "gpt_neo", "phi3", "mixtral", "convbert", "m2m_100", "vitdet", "bilstm", "unet",
    "transformer-guessing",
)  # fmt: skip


def holds(family: Family, report: Report) -> None:
    if family.refused:
        assert family.refused in report.refused
    else:
        assert not report.refused
        assert not report.broken
        found = family.blocks - family.unrecognised
        assert report.blocks == found, report.unrecognised


@pytest.mark.parametrize("name", SAMPLE)
def test_a_family_holds_everything(name: str) -> None:
    holds(FAMILIES[name], examine(FAMILIES[name]))


@pytest.mark.all
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(name: str) -> None:
    report = examine(FAMILIES[name], COMPILED)
    table.record(name, FAMILIES[name], report, FAMILIES)
    holds(FAMILIES[name], report)


def test_the_table_lists_families_of_the_zoo() -> None:
    listed = list(table.read())
    assert listed == [name for name in FAMILIES if name in listed]


def test_nearly_all_blocks_of_the_zoo_are_recognised() -> None:
    found, there = table.blocks(table.read().values())
    assert found >= 0.95 * there
