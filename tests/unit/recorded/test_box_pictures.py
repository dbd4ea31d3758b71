"""Which boxes of a run are drawn, and as what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from unit.data.store_makers import make_store, row

from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.recorded import box_pictures
from alexnet.recorded.pictures import draw
from alexnet.runs import predictions
from alexnet.runs.predictions import Detected, Located

SIDE, IMAGES = 32, 6
TRUE, NEAR, FAR = [0.2, 0.2, 0.6, 0.6], [0.2, 0.2, 0.6, 0.7], [0.6, 0.6, 1.0, 1.0]
Drawn = list[tuple[str, list[tuple[str, list[float], str]]]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = [row(n, SIDE, boxes=(Box(n % 3, *TRUE),)) for n in range(IMAGES)]
    return Store.open(make_store(tmp_path / "store", {"train": rows, "val": rows}, SIDE))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Filled with a title and boxes (kind, corners, caption) for each photo that is drawn."""
    found: Drawn = []
    real: Callable[..., object] = box_pictures.draw_box_photos

    def kept(photos, boxes, titles):
        for some, title in zip(boxes, titles, strict=True):
            found.append(
                (title, [(each.kind, list(np.round(each.corners, 3)), each.caption) for each in some])
            )
        return real(photos, boxes, titles)

    monkeypatch.setattr(box_pictures, "draw_box_photos", kept)
    return found


def facts(store: Store) -> dict[str, np.ndarray]:
    return {
        "keys": np.array(store.split("val").keys()),
        "classes": np.array([each.wnid for each in store.classes]),
    }


def test_hits_come_first_then_wrong_boxes_and_wrong_classes(
    store: Store, tmp_path: Path, drawn: Drawn
) -> None:
    labels = store.split("val").labels
    first = np.array([*labels[:4], *((labels[4:] + 1) % 3)])
    corners = np.array([NEAR, FAR, NEAR, FAR, NEAR, FAR], np.float32)[:, None]
    for views, where in (("dense", np.zeros_like(corners)), ("dense@32,48", corners)):
        made = Located("val", views, first[:, None], where, np.ones((6, 1), np.float32), **facts(store))
        predictions.save(made, tmp_path / "run" / "predictions" / f"val-{views}-boxes.npz")
    assert draw(tmp_path / "run", store.path, tmp_path / "hits-and-misses.png").is_file()
    assert [title.rpartition("\n")[2] for title, _ in drawn] == [
        *(2 * ["right"]),
        *(2 * ["wrong box"]),
        *(2 * ["wrong class"]),
    ]
    assert [kind for kind, *_ in drawn[0][1]] == ["true", "right"]
    assert drawn[2][1][1][:2] == ("wrong", pytest.approx(FAR))


def test_detections_are_right_where_an_object_of_their_class_is(
    store: Store, tmp_path: Path, drawn: Drawn
) -> None:
    images, labels = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1])
    made = Detected(
        "val",
        "dense",
        images,
        labels,
        np.array([4, 3, 0.1, 4], np.float32),
        np.array([NEAR, NEAR, FAR, FAR], np.float32),
        **facts(store),
    )
    predictions.save(made, tmp_path / "run" / "predictions" / "val-dense-objects.npz")
    assert draw(tmp_path / "run", store.path, tmp_path / "objects.png").is_file()
    names = [each.name for each in store.classes]
    assert [(kind, caption) for kind, _, caption in drawn[0][1]] == [
        ("true", ""),
        ("wrong", names[1]),
        ("right", names[0]),
    ]
    assert [kind for kind, *_ in drawn[1][1]] == ["true", "wrong"]
    assert drawn[0][0] == "1 object"
