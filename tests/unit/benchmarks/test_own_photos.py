"""The photos and the methods of the comparison of `fit` with what people write themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.sources import open_source
from alexnet.io import write_json
from benchmarks import own_photos

COUNTS = {"dark": 10, "light": 20}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes that any method can tell apart; no two photos are alike."""
    random = np.random.default_rng(0)
    for label, (name, count) in enumerate(COUNTS.items()):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(count):
            rows = np.arange(48)[:, None] if label else np.arange(48)[None, :]  # stripes across, or down
            pixels = 120 + 100 * np.sin(rows) + random.integers(0, 20, (48, 48))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(("per_class", "wanted"), [(0, [7, 14]), (5, [5, 5]), (9, [7, 9])])
def test_photos_to_train_and_to_test_are_apart(
    photos: Path, tmp_path: Path, per_class: int, wanted: list[int]
) -> None:
    made = own_photos.divide(open_source(photos, 0), tmp_path / "made", per_class, seed=1)
    assert np.bincount(made.train_labels).tolist() == wanted
    assert np.bincount(made.test_labels).tolist() == [3, 6]
    train, test = ([file.read_bytes() for file in files] for files in (made.train, made.test))
    assert not {*train} & {*test} and len({*train}) == len(train)
    for files, labels in ((made.train, made.train_labels), (made.test, made.test_labels)):
        assert [file.parent.name for file in files] == [made.classes[label] for label in labels]
    in_folders = Counter(file.parent.parent.name for file in made.folder.rglob("*.png"))
    assert in_folders == {"train": len(made.train), "test": len(made.test)}


def test_another_seed_is_another_division(photos: Path, tmp_path: Path) -> None:
    source = open_source(photos, 0)
    first, again, other = (
        own_photos.divide(source, tmp_path / name, 5, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    names = [[file.name for file in each.test] for each in (first, again, other)]
    assert names[0] == names[1] != names[2]


def test_methods_learn_what_is_easy(photos: Path, tmp_path: Path) -> None:
    made = own_photos.divide(open_source(photos, 0), tmp_path / "made", 0, seed=0)
    for predicted in (own_photos.hog_logistic(made, 0), own_photos.tutorial_net(made, 0, cpu_seconds=3)):
        assert predicted.shape == made.test_labels.shape
        assert (predicted == made.test_labels).mean() >= 8 / 9


def test_hog_votes_for_the_orientation_of_the_gradient() -> None:
    side = own_photos.SIDE
    down = np.broadcast_to(np.linspace(0, 255, side)[:, None, None], (side, side, 3))
    pixels = np.stack([down, down.swapaxes(0, 1)]).astype(np.uint8)
    found = own_photos.hog(pixels).reshape(2, 49, 9, 4).sum((1, 3))  # blocks of 9 orientations in 4 cells
    assert own_photos.hog(pixels).shape == (2, 1764)
    assert found[0].argmax() == 4 and found[1].argmax() in (0, 8)  # 90 degrees; 0, between two bins


def test_what_is_recorded_is_not_measured_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def answer(name: str, note: str | None = None) -> object:
        def method(division: own_photos.Division, *_: object) -> object:
            called.append(name)
            wrong = 1 - division.test_labels
            return (wrong, note) if note is not None else wrong

        return method

    for function, method, note in (
        ("fit", "fit", "chose linear"),
        ("hog_logistic", "hog", None),
        ("tutorial_net", "tutorial-net", None),
        ("modern", "alexnet-modern", None),
    ):
        monkeypatch.setattr(own_photos, function, answer(method, note))
    out = tmp_path / "out"
    out.mkdir()
    rows = list(own_photos.measure(photos, out, 5, 0, minutes=1.0))
    assert called == [row.method for row in rows] == ["fit", "hog", "tutorial-net", "alexnet-modern"]
    assert {(row.training_photos, row.test_photos, row.errors, row.classes) for row in rows} == {
        (10, 9, 9, 2)
    }
    write_json(out / own_photos.RESULTS, [asdict(row) for row in rows[:2]])
    assert [row.method for row in own_photos.measure(photos, out, 5, 0, minutes=1.0)] == [
        "tutorial-net",
        "alexnet-modern",
    ]
