"""The inputs of ../shared/data/odd-inputs, each as its owner means it: read so, or refused in one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from reference.oriented_photos import find_rectangle, iou

from alexnet.data.decode import decode
from alexnet.data.inspect import describe_inspection, inspect
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import SourceOptions, open_source
from alexnet.errors import AlexNetError
from alexnet.interop.importers import read_class_list

pytestmark = pytest.mark.data


@dataclass(frozen=True)
class Read:
    """What an input holds."""

    classes: str
    splits: dict[str, list[int]]
    """Photos of each class by split."""
    printed: tuple[str, ...] = ()
    """Parts of what `inspect` prints."""
    options: SourceOptions = field(default_factory=SourceOptions)


@dataclass(frozen=True)
class Refused:
    """An input that cannot be understood."""

    words: tuple[str, ...]
    """Parts of the one line that is printed."""


EIGHT = {"train": [8, 8, 8]}
WITH_VAL = {"train": [8, 8, 8], "val": [8, 8, 8]}
SIX_EACH = {"train": [6, 6], "val": [6, 6]}
TWO_OF_EACH = {"train": [6, 6], "val": [2, 2]}
SIX_ALL = {"train": [6, 6]}
TINY = {"train": [6, 6, 6], "val": [3, 3, 3]}

INPUTS: dict[str, Read | Refused] = {
    **{
        f"parquet/{name}": Read("0 1 2", EIGHT)
        for name in ("duck_utiny", "duck_huge", "polars_f32", "polars_u8")
    },
    "parquet/pa_binview": Read("0 1 2", EIGHT),
    "parquet/pandas_labelfirst1": Read("1 2 3", EIGHT),
    "parquet/pandas_bool": Read("False True", {"train": [16, 8]}),
    "parquet/pandas_date": Refused(("column 'label'", "timestamp", "--label-column")),
    "parquet/pandas_multilabel": Refused(("column 'label'", "lists of 1 to 2 values")),
    "parquet/pandas_struct_nanlabel": Read(
        "0 1 2", {"train": [7, 8, 8]}, ("1 of 24 photos, without a label",)
    ),
    "parquet/pandas_strnull": Read("cat dog eel", {"train": [7, 8, 8]}, ("1 of 24 photos, without a label",)),
    "parquet/hf_order_differs": Read("cat dog eel", {"train": [16, 16, 16]}),
    "parquet/hf_val_order_differs": Read("cat dog eel", WITH_VAL),
    "parquet/hf_two_labels": Read("cat dog eel", EIGHT, ("photos in column image, labels in column label",)),
    "parquet/hf_mask_first": Read("cat dog eel", EIGHT),
    "parquet/hf_nullimage": Read("cat dog eel", EIGHT, ("unreadable: 1: train/00000005",)),
    "parquet/hf_configs": Refused(("cropped, full", "--configuration")),
    "parquet/hf_extra": Read("cat dog eel", WITH_VAL, ("split 'extra': 24 photos",)),
    "parquet/hf_unsup": Read("cat dog eel", WITH_VAL, ("split 'unlabeled': 24 photos",)),
    "parquet/mixcols_val": Read("0 1 2", WITH_VAL),
    "layouts/dvc": Refused(
        ("train/ holds 10 photos", "without labels", "--labels-from-names (classes cat, dog)")
    ),
    "layouts/dvc by names": Read(
        "cat dog",
        {"train": [5, 5], "test": [0, 0]},
        ("test: 5 photos; unlabeled",),
        SourceOptions(labels_from_names=True),
    ),
    "layouts/flattrain": Read(
        "ant bee", {"train": [3, 3], "test": [0, 0]}, ("labels from train.csv", "labels in column label")
    ),
    "layouts/hfimgfolder": Read(
        "ant bee", {"train": [3, 3], "val": [2, 2]}, ("labels from validation/metadata.csv",)
    ),
    "layouts/intel": Read(
        "buildings forest sea",
        {"train": [6, 6, 6], "val": [6, 6, 6], "test": [0, 0, 0]},
        ("in seg_test/seg_test/", "test: 5 photos; unlabeled; in seg_pred/seg_pred/"),
    ),
    "layouts/suffix": Read("a b", SIX_EACH, ("classes are the folders in val_images/",)),
    "layouts/PACS": Refused(
        ("art, cartoon, photo (--class-level 1)", "dog, elephant (--class-level 2)", "PACS/art")
    ),
    "layouts/PACS at level 2": Read(
        "dog elephant", {"train": [18, 18]}, ("level 2",), SourceOptions(class_level=2)
    ),
    "layouts/masks": Refused(("images, masks (--class-level 1)", "a, b (--class-level 2)", "masks/images")),
    "layouts/classsplit": Read("cat dog", SIX_EACH),
    "layouts/veh_sub": Read("bus car train", {"train": [6, 6, 12]}),
    "layouts/heic_class": Read("cat dog", SIX_ALL, ("AVIF named .HEIC: 6",)),
    "layouts/tiny": Read("goldfish European fire salamander bullfrog", TINY),
    "layouts/tiny2": Read("goldfish European fire salamander bullfrog", {**TINY, "test": [0, 0, 0]}),
    "labels/num1based_file0": Refused(
        ("labels 0..4 of classes 1..5", "positions from 0 (from-0)", "class names (names", "--label-numbers")
    ),
    "labels/num1based_file0 from 0": Read(
        "1 2 3 4 5",
        {"train": [6] * 5, "val": [2] * 5},
        ("positions from 0",),
        SourceOptions(label_numbers="from-0"),
    ),
    "labels/spaces_csv": Read(
        "golden retriever great dane great white", {"train": [6, 6, 6], "val": [2, 2, 2]}
    ),
    "labels/photospaces": Read("ant bee", TWO_OF_EACH),
    "labels/semicolon": Read("ant bee", TWO_OF_EACH, ("photos in column name, labels in column label",)),
    "labels/dotted": Read("ant bee", TWO_OF_EACH),
    "labels/evalnotes2": Read("ant bee", TWO_OF_EACH, ("skipped: 1: evaluation.txt",)),
    "labels/testlist": Read("ant bee", {**SIX_EACH, "test": [0, 0]}, ("test: 3 photos; unlabeled",)),
    "labels/latest": Read("ant bee", {**SIX_EACH, "test": [0, 0]}, ("skipped: 1: README_latest.txt",)),
}

SIX = {"train": [3, 3]}
WITH_BOXES = Read("cat dog", SIX, ("train: 6 photos, 6 boxes",))
INPUTS |= {
    **{f"voc/{name}": WITH_BOXES for name in ("float_size", "size_none", "space_name", "newline_name")},
    "voc/normalized": Read("cat dog", SIX, ("6 boxes", "all are with boxes in fractions")),
    "voc/vocexif": Read("cat dog", {"train": [6, 6]}, ("12 boxes", "EXIF orientation 6: 6")),
    "images/imgs16": Read("bz wz wz8", {"train": [4, 4, 4]}, ("16-bit: 8",)),
    "images/allblack": Read("a b", {"train": [8, 8]}, ("all are of one color",)),
    "idx/zero": Refused(("the images file of train holds 0 images",)),
    "idx/valtrain": Read("0 1 2 3 4 5 6 7 8 9", {"train": [6] * 10, "val": [2] * 10, "test": [2] * 10}),
    "images/wnidmix": Read(
        "mycat tench",
        {"train": [4, 4]},
        ("EXIF orientation: applied by default", "all are EXIF orientation 6"),
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_odd_input(name: str, shared_data: Path) -> None:
    expected = INPUTS[name]
    path = shared_data / "odd-inputs" / name.partition(" ")[0]
    if isinstance(expected, Refused):
        with pytest.raises(AlexNetError) as caught:
            open_source(path, 0)
        assert [words for words in expected.words if words not in str(caught.value)] == []
        assert "\n" not in str(caught.value)
        return
    source = open_source(path, 0, expected.options)
    assert " ".join(each.name for each in source.classes) == expected.classes
    counts = {
        split: [int((photos.labels == label).sum()) for label in range(len(source.classes))]
        for split, photos in source.splits.items()
    }
    assert counts == expected.splits
    lines = "\n".join(describe_inspection(inspect(source, workers=1)))
    assert [words for words in expected.printed if words not in lines] == []


@pytest.mark.parametrize("exif", [True, False])
def test_boxes_and_photos_turn_together(exif: bool, shared_data: Path, tmp_path: Path) -> None:
    """The box around the bright rectangle stays there, whichever of the two sizes the annotation has."""
    source = open_source(shared_data / "odd-inputs/voc/vocexif", 0)
    settings = PrepareSettings(side=120, shape="whole", exif=exif)
    train = prepare(source, tmp_path / "store", settings, workers=1).split("train")
    for index in range(len(train)):
        record = train[index]
        (box,) = record.boxes
        assert iou(box[1:], find_rectangle(decode(bytes(record.image)))) > 0.9


def test_photos_with_white_as_zero_are_no_negatives(shared_data: Path) -> None:
    photos = open_source(shared_data / "odd-inputs/images/imgs16", 0).splits["train"]
    shown = {photos.key(index): decode(photos[index].image).astype(int) for index in range(len(photos))}
    for number in range(4):
        for other in ("wz/w", "wz8/w"):
            assert np.abs(shown[f"bz/b{number}.tif"] - shown[f"{other}{number}.tif"]).max() <= 1


def test_photos_that_are_all_alike_are_refused(shared_data: Path, tmp_path: Path) -> None:
    source = open_source(shared_data / "odd-inputs/images/allblack", 0)
    with pytest.raises(AlexNetError, match="every training photo is of the same single color"):
        prepare(source, tmp_path / "store", PrepareSettings(32), workers=1)


def test_a_byte_order_mark_is_no_part_of_the_first_class(shared_data: Path) -> None:
    classes = read_class_list(shared_data / "odd-inputs/names_bom.txt")
    assert [each.wnid for each in classes] == ["ant", "bee", "cat", "dog", "eel"]


def test_one_folder_named_like_a_wnid_does_not_turn_exif_off(shared_data: Path) -> None:
    assert open_source(shared_data / "odd-inputs/images/wnidmix").settings.exif
