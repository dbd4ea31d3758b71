"""The tables of docs/lecture.md: published numbers beside those of our models."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.model_averaging import ModelAveraging
from tools import documents, lecture

ROOT = Path(__file__).parents[3]


def averaging() -> ModelAveraging:
    return ModelAveraging(
        recipe="alexnet-2012",
        store="photos-72",
        store_digest="abc",
        split="val",
        photos=10,
        layers=("fc6", "fc7"),
        probability=0.5,
        seeds=(0, 1),
        errors=((0.5, 0.25), (0.25, 0.25)),
        nll=((2.0, 1.0), (1.0, 1.0)),
        distances=((0.5, 0.25), (0.25, 0.0)),
        scaled_error=0.3,
        scaled_nll=1.25,
        device="a processor",
    )


def test_our_layer_reaches_the_bound_of_the_formula(tmp_path: Path) -> None:
    rows = {(row[0], row[1]): row for row in lecture.bounds(tmp_path).rows}
    assert rows["paper's formula", "5"][2:] == ["5", "0.0001", "200.0", "52.17", "200.0", "52.17"]
    assert rows["paper's formula", "2"][2] == "3" and rows["as run in 2012", "2"][2] == "2"
    assert all(row[4:6] == row[6:8] for row in rows.values())


def test_winners_and_vgg_are_the_published_ones(tmp_path: Path) -> None:
    rows = {row[0]: row for row in lecture.winners(tmp_path).rows}
    assert rows["2012"][3:5] == ["15.3", "16.4"] and rows["2017"][5] == "-"
    a, lrn = lecture.vgg_normalization(tmp_path).rows
    assert a[2:6] == ["29.6", "10.4", "133", "132.9"] and lrn[2:6] == ["29.7", "10.5", "133", "132.9"]


def test_masks_are_averaged_over_seeds(tmp_path: Path) -> None:
    assert lecture.masks(tmp_path).rows[0][0] == "not recorded yet"
    (tmp_path / "lecture").mkdir()
    averaging().save(tmp_path / "lecture")
    assert lecture.masks(tmp_path).rows == [
        ["1", "37.5", "1.5000", "0.3750"],
        ["2", "25.0", "1.0000", "0.1250"],
        ["none: all units, scaled", "30.0", "1.2500", "-"],
    ]
    _, described = lecture.masks_picture(tmp_path)
    assert "2 masks: error 25.0 %" in described and "all units, scaled: error 30.0 %" in described


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_has_its_table_on_the_page(claim) -> None:
    assert f"<!-- table: claim-{claim.id} -->" in (ROOT / "docs" / "lecture.md").read_text()
    table = documents.TABLES[f"claim-{claim.id}"](ROOT / "results")
    assert table.rows and all(f"`{claim.id}`" in row[0] for row in table.rows)
