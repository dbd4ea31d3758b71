"""Label files as people write them: separators, quotes, headers, encodings, names, WNIDs and positions."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from unit.data import source_makers as make
from unit.data.test_layouts import counts, named, photos, read, refusal

from alexnet.data.classes import NO_LABEL, classes_from_wnids
from alexnet.data.inspect import GroupOverview, describe_overview, overview
from alexnet.data.sources import SourceOptions, open_source
from alexnet.data.sources.base import group_of
from alexnet.data.sources.label_files import to_labels
from alexnet.errors import DataError

FLAT = named("train", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
TRAIN = photos("train/ant", "train/bee")
VAL = named("val", "v1.jpg", "v2.jpg", "v3.jpg", "v4.jpg")
LABELS = ["ant", "bee", "ant", "bee"]


def lines(names: list[str], labels: list[str], separator: str, header: str = "") -> str:
    rows = [f"{name}{separator}{label}" for name, label in zip(names, labels, strict=True)]
    return "\n".join([*([header] if header else []), *rows]) + "\n"


def table(columns: dict[str, object], kind: str) -> bytes:
    """A parquet file, an Arrow file or an Arrow stream."""
    file, made = io.BytesIO(), pa.table(columns)
    if kind == "parquet":
        pq.write_table(made, file)
    else:
        with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(file, made.schema) as writer:
            writer.write_table(made)
    return file.getvalue()


NAMES = [f"v{number}.jpg" for number in range(1, 5)]
FORMS: dict[str, tuple[str, bytes]] = {
    "commas": ("val.csv", lines(NAMES, LABELS, ",", "filename,label").encode()),
    "parquet": ("val.parquet", table({"file_name": NAMES, "label": LABELS}, "parquet")),
    "parquet, numbers": (
        "labels.pq",
        table(
            {"id": [9.0, 8.0, 7.0, 6.0], "path": [f"val/{name}" for name in NAMES], "class": LABELS},
            "parquet",
        ),
    ),
    "parquet, dictionary": (
        "val.parquet",
        table(
            {"image": NAMES, "label": pa.array(LABELS).dictionary_encode(), "size": 4 * [[1, 2]]}, "parquet"
        ),
    ),
    "Arrow file": ("val.feather", table({"file": NAMES, "label": LABELS}, "file")),
    "Arrow stream": ("val.arrow", table({"file": NAMES, "label": LABELS}, "stream")),
    "commas, no header": ("val.csv", lines(NAMES, LABELS, ",").encode()),
    "semicolons": ("val.csv", lines(NAMES, LABELS, ";", "name;label").encode()),
    "tabs": ("val.tsv", lines(NAMES, LABELS, "\t").encode()),
    "bars": ("labels.txt", lines(NAMES, LABELS, "|", "image|class").encode()),
    "blanks": ("val.txt", lines(NAMES, LABELS, "   ").encode()),
    "blanks after commas": ("val.csv", lines(NAMES, LABELS, ", ", "image_id, class").encode()),
    "quotes": ("val.csv", lines([f'"{name}"' for name in NAMES], LABELS, ",", '"file","label"').encode()),
    "stems": ("val.csv", lines([name[:-4] for name in NAMES], LABELS, ",", "id,label").encode()),
    "paths": ("labels.csv", lines([f"./val/{name}" for name in NAMES], LABELS, ",", "path,label").encode()),
    "absolute": ("labels.csv", lines([f"/data/val/{name}" for name in NAMES], LABELS, ",").encode()),
    "backslashes": ("labels.csv", lines([f"val\\{name}" for name in NAMES], LABELS, ",").encode()),
    "labels first": ("val.csv", lines(LABELS, NAMES, ",", "label,image").encode()),
    "mark": ("val.csv", b"\xef\xbb\xbf" + lines(NAMES, LABELS, ",", "filename,label").encode()),
    "utf-16": ("val.csv", lines(NAMES, LABELS, ",", "filename,label").encode("utf-16")),
    "Windows": ("val.csv", lines(NAMES, LABELS, ",").replace("\n", "\r\n").encode()),
    "positions": ("val.txt", lines(NAMES, ["0", "1", "0", "1"], " ").encode()),
    "positions from 1": ("val.txt", lines(NAMES, ["1", "2", "1", "2"], " ").encode()),
    "upper case": ("val.csv", lines(NAMES, ["Ant", "Bee", "Ant", "Bee"], ",", "file,label").encode()),
    "in the folder": ("val/metadata.csv", lines(NAMES, LABELS, ",", "file_name,label").encode()),
    "Roboflow": (
        "val/_annotations.csv",
        (
            "filename,width,height,class,xmin\n"
            + "".join(f"{n},12,8,{c},1\n" for n, c in zip(NAMES, LABELS, strict=True))
        ).encode(),
    ),
    "one-hot": ("val/_classes.csv", lines(NAMES, ["1, 0", "0, 1"] * 2, ", ", "filename, ant, bee").encode()),
    "JSON Lines": (
        "val/metadata.jsonl",
        "\n".join(
            json.dumps({"file_name": n, "label": c}) for n, c in zip(NAMES, LABELS, strict=True)
        ).encode(),
    ),
    "JSON by name": ("val.json", json.dumps(dict(zip(NAMES, LABELS, strict=True))).encode()),
    "JSON by class": ("val.json", json.dumps({"ant": NAMES[::2], "bee": NAMES[1::2]}).encode()),
    "JSON records": (
        "labels.json",
        json.dumps([{"image": n, "label": c} for n, c in zip(NAMES, LABELS, strict=True)]).encode(),
    ),
    "elsewhere": ("meta/lists/val.txt", lines(NAMES, LABELS, " ").encode()),
    "photos that are not here": ("val.txt", lines([*NAMES, "v9.jpg"], [*LABELS, "ant"], " ").encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_label_files_of_flat_folders(form: str, tmp_path: Path) -> None:
    name, data = FORMS[form]
    source = read(tmp_path, {**TRAIN, **VAL, name: data, "README.txt": b"see the web, version 2"})
    assert counts(source)["val"] == {"ant": 2, "bee": 2}
    val = source.splits["val"]
    assert [val.key(index) for index in range(4)] == ["ant/v1.jpg", "ant/v3.jpg", "bee/v2.jpg", "bee/v4.jpg"]
    assert source.origins["val"].files == (name,)
    assert source.strays == ["README.txt"]


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.parquet", "labels.arrow"])
@pytest.mark.parametrize("prefix", ["", "images/", "/data/images/"])
def test_a_table_of_paths_is_a_source(tmp_path: Path, name: str, prefix: str) -> None:
    files = named("images", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    paths = [f"{prefix}{number}.jpg" for number in range(1, 5)]
    columns = {"image": paths, "label": LABELS, "split": ["train", "train", "val", "val"]}
    data = table(columns, "parquet" if name.endswith("parquet") else "file")
    if not name.endswith(("parquet", "arrow")):
        separator = "," if name.endswith("csv") else "\t"
        rows = zip(*columns.values(), strict=True)
        data = "\n".join(map(separator.join, [tuple(columns), *rows])).encode()
    folder = make.write(tmp_path, {**files, name: data})
    for source in (open_source(folder / name, 0), open_source(folder, 0)):
        assert counts(source) == {"train": {"ant": 1, "bee": 1}, "val": {"ant": 1, "bee": 1}}
        assert source.splits["train"][0].image == files["images/1.jpg"]
        assert source.options == {}


def test_a_table_that_leaves_photos_out_is_refused(tmp_path: Path) -> None:
    files = {
        **named("images", *NAMES, "v5.jpg"),
        "labels.parquet": table({"image": NAMES, "label": LABELS}, "file"),
    }
    files["labels.arrow"] = files.pop("labels.parquet")
    make.write(tmp_path, files)
    with pytest.raises(DataError, match=r"v5\.jpg"):
        open_source(tmp_path / "labels.arrow", 0)
    options = SourceOptions(skip_unlabeled=True)
    assert counts(open_source(tmp_path / "labels.arrow", 0, options)) == {"train": {"ant": 2, "bee": 2}}


def test_labels_that_utf8_cannot_encode_are_escaped(tmp_path: Path) -> None:
    files = {f"train/{number}.jpg": make.photo(number) for number in range(4)}
    labels = {f"{number}.jpg": ("\ud800", "ant")[number % 2] for number in range(4)}
    make.write(tmp_path, {**files, "train.json": json.dumps(labels).encode()})
    source = open_source(tmp_path, 0)
    assert [each.wnid for each in source.classes] == ["\\ud800", "ant"]
    assert source.splits["train"][0].key == "\\ud800/0.jpg"


def test_a_damaged_table_beside_photos_is_no_label_file(tmp_path: Path) -> None:
    whole = table({"image": NAMES, "label": LABELS}, "parquet")
    files = {**named("images", *NAMES), "labels.parquet": whole[:-20]}
    make.write(tmp_path, files)
    with pytest.raises(DataError, match=r"labels\.parquet is not a complete parquet file"):
        open_source(tmp_path / "labels.parquet", 0)
    with pytest.raises(DataError, match="without labels"):
        open_source(tmp_path, 0)


def test_classes_come_from_the_labels_where_no_folder_has_them(tmp_path: Path) -> None:
    files = {
        **FLAT,
        **named("test", "1.jpg", "2.jpg"),
        "train.csv": b"id,label\n1,bee\n2,ant\n3,ant\n4,bee\n",
    }
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"ant": 2, "bee": 2}, "test": {"": 2}}
    origin = source.origins["train"]
    assert (origin.image_column, origin.label_column, origin.values) == ("id", "label", "class names")


def test_one_file_for_all_splits_labels_each_photo_by_its_path(tmp_path: Path) -> None:
    rows = [f"train/{n}.jpg,{'ab'[n % 2]}" for n in range(1, 5)] + ["val/1.jpg,b", "val/2.jpg,a"]
    files = {
        **FLAT,
        **named("val", "1.jpg", "2.jpg"),
        "labels.csv": "\n".join(["path,label", *rows]).encode(),
    }
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"a": 2, "b": 2}, "val": {"a": 1, "b": 1}}
    assert source.splits["val"].key(0) == "a/2.jpg"


def test_labels_of_training_photos_are_not_those_of_test_photos_of_the_same_name(tmp_path: Path) -> None:
    files = {**FLAT, **named("test", "1.jpg", "2.jpg"), "labels.csv": b"id,breed\n1,b\n2,a\n3,a\n4,b\n"}
    assert counts(read(tmp_path, files)) == {"train": {"a": 2, "b": 2}, "test": {"": 2}}


def test_a_column_of_splits(tmp_path: Path) -> None:
    rows = ["image,label,split", "1.jpg,a,train", "2.jpg,b,train", "3.jpg,a,valid", "4.jpg,b,test"]
    source = read(
        tmp_path, named("images", "1.jpg", "2.jpg", "3.jpg", "4.jpg") | {"d.csv": "\n".join(rows).encode()}
    )
    assert counts(source) == {"train": {"a": 1, "b": 1}, "val": {"a": 1}, "test": {"b": 1}}


def test_names_of_classes_by_number(tmp_path: Path) -> None:
    files = {
        **FLAT,
        "train.csv": b"id,label\n1,0\n2,1\n3,0\n4,1\n",
        "label_map.json": b'{"0": "zebra", "1": "ant"}',
    }
    source = read(tmp_path, files)
    assert [each.name for each in source.classes] == ["zebra", "ant"]
    origin = source.origins["train"]
    assert (origin.values, origin.class_list) == ("class numbers", "label_map.json")


def test_a_column_has_as_many_labels_as_there_are_photos(tmp_path: Path) -> None:
    """A first line more is a header, or the labels of all photos would be shifted."""
    files = {**TRAIN, **VAL}
    with_header = files | {"val_labels.txt": b"label\nant\nbee\nbee\nbee\n"}
    assert counts(read(tmp_path / "header", with_header))["val"] == {"ant": 1, "bee": 3}
    shifted = files | {"val_labels.txt": b"ant\nant\nbee\nbee\nbee\n"}
    assert "has 5 labels for 4 photos: it must name the photos" in refusal(tmp_path / "more", shifted)


def test_a_column_for_photos_in_two_orders_is_refused(tmp_path: Path) -> None:
    files = {**TRAIN, **named("val", *(f"v{number}.jpg" for number in range(8, 12)))}
    message = refusal(tmp_path / "numbers", files | {"val_labels.txt": b"ant\nbee\nant\nbee\n"})
    assert "v10.jpg or val/v8.jpg may be photo 1: write the photos' names into the file" in message
    padded = {**TRAIN, **named("val", "v08.jpg", "v09.jpg", "v10.jpg", "v11.jpg")}
    padded |= {"val_labels.txt": b"ant\nbee\nant\nbee\n"}
    assert counts(read(tmp_path / "padded", padded))["val"] == {"ant": 2, "bee": 2}


def test_labels_of_several_words_in_a_column(tmp_path: Path) -> None:
    files = {**FLAT, **VAL, "train_labels.txt": b"polar bear\npolar fox\npolar bear\npolar fox\n"}
    files |= {"val_labels.txt": b"polar fox\npolar bear\npolar fox\npolar bear\n"}
    source = read(tmp_path, files)
    assert counts(source)["train"] == {"polar bear": 2, "polar fox": 2}


def test_a_list_of_classes_is_no_column_of_labels(tmp_path: Path) -> None:
    test = named("test", "1.jpg", "2.jpg")
    source = read(tmp_path, {**TRAIN, **test, "classes.txt": b"ant\nbee\n"})
    assert counts(source)["test"] == {"": 2}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", b"bee\nant\n"),
        ("classes.txt", b"0 Bee\n1 ANT\n"),
        ("labels.txt", b"0 bee\n1 ant\n"),
        ("labels.txt", b"bee\nant\n"),
        ("class_names.csv", b"id,name,kingdom\n0,bee,insects\n1,ant,insects\n"),
    ],
)
def test_numbers_are_those_of_the_list_of_classes_that_is_there(
    name: str, text: bytes, tmp_path: Path
) -> None:
    """Not positions in the order of the folders."""
    files = {**TRAIN, **VAL, name: text, "val.csv": b"file,label\nv1.jpg,0\nv2.jpg,0\nv3.jpg,0\nv4.jpg,1\n"}
    source = read(tmp_path, files)
    assert counts(source)["val"] == {"bee": 3, "ant": 1}
    assert source.origins["val"].class_list == name


def test_lines_of_a_list_of_classes_name_the_classes_of_flat_photos(tmp_path: Path) -> None:
    files = {**FLAT, "classes.txt": b"zebra\nant\ngnu\n"}
    from_0 = read(tmp_path / "0", files | {"train.csv": b"id,label\n1,0\n2,1\n3,2\n4,0\n"})
    assert counts(from_0)["train"] == {"zebra": 2, "ant": 1, "gnu": 1}
    from_1 = read(tmp_path / "1", files | {"train.csv": b"id,label\n1,1\n2,2\n3,3\n4,1\n"})
    assert counts(from_1)["train"] == {"zebra": 2, "ant": 1, "gnu": 1}
    shorter = read(tmp_path / "2", files | {"train.csv": b"id,label\n1,0\n2,1\n3,0\n4,1\n"})
    assert counts(shorter)["train"] == {"0": 2, "1": 2}  # the list is not of these classes


def test_a_chosen_label_file_does_not_hide_the_list_of_classes(tmp_path: Path) -> None:
    files = {**FLAT, "labels.csv": b"id,label\n1,0\n2,1\n3,0\n4,1\n", "classes.txt": b"0 ant\n1 bee\n"}
    found = [
        counts(read(tmp_path / "folder", files))["train"],
        counts(read(tmp_path / "option", files, SourceOptions(labels="labels.csv")))["train"],
        counts(open_source(tmp_path / "option" / "labels.csv", 0))["train"],
    ]
    assert found == 3 * [{"ant": 2, "bee": 2}]


def test_a_column_of_splits_in_a_chosen_file_elsewhere(tmp_path: Path) -> None:
    rows = b"image,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,val\n4.jpg,b,test\n"
    (tmp_path / "labels.csv").write_bytes(rows)
    source = read(tmp_path / "photos", FLAT, SourceOptions(labels=str(tmp_path / "labels.csv")))
    assert counts(source) == {"train": {"a": 1, "b": 1}, "val": {"a": 1}, "test": {"b": 1}}


def test_rows_of_another_split_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = b"image,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,val\n4.jpg,b,excluded\n"
    source = read(tmp_path, {**FLAT, "labels.csv": rows})
    assert counts(source) == {"train": {"a": 1, "b": 1}, "val": {"a": 1}}
    assert [tuple(each) for each in source.left_out] == [("1 photo", "in no list of a split")]


def test_words_for_missing_labels_are_no_class(tmp_path: Path) -> None:
    rows = b"image,label\n1.jpg,1\n2.jpg,0\n3.jpg,1\n4.jpg,NA\n"
    source = read(tmp_path, {**FLAT, "train.csv": rows})
    assert counts(source)["train"] == {"0": 1, "1": 2}
    assert "train.csv: NA in column label stands for no label" in source.notes


def test_names_of_columns_in_a_comment(tmp_path: Path) -> None:
    rows = b"# made by hand\n#filename,view,class\n"
    rows += b"1.jpg,left,ant\n2.jpg,right,bee\n3.jpg,left,bee\n4.jpg,left,ant\n"
    assert counts(read(tmp_path, {**FLAT, "train.csv": rows}))["train"] == {"ant": 2, "bee": 2}
    without = rows.replace(b"#filename,view,class", b"# and checked, twice")
    assert counts(read(tmp_path / "2", {**FLAT, "train.csv": without}))["train"] == {"left": 3, "right": 1}


def test_a_short_line_of_flags_has_no_class_there(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    rows = [
        "filename,ant,bee",
        *(f"{name},{n % 2},{1 - n % 2}" for n, name in enumerate(names[:-1])),
        "11.jpg,1",
    ]
    files = {**named("train", *names), "train.csv": "\n".join(rows).encode()}
    assert counts(read(tmp_path, files))["train"] == {"ant": 6, "bee": 6}


ORDER = [10, 3, 12, 8, 2, 4, 7, 1, 9, 6, 11, 5]
"""Of the rows in a file, whose photos are 1.jpg to 12.jpg; 1 to 6 are dogs."""
OWNERS = {number: "cat" if number > 6 else "dog" for number in ORDER}


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("labels.csv", "id,url,label", "{i},https://x.org/photos/{n}.jpg,{label}"),
        ("labels.csv", ",img_path,label", "{i},photos/{n}.jpg,{label}"),
        ("labels.csv", "id,filename,label", "{i},{n}.jpg,{label}"),
        ("train.lst", "", "{i}\t{label}\tphotos/{n}.jpg"),
    ],
)
def test_the_number_of_a_row_is_not_that_of_a_photo(name: str, header: str, row: str, tmp_path: Path) -> None:
    rows = [row.format(i=i, n=n, label=OWNERS[n]) for i, n in enumerate(ORDER, 1)]
    files = named("photos", *(f"{n}.jpg" for n in ORDER)) | {
        name: "\n".join([*filter(None, [header]), *rows]).encode()
    }
    train = read(tmp_path, files).splits["train"]
    for index in range(len(train)):
        label, photo = train.key(index).split("/")[0], train.key(index).split("/")[-1]
        assert label == OWNERS[int(photo.removesuffix(".jpg"))]


def test_names_of_other_photos_are_not_replaced_by_numbers(tmp_path: Path) -> None:
    rows = ["image,id,label", *(f"/up/ab12-{n}.jpg,{i},{OWNERS[n]}" for i, n in enumerate(ORDER, 1))]
    files = named("photos", *(f"{n}.jpg" for n in ORDER)) | {"labels.csv": "\n".join(rows).encode()}
    assert "without labels" in refusal(tmp_path, files)


def test_two_columns_of_different_photos_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    rows = b"original,new_name,label\n4.jpg,1.jpg,a\n3.jpg,2.jpg,a\n2.jpg,3.jpg,b\n1.jpg,4.jpg,b\n"
    files = {**FLAT, "labels.csv": rows}
    message = refusal(tmp_path, files)
    assert "its columns original and new_name name different photos: choose with --image-column" in message
    source = read(tmp_path, files, SourceOptions(image_column="new_name"))
    assert source.splits["train"].key(0).endswith("1.jpg")


@pytest.mark.parametrize("name", ["example_entry.csv", "sample_sub.csv", "my_predictions.csv"])
def test_forms_to_fill_in_and_predictions_are_no_labels(name: str, tmp_path: Path) -> None:
    test = named("test", "1.jpg", "2.jpg")
    source = read(tmp_path, {**TRAIN, **test, name: b"file,species\n1.jpg,ant\n2.jpg,bee\n"})
    assert counts(source)["test"] == {"": 2} and source.strays == [name]
    filled = {**TRAIN, **test, "test.csv": b"file,label\n1.jpg,ant\n2.jpg,ant\n"}
    assert counts(read(tmp_path / "same", filled))["test"] == {"": 2}
    scored = {**FLAT, "labels.csv": b"file,label,confidence\n1.jpg,a,0.5\n2.jpg,b,1\n3.jpg,a,1\n4.jpg,b,1\n"}
    assert "its column confidence makes it a file of predictions" in refusal(tmp_path / "scored", scored)


def test_labels_of_photos_in_class_folders_are_not_those_of_others_of_the_same_names(tmp_path: Path) -> None:
    files = named("train/ant", "1.jpg", "3.jpg") | named("train/bee", "2.jpg", "4.jpg")
    files |= named("test", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    rows = b"id,label\n1,ant\n2,bee\n3,ant\n4,bee\n"
    assert "may label the photos of train or of test" in refusal(tmp_path / "1", files | {"labels.csv": rows})
    assert counts(read(tmp_path / "2", files | {"test.csv": rows}))["val"] == {"ant": 2, "bee": 2}


def test_a_label_of_two_classes_is_none_of_them(tmp_path: Path) -> None:
    rows = b"file,label\nv1.jpg,ant\nv2.jpg,bee ant\nv3.jpg,ant\nv4.jpg,bee\n"
    assert "label 'bee ant' is not one of the 2 classes" in refusal(
        tmp_path, {**TRAIN, **VAL, "val.csv": rows}
    )


def test_a_line_of_more_cells_is_refused_unless_they_are_empty(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(30)]
    rows = ["file,label", *(f"{name},{'newt' if n % 2 else 'frog'}" for n, name in enumerate(names))]
    files = named("train", *names)
    cut = [rows[0], "0.jpg,toad, green", *rows[2:]]
    message = refusal(tmp_path / "1", files | {"train.csv": "\n".join(cut).encode()})
    assert "train.csv, line 2: it has more cells than the others" in message
    trailing = [rows[0], *(f"{row}," for row in rows[1:])]
    found = read(tmp_path / "2", files | {"train.csv": "\n".join(trailing).encode()})
    assert counts(found)["train"] == {"frog": 15, "newt": 15}
    excel = ["sep=,", *rows]
    assert counts(read(tmp_path / "3", files | {"train.csv": "\n".join(excel).encode()}))["train"] == {
        "frog": 15,
        "newt": 15,
    }


def test_splits_are_no_classes(tmp_path: Path) -> None:
    splits = json.dumps({"train": ["1.jpg", "2.jpg"], "test": ["3.jpg", "4.jpg"]}).encode()
    assert "without labels" in refusal(tmp_path / "1", {**FLAT, "splits.json": splits})
    files = photos("x/a", "x/b", count=2)
    listed = json.dumps(
        {"train": [p for p in files if "0_" in p], "test": [p for p in files if "1_" in p]}
    ).encode()
    assert counts(read(tmp_path / "2", files | {"splits.json": listed})) == {
        "train": {"a": 1, "b": 1},
        "val": {"a": 1, "b": 1},
    }


def test_a_column_of_splits_without_a_header(tmp_path: Path) -> None:
    rows = b"TRAIN,gs://bucket/1.jpg,a\nTRAIN,gs://bucket/2.jpg,b\nVALIDATION,gs://bucket/3.jpg,a\nTEST,gs://bucket/4.jpg,b\n"
    found = counts(read(tmp_path, named("", "1.jpg", "2.jpg", "3.jpg", "4.jpg") | {"import.csv": rows}))
    assert found == {"train": {"a": 1, "b": 1}, "val": {"a": 1}, "test": {"b": 1}}


def test_words_that_are_no_splits_are_refused_and_flags_are_read(tmp_path: Path) -> None:
    rows = b"file,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,later\n4.jpg,b,later\n"
    message = refusal(tmp_path / "1", {**FLAT, "labels.csv": rows})
    assert "column split of labels.csv has train, later: write train, val or test" in message
    flags = rows.replace(b"split", b"is_holdout").replace(b",train", b",False").replace(b",later", b",True")
    assert counts(read(tmp_path / "2", {**FLAT, "labels.csv": flags}))["val"] == {"a": 1, "b": 1}


def test_a_label_file_that_names_no_photo_alone_is_noted(tmp_path: Path) -> None:
    files = named("p/mon", "0.jpg", "1.jpg") | named("p/tue", "0.jpg", "1.jpg")
    rows = b"session,filename,label\nmon,0.jpg,cat\nmon,1.jpg,dog\ntue,0.jpg,cat\ntue,1.jpg,dog\n"
    (note,) = read(tmp_path, files | {"labels.csv": rows}).notes
    assert note.startswith(
        "labels.csv is not used: its column filename names no photo of the source, or several"
    )


def test_why_a_file_labels_no_photos_is_in_the_message(tmp_path: Path) -> None:
    none = {**FLAT, "labels.csv": b"file,label\n0001,a\n0002,b\n0003,a\n"}
    assert "labels.csv has columns file and label, but names none of them" in refusal(tmp_path / "1", none)
    few = {**FLAT, "labels.csv": b"file,label\n1.jpg,a\n"}
    assert "labels.csv labels only 1 of them" in refusal(tmp_path / "2", few)


def test_accents_may_be_written_in_two_ways(tmp_path: Path) -> None:
    apart, together = (unicodedata.normalize(form, "B\u00e4r") for form in ("NFD", "NFC"))
    files = named("train", f"{apart}1.jpg", f"{apart}2.jpg", "x1.jpg", "x2.jpg")
    rows = f"file,label\n{together}1.jpg,a\n{together}2.jpg,b\nx1.jpg,a\nx2.jpg,b\n".encode()
    assert counts(read(tmp_path, files | {"train.csv": rows}))["train"] == {"a": 2, "b": 2}


def test_minus_one_is_no_class_among_numbers(tmp_path: Path) -> None:
    source = read(tmp_path, {**FLAT, "train.csv": b"file,label\n1.jpg,1\n2.jpg,0\n3.jpg,1\n4.jpg,-1\n"})
    assert counts(source)["train"] == {"0": 1, "1": 2}
    assert "train.csv: -1 in column label stands for no label" in source.notes


def test_classes_that_differ_only_in_case_are_noted(tmp_path: Path) -> None:
    rows = b"file,label\n1.jpg,Cat\n2.jpg,cat\n3.jpg,dog\n4.jpg,dog\n"
    (note,) = read(tmp_path, {**FLAT, "train.csv": rows}).notes
    assert note == "the classes 'Cat' and 'cat' differ only in case, blanks or accents"


def test_several_columns_that_may_be_labels(tmp_path: Path) -> None:
    rows = (
        b"file,species,breed,age\n1.jpg,dog,pug,1\n2.jpg,dog,poodle,2\n3.jpg,cat,manx,1\n4.jpg,cat,manx,4\n"
    )
    files = {**FLAT, "train.csv": rows}
    message = refusal(tmp_path, files)
    assert "its columns species, breed may all be the label: choose with --label-column" in message
    assert counts(read(tmp_path, files, SourceOptions(label_column="species"))) == {
        "train": {"cat": 2, "dog": 2}
    }
    other = {**FLAT, "train.csv": rows.replace(b"species", b"kind").replace(b"breed", b"sort")}
    assert "columns kind, sort, age" in refusal(tmp_path / "other", other)


def test_an_index_column_and_whole_numbers_with_decimals(tmp_path: Path) -> None:
    rows = b",file,label\n0,1.jpg,1.0\n1,2.jpg,0.0\n2,3.jpg,1.0\n3,4.jpg,0.0\n"
    assert counts(read(tmp_path, {**FLAT, "train.csv": rows})) == {"train": {"0": 2, "1": 2}}


def test_one_folder_with_a_file_for_each_split(tmp_path: Path) -> None:
    files = named("images", *(f"{number}.jpg" for number in range(1, 7)))
    files |= {"train.csv": b"id,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n", "val.csv": b"id,label\n4.jpg,b\n"}
    files |= {"test.csv": b"id\n5.jpg\n6.jpg\n", "sample_submission.csv": b"id,label\n5.jpg,a\n6.jpg,a\n"}
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"a": 2, "b": 1}, "val": {"b": 1}, "test": {"": 2}}
    assert source.strays == ["sample_submission.csv"]


def test_two_sets_of_lists_that_disagree_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    files = named("images", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    for name, labels in (("variant", ("a", "b", "c", "a")), ("family", ("x", "x", "y", "x"))):
        files[f"{name}_train.txt"] = f"1 {labels[0]}\n2 {labels[1]}\n".encode()
        files[f"{name}_test.txt"] = f"3 {labels[2]}\n4 {labels[3]}\n".encode()
    assert "label the photos differently: choose with --labels" in refusal(tmp_path, files)
    chosen = SourceOptions(labels="family_train.txt,family_test.txt")
    assert counts(read(tmp_path, files, chosen)) == {"train": {"x": 2}, "val": {"x": 1, "y": 1}}


def test_a_chosen_file_labels_only_the_splits_that_it_names(tmp_path: Path) -> None:
    files = {**TRAIN, **VAL, "one.csv": lines(NAMES, LABELS, ",").encode()}
    files["two.csv"] = lines(NAMES, LABELS[::-1], ",").encode()
    assert "one.csv and two.csv label the photos differently" in refusal(tmp_path, files)
    source = read(tmp_path, files, SourceOptions(labels="two.csv"))
    assert source.splits["val"].key(0) == "ant/v2.jpg"
    assert source.origins["train"].labels == "folders"


def test_numbered_parts_of_one_folder_are_no_classes(tmp_path: Path) -> None:
    files = named("images_part_1", "1.jpg", "2.jpg") | named("images_part_2", "3.jpg", "4.jpg")
    assert "images_part_1, images_part_2 (--class-level 1)" in refusal(tmp_path, files)
    rows = b"image_id,dx,age\n1,nv,80\n2,mel,60\n3,nv,70\n4,mel,80\n"
    assert counts(read(tmp_path, files | {"metadata.csv": rows})) == {"train": {"mel": 2, "nv": 2}}


def test_a_file_of_unknown_columns_beside_class_folders_is_noted(tmp_path: Path) -> None:
    files = photos("cat", "dog")
    rows = [f"{name},{number % 4},x" for number, name in enumerate(files)]
    source = read(tmp_path, files | {"meta.csv": "\n".join(["path,age,place", *rows]).encode()})
    assert counts(source) == {"train": {"cat": 3, "dog": 3}}
    (note,) = source.notes
    assert note.startswith("meta.csv is not used: none of its columns age, place is known")


def test_columns_that_agree_are_one_choice(tmp_path: Path) -> None:
    rows = b"file,label,class_name\n1.jpg,1,bee\n2.jpg,0,ant\n3.jpg,1,bee\n4.jpg,0,ant\n"
    assert counts(read(tmp_path, {**FLAT, "train.csv": rows})) == {"train": {"ant": 2, "bee": 2}}


def test_folders_and_a_file_that_disagree_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    files = photos("patient1", "patient2", count=4)
    rows = [f"{path},{'ill' if number % 3 else 'well'}" for number, path in enumerate(files)]
    files["labels.csv"] = "\n".join(["path,label", *rows]).encode()
    message = refusal(tmp_path, files)
    assert "folders patient1, patient2 (--class-level 1)" in message
    assert "column label of labels.csv (--labels labels.csv)" in message
    assert set(counts(read(tmp_path, files, SourceOptions(class_level=1)))["train"]) == {
        "patient1",
        "patient2",
    }
    chosen = read(tmp_path, files, SourceOptions(labels="labels.csv"))
    assert counts(chosen) == {"train": {"ill": 5, "well": 3}}
    outside = tmp_path / "elsewhere.csv"
    outside.write_bytes(files.pop("labels.csv"))
    chosen = read(tmp_path / "photos", files, SourceOptions(labels=str(outside)))
    assert counts(chosen) == {"train": {"ill": 5, "well": 3}}
    assert chosen.options == {"labels": "elsewhere.csv"}
    assert "no such file" in refusal(tmp_path / "photos", files, SourceOptions(labels="nowhere.csv"))


def test_a_file_that_agrees_with_one_of_two_levels_chooses_it(tmp_path: Path) -> None:
    files = photos("fish/eel", "fish/cod", "bird/owl", "bird/emu")
    rows = [f"{path} {path.split('/')[1]}" for path in files]
    source = read(tmp_path, files | {"labels.txt": "\n".join(rows).encode()})
    assert source.origins["train"].class_level == 2


def test_contradictory_lines_are_listed(tmp_path: Path) -> None:
    rows = b"1.jpg,a\n2.jpg,b\n3.jpg,a\n4.jpg,b\n2.jpg,a\n1.jpg,a\n"
    message = refusal(tmp_path, {**FLAT, "train.csv": rows})
    assert "1 contradictory line: 2.jpg (line 2: b, line 5: a)" in message


def test_photos_of_several_classes_are_refused(tmp_path: Path) -> None:
    rows = b"filename,cat,dog\n1.jpg,1,1\n2.jpg,0,1\n3.jpg,1,0\n4.jpg,1,0\n"
    assert "1.jpg has several classes" in refusal(tmp_path, {**FLAT, "train.csv": rows})


def test_a_column_that_names_no_classes_is_refused(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    rows = "".join(f"{name},text number {number}\n" for number, name in enumerate(names))
    message = refusal(tmp_path, named("train", *names) | {"train.csv": f"file_name,label\n{rows}".encode()})
    assert "12 different labels for 12 photos" in message


def test_photos_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    source = read(tmp_path, {**FLAT, "train.csv": b"id,label\n1,a\n2,\n3,b\n4,a\n"})
    assert counts(source) == {"train": {"a": 2, "b": 1}}
    assert source.left_out[0] == ("1 photo of train", "no label in train.csv")


def test_photos_that_the_file_does_not_name_are_refused_until_they_are_left_out(tmp_path: Path) -> None:
    files = {**FLAT, "train.csv": b"1.jpg,a\n2.jpg,b\n3.jpg,a\n"}
    message = refusal(tmp_path / "refused", files)
    assert "train.csv has no label for 1 photo such as 4.jpg: add them, or leave" in message
    assert "--skip-unlabeled" in message
    source = read(tmp_path / "left out", files, SourceOptions(skip_unlabeled=True))
    assert counts(source) == {"train": {"a": 2, "b": 1}}
    assert source.left_out == [("1 photo of train", "no label in train.csv")]
    few = {**FLAT, "some.csv": b"name,label\n1.jpg,a\n"}
    assert counts(read(tmp_path / "few", few, SourceOptions(skip_unlabeled=True))) == {"train": {"a": 1}}


def test_a_test_split_with_some_labels_has_no_unlabeled_photos(tmp_path: Path) -> None:
    files = named("train/a", "1.jpg") | named("train/b", "2.jpg") | named("test", "3.jpg", "4.jpg")
    source = read(tmp_path, {**files, "test.csv": b"name,label\n3.jpg,b\n4.jpg,\n"})
    assert counts(source) == {"train": {"a": 1, "b": 1}, "val": {"b": 1}}
    assert source.left_out == [("1 photo of test", "no label in test.csv")]


def test_a_whole_name_is_found_before_a_stem(tmp_path: Path) -> None:
    files = named("val", "1.jpg", "1.jpg.png", "p1.0.jpg", "p1.1.jpg")
    rows = b"1.jpg,ant\n1.jpg.png,bee\np1.0,ant\np1.1,bee\n"
    source = read(tmp_path, {**TRAIN, **files, "val.csv": rows})
    keys = [source.splits["val"].key(index) for index in range(4)]
    assert keys == ["ant/1.jpg", "ant/p1.0.jpg", "bee/1.jpg.png", "bee/p1.1.jpg"]


def test_names_and_classes_with_blanks(tmp_path: Path) -> None:
    files = photos("train/great dane", "train/great white") | named("val", "photo 1.jpg", "photo 2.jpg")
    for number, rows in enumerate(
        ("photo 1.jpg great dane\nphoto 2.jpg great white", "photo 1.jpg,great dane\nphoto 2.jpg,great white")
    ):
        source = read(tmp_path / str(number), {**files, "val.txt": rows.encode()})
        assert counts(source)["val"] == {"great dane": 1, "great white": 1}


def test_latin_1_is_read_and_noted(tmp_path: Path) -> None:
    files = photos("train/abeille", "train/guêpe") | named("val", "1.jpg", "2.jpg")
    source = read(
        tmp_path, {**files, "val.csv": "file,label\n1.jpg,guêpe\n2.jpg,abeille\n".encode("latin-1")}
    )
    assert counts(source)["val"] == {"abeille": 1, "guêpe": 1}
    assert "val.csv is read as latin-1" in source.notes


def test_rows_of_other_photos_are_noted(tmp_path: Path) -> None:
    source = read(
        tmp_path, {**TRAIN, **VAL, "val.txt": lines([*NAMES, "v9.jpg"], [*LABELS, "ant"], " ").encode()}
    )
    assert source.notes == ["val.txt also lists 1 photo that the source does not have, such as 'v9.jpg'"]


def test_a_list_of_test_photos_is_no_label_file(tmp_path: Path) -> None:
    files = {
        **TRAIN,
        **named("test", "1.jpg", "2.jpg"),
        "test.txt": b"1.jpg\n2.jpg\n",
        "evaluation.txt": b"done in May",
    }
    source = read(tmp_path, files)
    assert counts(source)["test"] == {"": 2}
    assert source.strays == ["evaluation.txt"]


CLASSES = classes_from_wnids(["ant", "bee", "cow"])
DIGITS = classes_from_wnids(["1", "2", "3"])


@pytest.mark.parametrize(
    ("texts", "labels", "values"),
    [
        (["ant", "cow"], [0, 2], "class names"),
        (["0", "2"], [0, 2], "positions from 0"),
        (["1", "3"], [0, 2], "positions from 1"),
        (["0", "", "2.0"], [0, NO_LABEL, 2], "positions from 0"),
    ],
)
def test_what_labels_are_is_decided_for_all_of_them(texts: list[str], labels: list[int], values: str) -> None:
    meaning = to_labels(texts, CLASSES, "here")
    np.testing.assert_array_equal(meaning.labels, labels)
    assert meaning.values == values


def test_positions_that_may_count_from_0_or_1_are_refused_until_chosen() -> None:
    with pytest.raises(
        DataError, match=r"from 0 \(from-0\) or positions from 1 \(from-1\): choose with --label-n"
    ):
        to_labels(["1", "2"], CLASSES, "here")
    assert to_labels(["1", "2"], CLASSES, "here", "from-0").labels.tolist() == [1, 2]
    assert to_labels(["1", "2"], CLASSES, "here", "from-1").labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="label '0' is not one of"):
        to_labels(["0", "2"], CLASSES, "here", "from-1")


def test_numbers_of_classes_that_are_named_by_numbers() -> None:
    assert to_labels(["1", "3"], DIGITS, "here").labels.tolist() == [0, 2]
    assert to_labels(["1", "3"], classes_from_wnids(["001", "003"]), "here").values == "class names"
    with pytest.raises(DataError, match=r"labels 0\.\.2 of classes 1\.\.3 may be positions from 0"):
        to_labels(["0", "2"], DIGITS, "here")
    assert to_labels(["0", "2"], DIGITS, "here", "from-0").labels.tolist() == [0, 2]
    with pytest.raises(DataError, match="label '0' is not one of"):
        to_labels(["0", "2"], DIGITS, "here", "names")


def test_labels_mixed_of_names_and_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="label '1' is not one of the 3 classes"):
        to_labels(["ant", "1"], CLASSES, "here")


@pytest.mark.parametrize("split", ["train", "val"])
def test_photos_without_a_label_file_are_refused(split: str, tmp_path: Path) -> None:
    files = {**named("train", "1.jpg"), **photos("val/a", "val/b")} if split == "train" else {**TRAIN, **VAL}
    message = refusal(tmp_path, files)
    assert f"{split}/ holds" in message
    assert "without labels" in message


def test_bytes_that_are_no_text_do_not_stop_a_source_that_needs_no_labels(tmp_path: Path) -> None:
    make.write(tmp_path, photos("cat", "dog") | {"notes.txt": b"\x00\xff\x00\x00"})
    assert open_source(tmp_path, 0).strays == ["notes.txt"]


@pytest.mark.parametrize(
    "labels", [["1" + 20 * "0", "1" + 19 * "0" + "1"], [5000 * "9", "1"]], ids=["20", "5,000"]
)
def test_numbers_of_many_digits_are_names_of_classes(labels: list[str], tmp_path: Path) -> None:
    files = FLAT | {
        "labels.csv": lines(["1.jpg", "2.jpg", "3.jpg", "4.jpg"], labels * 2, ",", "file,label").encode()
    }
    source = read(tmp_path, files)
    assert {each.wnid for each in source.classes} == set(labels)


def test_names_of_classes_under_numbers_of_many_digits(tmp_path: Path) -> None:
    names = f"1,ant\n{5000 * '9'},bee\n".encode()
    table = lines(["1.jpg", "2.jpg", "3.jpg", "4.jpg"], ["1", "2"] * 2, ",", "file,label").encode()
    source = read(tmp_path, FLAT | {"labels.csv": table, "classes.csv": names})
    assert [each.wnid for each in source.classes] == ["1", "2"]


ROWS = [(name, label, place) for name, label, place in zip(FLAT, LABELS, "lrrl", strict=True)]


@pytest.mark.parametrize(("file", "separator"), [("labels.csv", ","), ("labels.txt", " "), ("l.tsv", "\t")])
def test_columns_without_a_header_are_chosen_by_their_numbers(
    file: str, separator: str, tmp_path: Path
) -> None:
    text = "\n".join(separator.join((path.rpartition("/")[2], *rest)) for path, *rest in ROWS)
    files = {name.removeprefix("train/"): data for name, data in FLAT.items()} | {file: text.encode()}
    chosen = read(tmp_path, files, SourceOptions(label_column="3"))
    assert counts(chosen) == {"train": {"l": 2, "r": 2}}
    assert chosen.origins["train"].label_column == "3"
    assert chosen.origins["train"].other_columns == ("2",)
    second = read(tmp_path, files, SourceOptions(label_column="2"))
    assert counts(second) == {"train": {"ant": 2, "bee": 2}}
    assert f"--label-column 9: {file} has 1, 2" in refusal(tmp_path, files, SourceOptions(label_column="9"))


def test_the_other_columns_are_named(tmp_path: Path) -> None:
    rows = "file,label,place\n" + "".join(f"{path},{label},{place}\n" for path, label, place in ROWS)
    source = read(tmp_path, FLAT | {"train.csv": rows.encode()})
    lines = describe_overview(overview(source))
    assert "labels in column label: class names); other columns: place" in lines[1]
    message = refusal(tmp_path, FLAT | {"train.csv": rows.encode()}, SourceOptions(label_column="plaze"))
    assert "--label-column plaze: train.csv has file, label, place: name one of these" in message


def test_a_column_names_groups(tmp_path: Path) -> None:
    """Beside a column of labels, which it is not mistaken for, and for photos in class folders."""
    rows = "file,kind,person\n" + "".join(
        f"{path},{label},{person}\n"
        for (path, label, _), person in zip(ROWS, ("p1", "p2", "", "p1"), strict=True)
    )
    options = SourceOptions(group_column="person")
    source = read(tmp_path / "1", FLAT | {"train.csv": rows.encode()}, options)
    assert source.origins["train"].other_columns == ()
    split = source.splits["train"]
    groups = {split.key(index): group_of(split, index) for index in range(len(split))}
    assert groups == {"ant/1.jpg": "p1", "ant/3.jpg": "", "bee/2.jpg": "p2", "bee/4.jpg": "p1"}
    assert describe_overview(overview(source))[2] == (
        "groups: 2 in column person, the largest p1 (2 photos); 1 photo of no group"
    )
    in_folders = "file,person\n" + "".join(f"{path},{path[-5]}\n" for path in TRAIN)
    folders = read(tmp_path / "2", TRAIN | {"people.csv": in_folders.encode()}, options)
    assert folders.origins["train"].labels == "folders" and not folders.strays
    assert group_of(folders.splits["train"], 0) == "t"


@pytest.mark.parametrize("missing", ["NA", "NaN", "null"])
def test_words_for_a_missing_group_are_no_group(missing: str, tmp_path: Path) -> None:
    rows = "file,label,person\n" + "".join(
        f"{path},{label},{'p' if number == 0 else missing}\n" for number, (path, label, _) in enumerate(ROWS)
    )
    source = read(tmp_path, FLAT | {"train.csv": rows.encode()}, SourceOptions(group_column="person"))
    assert overview(source).groups == GroupOverview("person", 1, ("p", 1), len(ROWS) - 1, [])


def test_a_column_of_groups_that_may_be_the_label_leaves_no_other_column_its_place(tmp_path: Path) -> None:
    rows = "file,species,sex\n" + "".join(
        f"{path},{label},{'fm'[len(label) % 2]}\n" for path, label, _ in ROWS
    )
    files = FLAT | {"train.csv": rows.encode()}
    message = refusal(tmp_path, files, SourceOptions(group_column="species"))
    assert "its column species may be the label: choose one with --label-column" in message
    both = SourceOptions(group_column="species", label_column="species")
    assert {each.wnid for each in read(tmp_path, files, both).classes} == {label for _, label, _ in ROWS}


def test_a_table_with_the_name_of_a_form_is_read_if_it_is_chosen(tmp_path: Path) -> None:
    rows = "file,label\n" + "".join(f"{path},{label}\n" for path, label, _ in ROWS)
    files = FLAT | {"samples.csv": rows.encode()}
    assert "without labels" in refusal(tmp_path, files)
    source = read(tmp_path, files, SourceOptions(labels="samples.csv"))
    assert {each.wnid for each in source.classes} == {label for _, label, _ in ROWS}


def test_a_file_of_groups_is_used(tmp_path: Path) -> None:
    """Also where its names are those of photos in both splits, so that it labels none."""
    files = named("train", "ant/1.jpg", "bee/2.jpg") | named("val", "ant/1.jpg", "bee/2.jpg")
    for split in ("train", "val"):
        files[f"{split}.csv"] = b"file,label,person\nant/1.jpg,ant,p\nbee/2.jpg,bee,q\n"
    source = read(tmp_path, files, SourceOptions(group_column="person"))
    assert not any("is not used" in note for note in source.notes)


def test_groups_across_splits_are_named(tmp_path: Path) -> None:
    files = named("train", "1.jpg", "2.jpg") | named("val", "1.jpg", "2.jpg")
    for split, people in (("train", "pq"), ("val", "qr")):
        rows = f"file_name,label,person\n1.jpg,ant,{people[0]}\n2.jpg,bee,{people[1]}\n"
        files |= {f"{split}/metadata.csv": rows.encode()}
    source = read(tmp_path, files, SourceOptions(group_column="person"))
    assert overview(source).groups == GroupOverview("person", 3, ("q", 2), 0, ["q"])
    assert "groups with photos in several splits, which makes errors look smaller: 1: q" in describe_overview(
        overview(source)
    )


def test_groups_that_cannot_be_known_are_refused(tmp_path: Path) -> None:
    rows = "file,label,person\n" + "".join(f"{path},{label},p\n" for path, label, _ in ROWS)
    files = FLAT | {"train.csv": rows.encode()}
    message = refusal(tmp_path, files, SourceOptions(group_column="people"))
    assert "--group-column people: train.csv has file, label, person" in message
    files["train.csv"] += f"{ROWS[0][0]},{ROWS[0][1]},q\n".encode()
    message = refusal(tmp_path, files, SourceOptions(group_column="person"))
    assert "column person of train.csv has two groups for 1 photo: train/1.jpg (p, line 6: q)" in message
    message = refusal(tmp_path, files, SourceOptions(group_column="file"))
    assert "--group-column file: this column of train.csv names the photos" in message
    files["train.csv"] = rows.replace(",p\n", ",\n").encode()
    message = refusal(tmp_path, files, SourceOptions(group_column="person"))
    assert "--group-column person: this column of train.csv is empty" in message


def test_a_table_of_groups_with_other_columns_leaves_the_folders_their_classes(tmp_path: Path) -> None:
    rows = "file,person,place\n" + "".join(
        f"{path},p{number % 3},{'nm'[number % 2]}\n" for number, path in enumerate(TRAIN)
    )
    files = TRAIN | {"people.csv": rows.encode()}
    source = read(tmp_path / "1", files, SourceOptions(group_column="person"))
    assert counts(source) == {"train": {"ant": 3, "bee": 3}}
    one = rows.replace(",place", "").replace(",n\n", "\n").replace(",m\n", "\n")
    message = refusal(tmp_path / "2", TRAIN | {"people.csv": one.encode()})
    assert "or with --group-column person if the column names groups" in message


def test_several_classes_in_one_cell_are_noted(tmp_path: Path) -> None:
    rows = 'file,labels\n1.jpg,ant\n2.jpg,"ant, bee"\n3.jpg,ant\n4.jpg,"ant, bee"\n'
    source = read(tmp_path, FLAT | {"train.csv": rows.encode()})
    assert source.notes == [
        "label 'ant, bee' of train.csv is one class, though 'ant' is another: keep one for each photo"
    ]


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    message = refusal(tmp_path, FLAT | {"labels.xlsx": b"PK\3\4"})
    assert "labels.xlsx is of a form that is not read: save it as CSV" in message
