"""Sources that have no end, or whose names and labels no one would choose."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_photos import EXTREME, encoded
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.photos import find_photos
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.sources.tree import open_folder
from alexnet.errors import DataError
from alexnet.evaluation.predictor import load

SIDE = 32


def photos(folder: Path, classes: int = 2, count: int = 4) -> Path:
    """Noise in class folders of a training and a validation split."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(classes):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 255, (40, 40, 3), np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def test_pipes_devices_and_links_in_a_circle_are_no_photos(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    inside = folder / "train" / "class0"
    os.mkfifo(inside / "pipe.jpg")
    (inside / "zero.jpg").symlink_to("/dev/zero")
    found = open_source(folder)
    assert len(found.splits["train"]) == 8
    assert len(prepare(found, tmp_path / "store", PrepareSettings(side=SIDE), workers=1).split("train")) == 8
    assert len(find_photos(folder)) == 16


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    inside = folder / "train" / "class0"
    (inside / "one.jpg").symlink_to(inside / "two.jpg")
    (inside / "two.jpg").symlink_to(inside / "one.jpg")
    source = open_source(folder)
    with pytest.raises(DataError, match=r"cannot read .*one\.jpg"):
        prepare(source, tmp_path / "store", PrepareSettings(side=SIDE), workers=1)


def test_folders_that_link_to_each_other_are_refused_at_once(tmp_path: Path) -> None:
    for one in range(7):
        (tmp_path / f"folder{one}").mkdir()
        for other in range(7):
            (tmp_path / f"folder{one}" / f"link{other}").symlink_to(tmp_path / f"folder{other}")
    with pytest.raises(DataError, match=r"links lead to .* by more than"):
        open_folder(tmp_path)


def test_a_few_links_to_a_folder_are_followed(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (tmp_path / "linked").mkdir()
    for name in ("train", "val"):
        (tmp_path / "linked" / name).symlink_to(folder / "train")
    assert {name: len(split) for name, split in open_source(tmp_path / "linked").splits.items()} == {
        "train": 8,
        "val": 8,
    }


def test_endless_files_are_not_read_to_the_end(run: Path, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.data.sources.tree.MAX_FILE_BYTES", 10**6)
    (error,) = load(run, "cpu").attempt(["/dev/zero"])
    assert "cannot read /dev/zero: more than 1,000,000 bytes" in str(error)


@pytest.mark.parametrize("make", EXTREME, ids=lambda make: make.__name__)
def test_photos_of_extreme_size_are_left_out_and_named(tmp_path: Path, make) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "train" / "class0" / "extreme.png").write_bytes(make())
    store = prepare(open_source(folder), tmp_path / "store", PrepareSettings(side=SIDE), workers=1)
    assert len(store.split("train")) == 8
    (left_out,) = store.manifest.unreadable
    assert left_out.key == "class0/extreme.png"
    assert "pixels" in left_out.reason


def test_a_photo_of_extreme_size_costs_no_other_prediction(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.png").write_bytes(encoded(64, 64, "PNG"))
    (tmp_path / "b.png").write_bytes(EXTREME[0]())
    (tmp_path / "c.png").write_bytes(encoded(64, 64, "PNG"))
    assert main(["predict", str(tmp_path), "--model", str(run), "--device", "cpu", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert ["error" in each for each in found] == [False, True, False]


def noise(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def labels_table(labels: list[object], kind: pa.DataType | None = None, features: object = None) -> pa.Table:
    rows = [{"bytes": noise(number), "path": f"{number}.png"} for number in range(len(labels))]
    table = pa.table({"image": rows, "label": pa.array(labels, kind)})
    metadata = features if isinstance(features, bytes) else json.dumps({"info": {"features": features}})
    return table if features is None else table.replace_schema_metadata({"huggingface": metadata})


def named(names: object) -> dict[str, object]:
    return {"label": {"names": names, "_type": "ClassLabel"}}


READ = {
    "whole numbers as floats": labels_table([0.0, 1.0] * 4),
    "a label of 10^7": labels_table([0, 10**7] * 4),
    "a label of 2^62": labels_table([0, 2**62] * 4),
    "a label of 2^64 - 1": labels_table([0, 2**64 - 1] * 4, pa.uint64()),
    "the lowest label": labels_table([0, -(2**63)] * 4),
    "deep metadata": labels_table([0, 1] * 4, features=b"[" * 100_000),
    "metadata that are null": labels_table([0, 1] * 4, features=b"null"),
    "metadata that are not UTF-8": labels_table([0, 1] * 4, features=b"\xff"),
    "names that are a number": labels_table([0, 1] * 4, features=named(5)),
    "names that UTF-8 cannot encode": labels_table([0, 1] * 4, features=named(["a", "\ud800"])),
    "names with line breaks": labels_table(["a\nb", "\x1b[31m"] * 4),
}
REFUSED = {
    "fractions": labels_table([0.5, 1.5] * 4),
    "infinity": labels_table([float("inf"), 1.0] * 4),
    "a label without a name": labels_table([0, 10**7] * 4, features=named(["a", "b"])),
    "a label of 2^62 without a name": labels_table([0, 2**62] * 4, features=named(["a", "b"])),
    "a million names": labels_table([0, 1] * 4, features=named(["x"] * 10**6)),
    "bytes": labels_table([b"\xff", b"a"] * 4),
    "dates": labels_table([0, 1] * 4, pa.date32()),
    "no label": labels_table([None] * 8),
}


@pytest.mark.parametrize("name", READ)
def test_odd_labels_of_tables_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    pq.write_table(READ[name], tmp_path / "photos" / "train-0.parquet")
    source = open_source(tmp_path / "photos", val_fraction=0)
    store = prepare(source, tmp_path / "store", PrepareSettings(side=SIDE), workers=1)
    assert np.bincount(store.split("train").labels).tolist() == [4, 4]


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    pq.write_table(REFUSED[name], tmp_path / "train-0.parquet")
    with pytest.raises(DataError, match=str(tmp_path)):
        open_source(tmp_path)


@pytest.mark.parametrize("number", [10**7, 2**62, 10**400])
def test_large_numbers_of_yolo_classes_are_refused_at_once(tmp_path: Path, number: int) -> None:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for name in range(4):
            (tmp_path / "images" / split / f"{name}.jpg").write_bytes(encoded(40, 40, "JPEG"))
            (tmp_path / "labels" / split / f"{name}.txt").write_text(f"{number} 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match=r"line 1: .* is not a class number"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("width", "end"),
    [(float("inf"), 30), (float("nan"), 30), (10**400, 30), ("\ud800", 30), (2**40, 30), (40, 1e300)],
    ids=repr,
)
def test_sizes_of_coco_that_no_photo_has_are_refused(tmp_path: Path, width: object, end: float) -> None:
    images = [
        {"id": number, "file_name": f"{number}.png", "width": width, "height": 40} for number in range(4)
    ]
    boxes = [
        {"id": number, "image_id": number, "category_id": 0, "bbox": [1, 2, end, 30]} for number in range(4)
    ]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "a"}]}
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for number in range(4):
            (tmp_path / split / f"{number}.png").write_bytes(encoded(40, 40, "PNG"))
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    with pytest.raises(
        DataError, match=r"instances_train\.json|train/0\.png is annotated with a size or a box"
    ):
        open_source(tmp_path)


def test_a_blank_line_of_a_label_file_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    for number in range(4):
        (tmp_path / "train" / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / f"class{number % 2}" / f"{number}.png").write_bytes(encoded(40, 40, "PNG"))
        (tmp_path / "val" / f"{number}.png").write_bytes(encoded(40, 40, "PNG"))
    (tmp_path / "labels.json").write_text(json.dumps(["class0", " ", "class1", "class0"]))
    with pytest.raises(DataError):
        open_source(tmp_path)
