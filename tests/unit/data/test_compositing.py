from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from unit.data.store_makers import make_store, row

from alexnet.data import boxes
from alexnet.data.compositing import MAX_OBJECTS, SIZES, compose
from alexnet.data.prepare import prepare
from alexnet.data.sources import Box, Example
from alexnet.data.store import Store
from alexnet.errors import CommandError

SIDE, CANVAS = 40, 96
BOX = Box(0, 0.3, 0.2, 0.7, 0.8)
COLORS = {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)}


def photo(label: int) -> bytes:
    """Black with a rectangle in the color of the class."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[8:32, 12:28] = COLORS[label]
    return pixels.tobytes()


def store(folder: Path, box: Box = BOX) -> Store:
    rows = [row(n, SIDE, image=photo(n % 3), boxes=(box._replace(label=n % 3),)) for n in range(6)]
    return Store.open(make_store(folder, {"train": rows, "val": rows[:3]}, SIDE))


@pytest.fixture
def scenes(tmp_path: Path) -> list[Example]:
    split = compose(store(tmp_path / "store"), {"train": 40}, CANVAS, seed=3).splits["train"]
    return [split[index] for index in range(len(split))]


def pixels(scene: Example) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(scene.image)).convert("RGB")).astype(int)


def test_each_box_contains_its_object(scenes: list[Example]) -> None:
    for scene in scenes:
        picture = pixels(scene)
        assert picture.shape == (CANVAS, CANVAS, 3)
        assert 1 <= len(scene.boxes) <= MAX_OBJECTS
        for box in scene.boxes:
            x0, y0, x1, y1 = np.rint(np.array(box[1:]) * CANVAS).astype(int)
            inside = picture[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
            assert np.abs(inside - COLORS[box.label]).max() < 40
            assert SIZES[0] - 0.03 <= max(box.x1 - box.x0, box.y1 - box.y0) <= SIZES[1] + 0.03


def test_objects_do_not_overlap_and_the_label_is_that_of_the_largest(scenes: list[Example]) -> None:
    for number, scene in enumerate(scenes):
        corners = np.array([box[1:] for box in scene.boxes])
        assert np.count_nonzero(boxes.iou(corners, corners)) == len(corners)
        assert scene.label == scene.boxes[0].label == number % 3
        assert boxes.area(corners).argmax() == 0
    assert len({len(scene.boxes) for scene in scenes}) > 1


def test_a_scene_is_a_function_of_seed_split_and_number(tmp_path: Path) -> None:
    made = store(tmp_path / "store")
    first, again, other = (compose(made, {"train": 9, "val": 9}, 64, seed).splits for seed in (1, 1, 2))
    copy = pickle.loads(pickle.dumps(again["train"]))
    assert first["train"][5] == copy[5]
    assert first["train"][5].image != other["train"][5].image
    assert first["train"][5].image != first["val"][5].image
    assert first["train"].key(5) == "n00000002/scene-000005.png" == first["train"][5].key


def test_scenes_become_a_store_with_boxes(tmp_path: Path) -> None:
    source = compose(store(tmp_path / "store"), {"train": 6, "val": 3}, 64)
    made = prepare(source, tmp_path / "scenes", source.settings, workers=1)
    assert [len(made.split(name)) for name in ("train", "val")] == [6, 3]
    for index in range(6):
        wanted = source.splits["train"][index]
        assert made.split("train").labels[index] == wanted.label
        found = np.array(made.split("train").boxes(index))
        assert found == pytest.approx(np.array(wanted.boxes), abs=1e-6)
    assert [each.wnid for each in made.classes] == [each.wnid for each in source.classes]


def test_stores_that_scenes_cannot_be_made_from(tmp_path: Path) -> None:
    made = store(tmp_path / "store")
    with pytest.raises(CommandError, match="2 scenes of split 'train' cannot show 3 classes"):
        compose(made, {"train": 2}, 64)
    blots = store(tmp_path / "blots", Box(0, 0.1, 0.1, 0.2, 0.9))
    with pytest.raises(CommandError, match="3 classes have no box of 12 pixels or more in split 'train'"):
        compose(blots, {"train": 9}, 64)
    bare = Store.open(make_store(tmp_path / "bare", {"train": [row(n) for n in range(3)]}))
    with pytest.raises(CommandError, match="'train' of the store has no boxes"):
        compose(bare, {"train": 9}, 64)
