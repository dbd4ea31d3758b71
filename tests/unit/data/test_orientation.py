"""Photos and their boxes turn together, by the EXIF orientation; see `tests/reference/oriented_photos.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference.oriented_photos import file_with_orientation, find_rectangle, iou, upright_photo
from unit.data import source_makers as make

from alexnet.data.decode import decode, swaps_sides, turn_box, turn_box_back, turn_pixels
from alexnet.data.inspect import describe_inspection, inspect
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.sources.annotation import BY_RULE, FRACTIONS, OTHER_CLASSES, OTHER_SIZE

SIZE = (120, 72)
CORNERS = (12, 30, 47, 59)
ORIENTATIONS = range(1, 9)
FRAMES = ("stored", "upright", "none", "stored, half", "upright, half")
KNOWN = [
    (orientation, frame)
    for orientation in ORIENTATIONS
    for frame in FRAMES
    # There the size cannot decide, and the rule takes the box as drawn upright.
    if orientation not in (2, 3, 4) or "stored" not in frame
]


def on_stored(orientation: int) -> tuple[int, ...]:
    """The rectangle on the stored photo, in pixels, last ones included."""
    stored = decode(file_with_orientation(upright_photo(SIZE, CORNERS), orientation))
    x0, y0, x1, y1 = find_rectangle(stored)
    height, width, _ = stored.shape
    return round(x0 * width), round(y0 * height), round(x1 * width) - 1, round(y1 * height) - 1


def annotated(orientation: int, frame: str) -> bytes:
    """The XML of a person who drew on the photo as stored, or on the upright one; half: of half the size."""
    sides = SIZE[::-1] if swaps_sides(orientation) else SIZE
    size, corners = (sides, on_stored(orientation)) if "stored" in frame else (SIZE, CORNERS)
    scale = 2 if "half" in frame else 1
    corners = tuple((c + (i > 1)) // scale - (i > 1) for i, c in enumerate(corners))
    size = (0, 0) if frame == "none" else tuple(side // scale for side in size)
    return make.annotation("dog", corners, size)


@pytest.mark.parametrize(("orientation", "frame"), KNOWN)
@pytest.mark.parametrize("exif", [True, False])
@pytest.mark.parametrize("shape", ["square", "whole"])
def test_the_box_in_the_store_is_where_the_rectangle_is(
    orientation: int, frame: str, exif: bool, shape: str, tmp_path: Path
) -> None:
    photo = file_with_orientation(upright_photo(SIZE, CORNERS), orientation)
    files = {"dog/a.png": photo, "dog/a.xml": annotated(orientation, frame), "cat/b.png": make.photo()}
    source = open_source(make.write(tmp_path / "photos", files), 0)
    settings = PrepareSettings(side=72, shape=shape, resize="crop", exif=exif)
    store = prepare(source, tmp_path / "store", settings, workers=1)
    split = store.split("train")
    (record,) = (split[index] for index in range(2) if split[index].label == 1)
    (box,) = record.boxes
    pixels = decode(bytes(record.image))
    assert iou(box[1:], find_rectangle(pixels)) > 0.9
    by_rule = orientation in (2, 3, 4) or (orientation > 4 and frame == "none")
    assert (BY_RULE[True] in store.manifest.odd) == by_rule
    assert (OTHER_SIZE in store.manifest.odd) == ("half" in frame)


def test_boxes_of_imagenets_photos_are_taken_as_drawn_before_turning(tmp_path: Path) -> None:
    """In 2012 no browser turned photos."""
    wnid = make.WNIDS[0]
    files = make.folder_files()
    files[f"train/{wnid}/{wnid}_10.JPEG"] = file_with_orientation(upright_photo(SIZE, CORNERS), 3)
    files[f"train/{wnid}/{wnid}_10.xml"] = make.annotation(wnid, on_stored(3), SIZE)
    source = open_source(make.write(tmp_path, files))
    example = source.splits["train"][0]
    assert iou(example.boxes[0][1:], find_rectangle(decode(example.image))) > 0.9
    assert f"train: {BY_RULE[False]}: 1: " in "\n".join(describe_inspection(inspect(source, workers=1)))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_a_box_agrees_with_turning_pixels(orientation: int) -> None:
    upright = np.asarray(upright_photo(SIZE, CORNERS))
    stored = decode(file_with_orientation(upright_photo(SIZE, CORNERS), orientation))
    np.testing.assert_array_equal(turn_pixels(stored, orientation), upright)
    box = find_rectangle(stored)
    np.testing.assert_allclose(turn_box(box, orientation), find_rectangle(upright))
    np.testing.assert_allclose(turn_box_back(find_rectangle(upright), orientation), box)


def one_box(folder: Path, xml: bytes) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """The one box of a photo of 120 x 72 with this annotation, and what is odd about it."""
    photo = file_with_orientation(upright_photo(SIZE, CORNERS), 1)
    files = {"dog/a.png": photo, "dog/a.xml": xml, "cat/b.png": make.photo()}
    example = open_source(make.write(folder, files), 0).splits["train"][1]
    return (example.boxes[0][1:] if example.boxes else None), example.odd


WRITTEN = make.annotation("dog", CORNERS, SIZE)
VARIANTS: dict[str, tuple[bytes, bytes]] = {
    "float size": (b">120<", b">120.0<"),
    "empty size": (b">120<", b"><"),
    "blank size": (b">72<", b"> \n<"),
    "None": (b">120<", b">None<"),
    "negative size": (b">72<", b">-1<"),
    "float corners": (b">12<", b">12.0<"),
    "exponent": (b">12<", b">1.2e1<"),
    "blanks around corners": (b">12<", b"> 12\n<"),
    "blanks around the name": (b">dog<", b"> dog <"),
    "newlines around the name": (b">dog<", b">\n\t\tdog\n\t<"),
    "another case": (b">dog<", b">Dog<"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_xml_as_people_write_it(variant: str, tmp_path: Path) -> None:
    old, new = VARIANTS[variant]
    assert old in WRITTEN
    box, odd = one_box(tmp_path, WRITTEN.replace(old, new, 1))
    assert box == (12 / 120, 30 / 72, 48 / 120, 60 / 72)
    assert odd == ()


def test_corners_from_0_to_1_are_fractions_and_counted(tmp_path: Path) -> None:
    xml = WRITTEN
    for old, new in ((b">12<", b">0.1<"), (b">30<", b">0.25<"), (b">47<", b">0.5<"), (b">59<", b">1<")):
        xml = xml.replace(old, new)
    assert one_box(tmp_path, xml) == ((0.1, 0.25, 0.5, 1.0), (FRACTIONS,))


def test_objects_of_other_classes_are_counted(tmp_path: Path) -> None:
    box, odd = one_box(tmp_path, WRITTEN.replace(b">dog<", b">terrier<"))
    assert box is None
    assert OTHER_CLASSES in odd
