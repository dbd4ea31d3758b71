"""The protocol of Caltech-101."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config import validate
from alexnet.published import caltech as published
from benchmarks import caltech


def test_published_accuracies() -> None:
    """Chatfield et al. 2011, table 2; Wang et al. 2010, table 1; both with 30 training photos a class."""
    assert (published.TRAINING_PHOTOS, published.MOST_TEST_PHOTOS) == (30, 50)
    errors = [row.top1 for row in published.ROWS]
    assert errors == pytest.approx([1 - 0.7778, 1 - 0.7344])


@pytest.mark.parametrize("system", caltech.SYSTEMS)
def test_systems_are_valid(system: str) -> None:
    made = validate(caltech.configuration(system, seed=2))
    assert made.training.seed == 2
    assert made.classic is not None and made.classic.classifier == "least-squares"


def test_divisions_differ_and_have_the_protocols_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4 photos to train and at most 5 to test, a class of 7 has 4 and 3."""
    for name, count in (("ants", 7), ("bees", 12)):
        (tmp_path / "all" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((40, 60, 3), 10 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "all" / name / f"{number}.png")
    monkeypatch.setattr(caltech, "TRAINING_PHOTOS", 4)
    monkeypatch.setattr(caltech, "MOST_TEST_PHOTOS", 5)
    monkeypatch.setattr(caltech, "SIDE", 32)
    stores = [caltech.divided(tmp_path / "all", tmp_path / f"{seed}", seed) for seed in (0, 1)]
    for store in stores:
        assert np.bincount(store.split("train").labels).tolist() == [4, 4]
        assert np.bincount(store.split("val").labels).tolist() == [3, 5]
        assert store.side == 32
    assert stores[0].digest != stores[1].digest
