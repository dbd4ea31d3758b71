"""`claim.json`: written, read, and read where an earlier version wrote it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from alexnet import old_names
from alexnet.errors import DataError
from alexnet.experiments.claim_results import (
    CLAIM_FILE,
    Band,
    ClaimResult,
    Interval,
    MeasuredValue,
    read_claim,
    write_claim,
)
from alexnet.experiments.claims import CLAIMS

OLD = Path(__file__).parents[2] / "data" / "claim-format-0"


def read(folder: Path) -> ClaimResult:
    result = read_claim(folder)
    assert result is not None
    return result


def test_a_file_without_ids_is_read_with_every_number() -> None:
    values, result = json.loads((OLD / CLAIM_FILE).read_text()), read(OLD)
    assert [each.id for each in result.comparisons] == ["error", "no-effect", "memory", "time"]
    for old, new in zip(values["comparisons"], result.comparisons, strict=True):
        assert [*new.numbers] == old["numbers"] and f"{new.count} {new.over}" == old["over"]
        assert new.interval == Interval(**old["interval"]) and new.verdict == old["verdict"]
        missed = {"missed_by": 0.0}  # not recorded then
        assert [(each.arm, [value and vars(value) for value in each.values]) for each in new.values] == [
            (name.partition(": ")[0], [number and number | missed for number in numbers])
            for name, numbers in old["values"].items()
        ]
    memory = result.comparisons[2]
    assert {each.measure for each in memory.values} == {memory.measure} == {"update-megabytes"}
    assert memory.band == Band(low=1.0) and memory.values[0].values[0] == MeasuredValue(661.389312)
    assert result.environment.commit == (values["environment"]["commit"],)
    common = result.arms["common"]
    assert (common.data.image_size, common.data.mean_position, common.training.batch_size) == (
        256,
        "center",
        128,
    )
    assert "data.side=256" in values["data"]["settings"] and "data.image_size=256" in result.data.settings
    (run,) = result.runs
    assert run.tests[0].top1_error == values["runs"][0]["tests"][0]["top1_error"]


def test_written_values_are_read_unchanged(tmp_path: Path) -> None:
    result = read(OLD)
    write_claim(tmp_path, result)
    assert read(tmp_path) == result
    text = (tmp_path / CLAIM_FILE).read_text()
    assert json.loads(text)["comparisons"][0]["band"] == {"low": 0.0, "high": None}
    assert "Infinity" not in text and '"seed"' not in text.partition('"runs"')[0]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_comparisons_of_earlier_files_get_the_ids_of_today(claim) -> None:
    blank = {"measure": "validation error", "band_words": "", "over": "3 seeds", "values": {}}
    old = json.loads((OLD / CLAIM_FILE).read_text())
    old |= {"id": claim.id, "comparisons": [blank] * len(claim.comparisons)}
    assert [each["id"] for each in old_names.new_claim(old)["comparisons"]] == [
        each.id for each in claim.comparisons
    ]


@pytest.mark.parametrize("damage", ["", "{}", "[]", "no-such-claim", "format_version"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    values = json.loads((OLD / CLAIM_FILE).read_text())
    if damage == "no-such-claim":
        damage = json.dumps({**values, "id": damage})
    if damage == "format_version":
        damage = json.dumps({**read(OLD).to_dict(), damage: 99})
    (tmp_path / CLAIM_FILE).write_text(damage)
    with pytest.raises(DataError, match=r"claim\.json (is not a claim's result|has format version 99)"):
        read_claim(tmp_path)
    assert read_claim(tmp_path / "nowhere") is None


def test_bands_as_text() -> None:
    assert Band(low=0.0).words("points") == "above 0 points"
    assert Band(0.01, 0.04).words("points") == "1 to 4 points"
    assert Band(high=3).words() == "below 3" and Band(high=3).to_dict() == {"low": None, "high": 3}
    assert math.isinf(Band(high=3).low)


def test_intervals_as_text() -> None:
    interval = Interval(0.012, 0.004, 0.02)
    assert interval.words("points") == "+1.2 (+0.4 to +2.0) points"
    assert interval.words("times", at_least=True) == "at least 0.01 (0.00 to 0.02) times"
    assert interval.words("") == "+0.012 (+0.004 to +0.02)"
