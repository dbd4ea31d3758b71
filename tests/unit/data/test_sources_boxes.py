"""Boxes of photos are found in every form, checked, and listed if they are wrong."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data import source_makers as make

from alexnet.data.inspect import describe_inspection, inspect
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Box, Source, filter_classes, open_source
from alexnet.data.sources.annotation import BEYOND, EMPTY, NO_BOX, OUTSIDE, REVERSED, check_boxes
from alexnet.errors import DataError

TENCH, GOLDFISH = make.WNIDS[:2]
FIRST = f"{TENCH}/{TENCH}_10.JPEG"
CORNERS = (3, 2, 8, 6)
FOUND = (3 / 12, 2 / 8, 9 / 12, 7 / 8)


def notes() -> make.Photos:
    """An annotation for the first training photo, and for the validation photo of the last class."""
    name, wnid = next(iter(make.val_wnids().items()))
    return {
        f"train/{TENCH}/{TENCH}_10.xml": make.annotation(TENCH, CORNERS),
        f"val/{Path(name).stem}.xml": make.annotation(wnid, (0, 0, 11, 3)),
    }


def beside(files: make.Photos, folder: str = "Annotations/") -> Callable[[Path], Path]:
    return lambda path: make.write(path, files | {folder + name: data for name, data in notes().items()})


def tars(folder: Path) -> Path:
    train, val = ({Path(n).name: d for n, d in notes().items() if n.startswith(s)} for s in ("train", "val"))
    packed = {
        "ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive(),
        "ILSVRC2012_bbox_train_v2.tar.gz": make.tar_bytes({f"{TENCH}/{n}": d for n, d in train.items()}),
        "ILSVRC2012_bbox_val_v3.tgz": make.tar_bytes({f"val/{n}": d for n, d in val.items()}),
    }
    compressed = {n: gzip.compress(d) if "bbox" in n else d for n, d in packed.items()}
    return make.write(make.ilsvrc_tars(folder), compressed)


def photos_tar(folder: Path) -> Path:
    files = make.folder_files() | {f"Annotations/{name}": data for name, data in notes().items()}
    return make.write(folder, {"photos.tar": make.tar_bytes(files)}) / "photos.tar"


FORMS: dict[str, Callable[[Path], Path]] = {
    "folders": beside(make.folder_files()),
    "tar of folders": photos_tar,
    "beside the photos": beside(make.folder_files(), ""),
    "official tars": tars,
}


def boxes_of(source: Source, split: str) -> dict[str, tuple[Box, ...]]:
    photos = source.splits[split]
    return {photos[i].key: photos[i].boxes for i in range(len(photos)) if photos[i].boxes}


@pytest.mark.parametrize("form", FORMS)
def test_xml_is_found_in_every_form(form: str, tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(open_source(FORMS[form](tmp_path))))
    assert boxes_of(source, "train") == {FIRST: (Box(0, *FOUND),)}
    (key,) = (key for key in make.val_photos() if "00000001" in key)
    assert boxes_of(source, "val") == {key: (Box(2, 0.0, 0.0, 1.0, 0.5),)}
    assert source.strays == []
    assert [source.splits["train"][i].odd for i in (0, 1)] == [(), (NO_BOX,)]


def test_class_folders_have_boxes_too(tmp_path: Path) -> None:
    own = {f"{name}/1.png": make.photo(seed, kind="PNG") for seed, name in enumerate(("cat", "dog"))}
    own |= {f"annotations/{name}/1.xml": make.annotation(name, CORNERS) for name in ("cat", "dog")}
    source = open_source(make.write(tmp_path, own), val_fraction=0)
    assert [each.wnid for each in source.classes] == ["cat", "dog"]
    assert boxes_of(source, "train") == {
        f"{name}/1.png": (Box(label, *FOUND),) for label, name in enumerate(("cat", "dog"))
    }


def test_photos_with_the_same_name_get_their_own_boxes_or_none(tmp_path: Path) -> None:
    own = {f"train/{name}/1.png": make.photo(seed, kind="PNG") for seed, name in enumerate(("cat", "dog"))}
    own |= {f"train/{name}/2.png": make.photo(9, kind="PNG") for name in ("cat", "dog")}
    own["xml/dog/1.xml"] = make.annotation("dog", CORNERS)
    own["xml/2.xml"] = make.annotation("dog", CORNERS)
    source = open_source(make.write(tmp_path, own), val_fraction=0)
    assert list(boxes_of(source, "train")) == ["dog/1.png"]
    assert source.strays == ["xml/2.xml (its photo is missing)"]


@pytest.mark.parametrize("form", FORMS)
def test_annotations_of_missing_photos_are_named(form: str, tmp_path: Path) -> None:
    folder = FORMS[form](tmp_path)
    if form == "official tars":
        files = {f"val/{n}.xml": make.annotation(TENCH, CORNERS) for n in range(5)}
        make.write(folder, {"ILSVRC2012_bbox_val_v3.tgz": gzip.compress(make.tar_bytes(files))})
        assert open_source(folder).strays == [
            "5 annotations of missing photos, such as ILSVRC2012_bbox_val_v3.tgz: val/4.xml"
        ]
        return
    if form == "tar of folders":
        return
    make.write(folder, {f"Annotations/val/{n}.xml": make.annotation(TENCH, CORNERS) for n in range(5)})
    (stray,) = open_source(folder).strays
    assert stray == "5 annotations of missing photos, such as Annotations/val/0.xml"


def test_tiny_imagenets_boxes_of_missing_photos(tmp_path: Path) -> None:
    files = make.tiny_imagenet_files()
    note = f"tiny-imagenet-200/train/{TENCH}/{TENCH}_boxes.txt"
    files[note] += b"gone.JPEG\t1\t1\t3\t3\n"
    source = open_source(make.write(tmp_path, files))
    assert source.strays == ["gone.JPEG (its photo is missing)"]


def test_objects_of_other_classes_are_ignored_and_class_names_are_accepted(tmp_path: Path) -> None:
    note = make.annotation(TENCH, CORNERS)
    words = make.annotation(f"{GOLDFISH}", (0, 0, 3, 3))
    other = make.annotation("n09999999", (0, 0, 3, 3))
    things = b"".join(xml[xml.index(b"<object>") : xml.index(b"</annotation>")] for xml in (words, other))
    note = note.replace(b"</annotation>", things + b"</annotation>")
    files = make.folder_files() | {f"Annotations/{TENCH}_10.xml": note}
    source = open_source(make.write(tmp_path, files))
    assert [box.label for box in source.splits["train"][0].boxes] == [0, 1]
    kept = filter_classes(source, f"{GOLDFISH},{make.WNIDS[2]}")
    assert boxes_of(kept, "train") == {}


def test_without_a_size_the_size_of_the_photo_is_used(tmp_path: Path) -> None:
    note = make.annotation(TENCH, CORNERS, (0, 0))
    files = make.folder_files() | {f"Annotations/{TENCH}_10.xml": note}
    assert boxes_of(open_source(make.write(tmp_path, files)), "train")[FIRST] == (Box(0, *FOUND),)


@pytest.mark.parametrize(
    ("corners", "odd", "kept"),
    [
        ((0, 0, 11, 7), (), True),
        ((1, 1, 12, 8), (), True),
        ((-1, 0, 11, 7), (), True),
        ((4, 2, 20, 6), (BEYOND,), True),
        ((-2, 2, 5, 6), (BEYOND,), True),
        ((12, 2, 20, 6), (OUTSIDE,), False),
        ((-9, 2, -1, 6), (OUTSIDE,), False),
        ((3, 8, 5, 20), (OUTSIDE,), False),
        ((5, 2, 3, 6), (REVERSED,), False),
        ((3, 6, 5, 2), (REVERSED,), False),
        ((3, 2, 3, 6), (EMPTY,), False),
        ((3, 2, 6, 2), (EMPTY,), False),
    ],
)
def test_boxes_are_checked(corners: tuple[int, ...], odd: tuple[str, ...], kept: bool) -> None:
    good = (7, (1, 1, 2, 2))
    found = check_boxes([good, (5, corners)], (12, 8))
    assert found.odd == odd
    assert [box.label for box in found.boxes] == ([7, 5] if kept else [7])


@given(st.lists(st.tuples(st.integers(0, 3), st.tuples(*4 * [st.integers(-20, 40)])), min_size=1))
def test_usable_boxes_have_an_area_inside_the_photo(found: list[tuple[int, tuple[int, ...]]]) -> None:
    boxes, odd = check_boxes(found, (12, 8))
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert len(boxes) == len(found) or odd


def test_wrong_boxes_are_counted_and_listed(tmp_path: Path) -> None:
    """By `inspect` and in the manifest of the store; the photos themselves are kept."""
    wrong = {10: (5, 2, 3, 6), 20: (3, 2, 3, 6), 30: (20, 2, 30, 6)}
    files = make.folder_files() | {
        f"Annotations/{TENCH}_{number}.xml": make.annotation(TENCH, corners)
        for number, corners in wrong.items()
    }
    source = open_source(make.write(tmp_path / "photos", files))
    found = inspect(source, workers=1)
    lines = "\n".join(describe_inspection(found))
    for number, kind in ((10, REVERSED), (20, EMPTY), (30, OUTSIDE)):
        assert found.splits["train"].odd[kind] == [f"{TENCH}/{TENCH}_{number}.JPEG"]
        assert f"train: {kind}: 1: {TENCH}/{TENCH}_{number}.JPEG" in lines
    photos = len(source.splits["train"])
    assert f"train: {NO_BOX}: {photos - 3}: " in lines
    manifest = prepare(source, tmp_path / "store", PrepareSettings(16), workers=1).manifest
    assert manifest.odd[REVERSED].first == (f"train/{TENCH}/{TENCH}_10.JPEG",)
    assert manifest.odd[NO_BOX].count == photos - 3
    assert manifest.splits["train"].count == photos


@pytest.mark.parametrize("what", ["archive", "xml"])
def test_broken_archives_of_boxes(what: str, tmp_path: Path) -> None:
    folder = tars(tmp_path)
    broken = {
        "archive": b"not an archive",
        "xml": gzip.compress(make.tar_bytes({f"{TENCH}/{TENCH}_10.xml": b"<annotation>"})),
    }
    make.write(folder, {"ILSVRC2012_bbox_train_v2.tar.gz": broken[what]})
    with pytest.raises(DataError, match=r"ILSVRC2012_bbox_train_v2\.tar\.gz"):
        open_source(folder)
