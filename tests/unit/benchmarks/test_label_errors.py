"""Wrong labels are planted at random, and the same ones for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.label_errors import PLANTED, WRONG, plant

COUNTS = {"ant": 60, "bee": 100, "cat": 40}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The gray level of a photo is its class."""
    for label, (name, count) in enumerate(COUNTS.items()):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (8 + number, 8), 100 * label).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_a_twentieth_of_the_photos_is_in_a_folder_of_another_class(photos: Path, tmp_path: Path) -> None:
    planted = plant(photos, tmp_path / "made", 100, seed=0)
    files = sorted((tmp_path / "made").rglob("*.jpg"))
    assert len(files) == 100 and planted == round(PLANTED * 100)
    names, wrong = list(COUNTS), 0
    counts = np.zeros(len(names), int)
    for file in files:
        label = round(np.asarray(Image.open(file)).mean() / 100)
        counts[label] += 1
        is_wrong = file.parent.name != names[label]
        assert is_wrong == file.name.startswith(WRONG)
        wrong += is_wrong
    assert wrong == planted and counts.tolist() == [30, 50, 20]


def test_the_same_seed_plants_the_same_labels_and_another_one_others(photos: Path, tmp_path: Path) -> None:
    made = []
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        plant(photos, tmp_path / place, 1000, seed)
        made.append(
            sorted(str(file.relative_to(tmp_path / place)) for file in (tmp_path / place).rglob("*.jpg"))
        )
    assert made[0] == made[1] != made[2]
    assert len(made[0]) == sum(COUNTS.values()), "there are no more"
