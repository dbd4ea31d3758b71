"""What was understood of a source is printed before its photos are read, and is in the JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.data import source_makers as make
from unit.data.test_layouts import named, photos

from alexnet.cli.main import main
from alexnet.data.overview import describe_overview, overview
from alexnet.data.sources import SourceOptions, open_source

FILES = {
    **photos("train/ant", "train/bee", count=3),
    **photos("train/cow", count=5),
    **named("val", "1.jpg", "2.jpg", "3.jpg"),
    **named("test", "1.jpg"),
    **photos("extra"),
    "val.csv": b"file;class\n1.jpg;ant\n2.jpg;cow\n3.jpg;cow\n9.jpg;ant\n",
    "notes.txt": b"version 3",
}


def test_lines(tmp_path: Path) -> None:
    source = open_source(make.write(tmp_path, FILES), 0)
    assert describe_overview(overview(source)) == [
        f"{tmp_path}: train and val folders; 3 custom classes, sorted: ant, bee, cow",
        "train: 11 photos; 3 (ant) to 5 (cow) per class, median 3; classes are the folders in train/",
        "val: 3 photos; 0 (bee) to 2 (cow) per class, median 1; in val/; labels from val.csv "
        "(photos in column file, labels in column class: class names)",
        "test: 1 photos; unlabeled; in test/",
        "EXIF orientation: applied by default",
        "left out: extra/ (3 photos): outside the folders of the splits",
        "note: val.csv names 1 other photos, such as '9.jpg'",
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
            "class numbers of classes.txt",
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
    assert "val: 4 photos; 2 per class; held out, 30 % of each class" in lines


def test_inspect_lists_every_class_if_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path, FILES)
    assert main(["inspect", str(tmp_path), "--per-class"]) == 0
    output = capsys.readouterr().out
    assert "label  class  name  train  val  test\n0      ant    ant   3      1    0\n" in output
    assert output.index("label  class") < output.index("shorter by longer side")


def test_the_document_has_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path, FILES)
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["form"] == "train and val folders"
    assert document["left_out"] == [
        {"what": "extra/ (3 photos)", "reason": "outside the folders of the splits"}
    ]
    assert document["notes"] == ["val.csv names 1 other photos, such as '9.jpg'"]
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
