"""Inspection counts everything, names unusual and unreadable photos, and never stops at one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from unit.data import source_makers as make
from unit.data.test_layouts import named, photos

from alexnet.cli.main import main
from alexnet.data import inspect as inspect_module
from alexnet.data.classes import classes_from_wnids
from alexnet.data.inspect import describe_overview, inspect, overview
from alexnet.data.sources import SourceOptions, open_source

ODD = {
    "train/n01440764/gray.JPEG": make.photo(mode="L", size=(30, 20)),
    "train/n01440764/cmyk.JPEG": make.photo(mode="CMYK"),
    "train/n01440764/png.JPEG": make.photo(kind="PNG"),
    "val/n02012849/cut.JPEG": make.photo(size=(60, 60))[:-90],
    "val/n02012849/empty.JPEG": b"",
    "val/n02012849/page.JPEG": b"<html>",
}
FILES = {
    **photos("train/ant", "train/bee", count=3),
    **photos("train/cow", count=5),
    **named("val", "1.jpg", "2.jpg", "3.jpg"),
    **named("test", "1.jpg"),
    **photos("extra"),
    "val.csv": b"file;class\n1.jpg;ant\n2.jpg;cow\n3.jpg;cow\n9.jpg;ant\n",
    "notes.txt": b"version 3",
}


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    return make.write(tmp_path, make.folder_files() | ODD | {"notes.txt": b"x"})


def test_counts_sizes_unusual_and_unreadable_photos(odd_folder: Path) -> None:
    done: list[int] = []
    found = inspect(open_source(odd_folder), progress=done.append, workers=2)
    train, val = found.splits["train"], found.splits["val"]
    assert (train.photos, val.photos, sum(done)) == (15, 9, 24)
    assert train.largest_class == ("n01440764", 7)
    assert train.smallest_class == ("n01443537", 4)
    assert train.odd == {
        "gray": ["n01440764/gray.JPEG"],
        "CMYK": ["n01440764/cmyk.JPEG"],
        "PNG named .JPEG": ["n01440764/png.JPEG"],
    }
    assert train.unreadable == {}
    assert sorted(val.unreadable) == ["n02012849/cut.JPEG", "n02012849/empty.JPEG", "n02012849/page.JPEG"]
    assert "truncated" in val.unreadable["n02012849/cut.JPEG"]
    assert train.shorter_side_pixels == [8, 8, 8, 12, 20]
    assert train.longer_side_pixels[-1] == 30
    assert found.strays == ["notes.txt"]
    assert found.label_order == "3 of the 1,000 classes of ILSVRC-2012, in WNID order"
    assert found.missing_of_ilsvrc is None


def test_boxes_are_counted_and_a_deleted_photo_is_unreadable(tmp_path: Path) -> None:
    source = open_source(make.write(tmp_path, make.tiny_imagenet_files()))
    (tmp_path / "tiny-imagenet-200/train/n01440764/images/n01440764_10.JPEG").unlink()
    (tmp_path / "tiny-imagenet-200/train/n01440764/images/n01440764_20.JPEG").write_bytes(b"x")
    train = inspect(source, workers=1).splits["train"]
    assert train.boxes == 10
    assert list(train.unreadable) == [
        "n01440764/images/n01440764_10.JPEG",
        "n01440764/images/n01440764_20.JPEG",
    ]


def test_nothing_readable(tmp_path: Path) -> None:
    make.write(tmp_path, {"a/1.jpg": b"x", "b/1.jpg": b""})
    train = inspect(open_source(tmp_path)).splits["train"]
    assert train.shorter_side_pixels == train.longer_side_pixels == []
    assert len(train.unreadable) == 2


def test_ilsvrc_counts_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make.write(tmp_path / "photos", make.folder_files())
    monkeypatch.setattr(inspect_module, "imagenet_classes", lambda: classes_from_wnids(make.WNIDS))
    monkeypatch.setattr(inspect_module, "IMAGENET_TRAINING_IMAGES", 20)
    monkeypatch.setattr(inspect_module, "IMAGENET_VALIDATION_IMAGES", 5)
    assert inspect(open_source(tmp_path / "photos")).missing_of_ilsvrc == {"train": 8, "val": -1}
    for words in (["inspect"], ["prepare", str(tmp_path / "store"), "--side", "16", "--workers", "1"]):
        assert main([words[0], str(tmp_path / "photos"), *words[1:]]) == 0
        output = "".join(capsys.readouterr())
        assert "train: 8 photos fewer than ILSVRC-2012\nval: 1 photo more than" in output


def test_custom_classes(tmp_path: Path) -> None:
    make.write(tmp_path, {"cat/1.jpg": make.photo(), "dog/1.jpg": make.photo()})
    found = inspect(open_source(tmp_path))
    assert found.label_order == "2 custom classes, sorted"
    assert [c.wnid for c in found.classes] == ["cat", "dog"]


def test_command_prints_one_json_document(odd_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(odd_folder), "--json"]) == 0
    output, errors = capsys.readouterr()
    document = json.loads(output)
    assert errors == ""
    assert document["classes"][0] == {"wnid": "n01440764", "name": "tench"}
    assert document["splits"]["train"]["odd"]["CMYK"] == ["n01440764/cmyk.JPEG"]
    assert document["strays"] == ["notes.txt"]


def test_command_prints_lines(odd_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(odd_folder)]) == 0
    output = capsys.readouterr().out
    for words in ("15 photos", "CMYK: 1: n01440764/cmyk.JPEG", "unreadable: 3: ", "skipped: 1: notes.txt"):
        assert words in output


def test_command_holds_out_no_validation_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path, {f"cat/{number}.jpg": make.photo(mode="L") for number in range(12)})
    assert main(["inspect", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    for words in ("train: 12 photos", "all are gray", "no val split: prepare holds out", "--val-fraction"):
        assert words in output


def test_command_reports_an_unknown_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "nowhere")]) == 2
    assert main(["inspect", str(tmp_path)]) == 3
    assert capsys.readouterr().err.count("\n") == 2


def test_official_archives_are_compared_with_their_published_md5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make.write(make.ilsvrc_tars(tmp_path), {"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()})
    assert inspect(open_source(tmp_path)).published_bytes == {}  # not ImageNet's 1,000 classes
    val = hashlib.md5((tmp_path / "ILSVRC2012_img_val.tar").read_bytes()).hexdigest()
    monkeypatch.setattr(inspect_module, "imagenet_classes", lambda: classes_from_wnids(make.WNIDS))
    monkeypatch.setitem(inspect_module.IMAGENET_MD5, "ILSVRC2012_img_val.tar", val)
    assert main(["inspect", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "ILSVRC2012_img_val.tar: identical to the published file (MD5)" in output
    assert "ILSVRC2012_img_train.tar: NOT identical to the published file (MD5 differs)" in output


def test_lines(tmp_path: Path) -> None:
    source = open_source(make.write(tmp_path, FILES), 0)
    assert describe_overview(overview(source)) == [
        f"{tmp_path}: train and val folders; 3 custom classes, sorted: ant, bee, cow",
        "train: 11 photos; 3 (ant) to 5 (cow) per class, median 3; classes are the folders in train/",
        "val: 3 photos; 0 (bee) to 2 (cow) per class, median 1; in val/; labels from val.csv "
        "(photos in column file, labels in column class: class names)",
        "test: 1 photo; unlabeled; in test/",
        "EXIF orientation: applied by default",
        "left out: extra/ (3 photos): outside the folders of the splits",
        "note: val.csv also lists 1 photo that the source does not have, such as '9.jpg'",
        "skipped: 1: notes.txt",
    ]


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        (
            photos("art/a", "ink/a", "art/b", "ink/b"),
            SourceOptions(class_level=2),
            "classes are the folders at level 2",
        ),
        (photos("a/train", "a/val", "b/train", "b/val"), SourceOptions(), "classes are the folders"),
        (
            named("", "cat1.jpg", "cat2.jpg", "dog1.jpg", "dog2.jpg"),
            SourceOptions(labels_from_names=True),
            "classes are the photos' names before their numbers",
        ),
        (
            photos("cat", "dog") | {"test.txt": b"cat/0_cat.jpg\ndog/0_dog.jpg\n"},
            SourceOptions(),
            "listed in test.txt; classes are the folders",
        ),
        (
            named("", "1.jpg", "2.jpg")
            | {"labels.csv": b"id,label\n1,0\n2,1\n", "classes.txt": b"0 ant\n1 bee\n"},
            SourceOptions(),
            "class numbers, names from classes.txt",
        ),
    ],
)
def test_where_labels_and_splits_were_found(
    files: make.Photos, options: SourceOptions, words: str, tmp_path: Path
) -> None:
    assert words in "\n".join(
        describe_overview(overview(open_source(make.write(tmp_path, files), 0, options)))
    )


def test_a_held_out_split_says_so(tmp_path: Path) -> None:
    lines = describe_overview(overview(open_source(make.write(tmp_path, photos("cat", "dog", count=6)), 0.3)))
    assert "val: 4 photos; 2 per class; held out of train, 30 % of each class" in lines


def test_inspect_lists_every_class_if_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path, FILES)
    assert main(["inspect", str(tmp_path), "--per-class"]) == 0
    output = capsys.readouterr().out
    assert "label  class  name  train  val  test\n0      ant    ant   3      1    0\n" in output
    assert output.index("label  class") < output.index("shorter by longer side")


def test_a_store_lists_every_class_too_and_takes_no_options_of_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make.write(tmp_path / "photos", FILES)
    assert main(["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--side", "24"]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "store"), "--per-class"]) == 0
    assert (
        "label  class  name  train  val  test\n0      ant    ant   3      1    0\n" in capsys.readouterr().out
    )
    assert main(["inspect", str(tmp_path / "store"), "--class-level", "1"]) == 2
    assert "is a store: its photos have been read, so omit --class-level" in capsys.readouterr().err


def test_the_document_has_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path, FILES)
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["form"] == "train and val folders"
    assert document["left_out"] == [
        {"what": "extra/ (3 photos)", "reason": "outside the folders of the splits"}
    ]
    assert document["notes"] == ["val.csv also lists 1 photo that the source does not have, such as '9.jpg'"]
    val = document["splits"]["val"]
    assert val["photos_per_class"] == {"ant": 1, "bee": 0, "cow": 2}
    assert (val["smallest_class"], val["median_class"], val["largest_class"]) == (["bee", 0], 1, ["cow", 2])
    assert val["origin"]["files"] == ["val.csv"]
    assert val["origin"]["values"] == "class names"
    assert document["splits"]["train"]["origin"]["class_level"] == 1


def test_prepare_prints_it_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path / "photos", FILES)
    words = ["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--side", "16", "--workers", "1"]
    assert main(words) == 0
    output, errors = capsys.readouterr()
    assert errors.index("labels from val.csv") < errors.index("preparing")
    assert errors.count("notes.txt") == 1
    assert output.startswith(f"{tmp_path}/store: 11 train, 3 val, 1 test images")


def test_classes_with_too_few_photos_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = {f"{name}/{n}.jpg": make.photo(n) for name, count in (("ant", 5), ("bee", 1)) for n in range(count)}
    make.write(tmp_path / "few", few | {f"cow/{n}.jpg": make.photo(n) for n in range(3)})
    assert main(["inspect", str(tmp_path / "few")]) == 0
    line = "2 classes have fewer than 4 photos, too few for `fit` to hold some out twice: bee (1), cow (3)"
    assert line in capsys.readouterr().out.splitlines()
    make.write(tmp_path / "enough", {f"{name}/{n}.jpg": make.photo(n) for name in "ab" for n in range(4)})
    assert main(["inspect", str(tmp_path / "enough")]) == 0
    assert "fewer than" not in capsys.readouterr().out
