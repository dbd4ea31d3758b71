"""Parquet and Arrow files as pandas, Polars, DuckDB and Hugging Face write them."""

from __future__ import annotations

import datetime
import decimal
import itertools
import json
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data import source_makers as make

from alexnet.data.inspect import inspect
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Source, SourceOptions, open_source, table_file
from alexnet.data.sources.base import group_of
from alexnet.data.sources.table_file import TableFile
from alexnet.errors import CommandError, DataError

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PHOTOS = [make.photo(seed) for seed in range(6)]
WORDS = ["cat", "dog", "cat", "dog", "cat", "dog"]


def structs(photos: list[bytes] = PHOTOS) -> pa.Array:
    return pa.array([{"bytes": data, "path": None} for data in photos], STRUCT)


def features(**columns: Any) -> dict[str, str]:
    """Hugging Face's metadata: class names for a list, `Image` for None."""
    described = {
        name: {"_type": "Image"} if names is None else {"_type": "ClassLabel", "names": names}
        for name, names in columns.items()
    }
    return {"huggingface": json.dumps({"info": {"features": described}})}


def write(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    """Parquet in parts of two rows, or an Arrow file or stream, by the name's end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns).replace_schema_metadata(metadata)
    if path.name.endswith(".parquet"):
        pq.write_table(table, path, row_group_size=2)
    else:
        new = pa.ipc.new_stream if path.name.endswith(".stream.arrow") else pa.ipc.new_file
        with new(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


def labeled(source: Source, split: str = "train") -> list[tuple[str, bytes]]:
    """The class and the bytes of each photo."""
    photos = source.splits[split]
    return [(source.classes[photos[i].label].wnid, photos[i].image) for i in range(len(photos))]


def names(source: Source) -> list[str]:
    return [each.wnid for each in source.classes]


def opened(path: Path, **options: str) -> Source:
    return pickle.loads(pickle.dumps(open_source(path, 0, SourceOptions(**options))))


VIEWS = pa.array(PHOTOS, pa.binary()).cast(pa.binary_view())
PHOTO_COLUMNS = {
    "struct": structs(),
    "binary": pa.array(PHOTOS, pa.binary()),
    "large_binary": pa.array(PHOTOS, pa.large_binary()),
    "binary_view": VIEWS,
    "dictionary": pa.array(PHOTOS, pa.binary()).dictionary_encode(),
    "list of one": pa.array([[{"bytes": data, "path": None}] for data in PHOTOS], pa.list_(STRUCT)),
    "large list of one": pa.array([[data] for data in PHOTOS], pa.large_list(pa.large_binary())),
    "struct of large_binary": pa.array(
        [{"bytes": data} for data in PHOTOS], pa.struct([("bytes", pa.large_binary())])
    ),
}


@pytest.mark.parametrize("kind", PHOTO_COLUMNS)
@pytest.mark.parametrize("form", ["train.parquet", "train.arrow", "train.stream.arrow", "train.feather"])
def test_photos_of_every_type(kind: str, form: str, tmp_path: Path) -> None:
    write(tmp_path / form, {"image": PHOTO_COLUMNS[kind], "label": pa.array(WORDS)})
    assert labeled(opened(tmp_path)) == list(zip(WORDS, PHOTOS, strict=True))


@pytest.mark.parametrize("column", ["image", "label"])
@pytest.mark.parametrize("form", ["train.arrow", "train.stream.arrow"])
def test_offsets_that_lead_out_of_an_arrow_file_are_refused(column: str, form: str, tmp_path: Path) -> None:
    columns = {"image": pa.array(PHOTOS, pa.binary()), "label": pa.array(WORDS)}
    path = write(tmp_path / form, columns)
    lengths = [len(value.as_buffer()) for value in columns[column][:2]]
    offsets = np.cumsum([0, *lengths]).astype("<i4").tobytes()
    data = path.read_bytes()
    assert offsets in data
    path.write_bytes(data.replace(offsets, offsets[:8] + (2**30).to_bytes(4, "little")))
    with pytest.raises(DataError, match=f"{form} is not a complete Arrow file"):
        labeled(opened(tmp_path))


INTEGERS = [1, 12, 1, 12, 1, 12]
LABEL_COLUMNS: dict[str, tuple[Any, list[str]]] = {
    **{str(kind()): (pa.array(INTEGERS, kind()), ["1", "12"]) for kind in (pa.int8, pa.uint8, pa.int16)},
    **{str(kind()): (pa.array(INTEGERS, kind()), ["1", "12"]) for kind in (pa.uint16, pa.int32, pa.uint32)},
    **{str(kind()): (pa.array(INTEGERS, kind()), ["1", "12"]) for kind in (pa.int64, pa.uint64)},
    "beyond int64": (pa.array([2**63, 7] * 3, pa.uint64()), ["7", str(2**63)]),
    "float16": (pa.array(np.array(INTEGERS, np.float16)), ["1", "12"]),
    "float": (pa.array(INTEGERS, pa.float32()), ["1", "12"]),
    "double": (pa.array(INTEGERS, pa.float64()), ["1", "12"]),
    "decimal": (pa.array([decimal.Decimal(each) for each in INTEGERS], pa.decimal128(38, 2)), ["1", "12"]),
    "bool": (pa.array([True, False] * 3), ["False", "True"]),
    "string": (pa.array(WORDS), ["cat", "dog"]),
    "large_string": (pa.array(WORDS, pa.large_string()), ["cat", "dog"]),
    "string_view": (pa.array(WORDS).cast(pa.string_view()), ["cat", "dog"]),
    "category": (pa.array(WORDS).dictionary_encode(), ["cat", "dog"]),
    "category of large": (pa.array(WORDS, pa.large_string()).dictionary_encode(), ["cat", "dog"]),
    "blanks": (pa.array([f" {word} " for word in WORDS]), ["cat", "dog"]),
    "list of one": (pa.array([[each] for each in INTEGERS]), ["1", "12"]),
    "fixed list of one": (pa.array([[each] for each in INTEGERS], pa.list_(pa.int64(), 1)), ["1", "12"]),
    "minus and plus one": (pa.array([-1, 1] * 3), ["-1", "1"]),
}


@pytest.mark.parametrize("kind", LABEL_COLUMNS)
@pytest.mark.parametrize("form", ["train.parquet", "train.arrow"])
def test_labels_of_every_type(kind: str, form: str, tmp_path: Path) -> None:
    column, expected = LABEL_COLUMNS[kind]
    write(tmp_path / form, {"image": structs(), "label": column})
    source = opened(tmp_path)
    assert names(source) == expected
    one, two = labeled(source)[0][0], labeled(source)[1][0]
    assert {one, two} == set(expected)
    assert [name for name, _ in labeled(source)] == [one, two] * 3
    if kind != "bool" and kind != "beyond int64":
        assert (one, two) == tuple(expected)


def test_numbers_of_an_unknown_type_are_no_labels(tmp_path: Path) -> None:
    """Such as the periods of pandas, where pandas is not imported."""
    kind = pa.field("label", pa.int64(), metadata={"ARROW:extension:name": "pandas.period"})
    table = pa.table([structs(), pa.array(INTEGERS)], schema=pa.schema([pa.field("image", STRUCT), kind]))
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"column 'label' holds pandas\.period"):
        open_source(tmp_path)


def test_a_dictionary_of_views_as_polars_writes_it(tmp_path: Path) -> None:
    words = pa.array(["cat", "dog"]).cast(pa.string_view())
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1, 0, 1], pa.uint32()), words)
    write(tmp_path / "train.arrow", {"image": structs(), "label": codes})
    assert [name for name, _ in labeled(opened(tmp_path))] == ["cat", "dog", "dog", "cat", "dog"]


def test_labels_in_the_names_of_folders(tmp_path: Path) -> None:
    for number, value in enumerate(("cat", "big%20dog")):
        columns = {"image": structs(PHOTOS[3 * number : 3 * number + 3])}
        write(tmp_path / f"split=train/label={value}/0.parquet", columns)
    write(tmp_path / "split=test/label=cat/0.parquet", {"image": structs(PHOTOS[:1])})
    write(tmp_path / "split=train/label=__HIVE_DEFAULT_PARTITION__/0.parquet", {"image": structs(PHOTOS[:1])})
    source = opened(tmp_path)
    assert sorted(labeled(source)) == sorted(
        [("cat", photo) for photo in PHOTOS[:3]] + [("big dog", photo) for photo in PHOTOS[3:]]
    )
    assert labeled(source, "val") == [("cat", PHOTOS[0])]
    assert source.strays == ["train: 1 of 7 photos, without a label"]


def test_runs_are_decoded(tmp_path: Path) -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 6], pa.int32()), pa.array(["cat", "dog"]))
    write(tmp_path / "train.arrow", {"image": structs(), "label": runs})
    assert [name for name, _ in labeled(opened(tmp_path))] == ["cat", "cat", "dog", "dog", "dog", "dog"]


REFUSED: dict[str, tuple[Any, str]] = {
    "timestamp": (pa.array(6 * [datetime.datetime(2020, 1, 1)]), "timestamp"),
    "date": (pa.array(6 * [datetime.date(2020, 1, 1)]), "date32"),
    "fraction": (pa.array([0.5, 1.0] * 3), "0.5, a fraction"),
    "infinite": (pa.array([np.inf, 1.0] * 3), "inf"),
    "decimal fraction": (pa.array([decimal.Decimal("1.25")] * 6), "1.25, a fraction"),
    "lists": (pa.array([[0, 1], [1]] * 3), "lists of 1 to 2 values"),
    "empty lists": (pa.array([[0], []] * 3, pa.list_(pa.int64())), "lists of 0 to 1 values"),
    "struct": (pa.array([{"a": 1}] * 6), "struct"),
    "bytes": (pa.array([b"cat", b"dog"] * 3), "binary"),
    "identifiers": (pa.array([bytes([each] * 16) for each in INTEGERS], pa.uuid()), "uuid"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_labels_are_refused_in_one_line_that_names_the_column(kind: str, tmp_path: Path) -> None:
    column, words = REFUSED[kind]
    write(tmp_path / "train.parquet", {"image": structs(), "label": column})
    with pytest.raises(DataError) as caught:
        open_source(tmp_path)
    assert words in str(caught.value)
    assert "column 'label'" in str(caught.value)
    assert "\n" not in str(caught.value)


UNLABELED: dict[str, Any] = {
    "null of strings": pa.array(["cat", None, "dog", "cat", "dog", "cat"]),
    "empty strings": pa.array(["cat", " ", "dog", "cat", "dog", "cat"]),
    "nan of strings": pa.array(["cat", "NaN", "dog", "cat", "dog", "cat"]),
    "null of category": pa.array(["cat", None, "dog", "cat", "dog", "cat"]).dictionary_encode(),
    "null of integers": pa.array([0, None, 1, 0, 1, 0]),
    "nan": pa.array([0.0, np.nan, 1.0, 0.0, 1.0, 0.0]),
    "minus one": pa.array([0, -1, 1, 0, 1, 0]),
    "null of booleans": pa.array([False, None, True, False, True, False]),
}


@pytest.mark.parametrize("kind", UNLABELED)
def test_missing_labels_are_counted_and_no_class(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", {"image": structs(), "label": UNLABELED[kind]})
    source = opened(tmp_path)
    assert len(source.classes) == 2
    assert [image for _, image in labeled(source)] == [PHOTOS[0], *PHOTOS[2:]]
    assert source.splits["train"].labels.tolist() == [0, 1, 0, 1, 0]
    assert source.strays == ["train: 1 of 6 photos, without a label"]
    assert [source.splits["train"].key(index) for index in (0, 1)] == ["train/00000000", "train/00000002"]


def test_labels_from_1_make_no_class_0(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", {"image": structs(), "label": pa.array([1, 2, 3, 1, 2, 3])})
    write(tmp_path / "test.parquet", {"image": structs(), "label": pa.array([3, 2, 1, 3, 2, 1])})
    source = opened(tmp_path)
    assert names(source) == ["1", "2", "3"]
    assert [name for name, _ in labeled(source, "val")] == ["3", "2", "1"] * 2


def test_null_photos_are_unreadable_and_counted(tmp_path: Path) -> None:
    photos = pa.array([{"bytes": data, "path": "x"} for data in PHOTOS[:5]] + [None], STRUCT)
    several = pa.array([[data] for data in PHOTOS[:4]] + [PHOTOS[:2], []], pa.list_(pa.binary()))
    for name, column, count in (("null", photos, 1), ("several", several, 2)):
        write(tmp_path / name / "train.parquet", {"image": column, "label": pa.array(WORDS)})
        source = open_source(tmp_path / name, 0)
        assert len(inspect(source, workers=1).splits["train"].unreadable) == count
        store = prepare(source, tmp_path / f"{name} store", PrepareSettings(16), workers=1)
        assert len(store.manifest.unreadable) == count
        assert len(store.split("train")) == 6 - count


def test_a_photo_that_only_a_path_names_is_read_next_to_the_table(tmp_path: Path) -> None:
    make.write(tmp_path / "set", {"photos/a.jpg": PHOTOS[0]})
    make.write(tmp_path, {"outside.jpg": PHOTOS[1]})
    rows = [{"bytes": None, "path": path} for path in ("photos/a.jpg", "../outside.jpg")]
    write(tmp_path / "set/train.parquet", {"image": pa.array(rows, STRUCT), "label": pa.array(WORDS[:2])})
    train = opened(tmp_path / "set").splits["train"]
    assert train[0].image == PHOTOS[0]
    with pytest.raises(DataError, match="only its path"):
        train[1]


def test_names_of_the_metadata_are_matched_by_name_in_every_file(tmp_path: Path) -> None:
    order = ["cat", "dog", "eel"]
    other = ["eel", "cat", "dog"]
    labels = pa.array([0, 1, 2, 0, 1, 2])
    for name, listed in (("train-00000-of-00002", order), ("train-00001-of-00002", other)):
        write(tmp_path / f"{name}.parquet", {"image": structs(), "label": labels}, features(label=listed))
    write(
        tmp_path / "validation-00000-of-00001.parquet",
        {"image": structs(), "label": labels},
        features(label=other),
    )
    write(tmp_path / "test.parquet", {"image": structs(), "label": pa.array(WORDS)})
    source = opened(tmp_path)
    assert names(source) == order
    assert [name for name, _ in labeled(source)] == 2 * order + 2 * other
    assert [name for name, _ in labeled(source, "val")] == 2 * other
    assert [name for name, _ in labeled(source, "test")] == WORDS


def test_numbers_without_names_next_to_names_in_two_orders_are_refused(tmp_path: Path) -> None:
    labels = pa.array([0, 1] * 3)
    columns = {"image": structs(), "label": labels}
    write(tmp_path / "train-0.parquet", columns, features(label=["cat", "dog"]))
    write(tmp_path / "test.parquet", columns)
    assert names(opened(tmp_path)) == ["cat", "dog"]
    write(tmp_path / "train-1.parquet", columns, features(label=["dog", "cat"]))
    with pytest.raises(DataError, match="numbers without names"):
        open_source(tmp_path)


def test_class_names_that_no_photo_has_are_no_classes(tmp_path: Path) -> None:
    columns = {"image": structs(), "label": pa.array([1, 2] * 3)}
    write(tmp_path / "train.parquet", columns, features(label=["N/A", "A", "B"]))
    source = opened(tmp_path)
    assert names(source) == ["A", "B"]
    assert [name for name, _ in labeled(source)] == ["A", "B"] * 3
    assert source.strays == ["1 class name without a photo: N/A"]


def test_two_classes_with_one_name_remain_two(tmp_path: Path) -> None:
    columns = {"image": structs(), "label": pa.array([0, 1, 2] * 2)}
    write(tmp_path / "train.parquet", columns, features(label=["crane", "bird", "crane"]))
    assert names(opened(tmp_path)) == ["crane", "bird", "crane (2)"]


MASKS = [make.photo(seed, mode="L", kind="PNG") for seed in range(6)]
AMBIGUOUS: dict[str, tuple[dict[str, Any], dict[str, str] | None, str, str]] = {
    "two class labels": (
        {"image": structs(), "fine": pa.array([0, 1] * 3), "coarse": pa.array([1, 0] * 3)},
        features(fine=["a", "b"], coarse=["x", "y"]),
        "--label-column",
        "fine, coarse",
    ),
    "two named": (
        {"image": structs(), "class": pa.array(WORDS), "Category": pa.array(WORDS)},
        None,
        "--label-column",
        "class, Category",
    ),
    "two images": (
        {"mask": structs(MASKS), "photo": structs(), "label": pa.array(WORDS)},
        None,
        "--image-column",
        "mask, photo",
    ),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_two_columns_that_fit_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    columns, metadata, option, listed = AMBIGUOUS[kind]
    write(tmp_path / "train.parquet", columns, metadata)
    with pytest.raises(DataError, match=option) as caught:
        open_source(tmp_path)
    assert listed in str(caught.value)


def test_options_choose_columns(tmp_path: Path) -> None:
    columns, metadata, *_ = AMBIGUOUS["two class labels"]
    write(tmp_path / "train.parquet", columns | {"mask": structs(MASKS)}, metadata)
    assert names(opened(tmp_path, label_column="coarse")) == ["x", "y"]
    source = opened(tmp_path, label_column="fine", image_column="mask")
    assert labeled(source)[0] == ("a", MASKS[0])
    with pytest.raises(DataError, match="no column 'rough'"):
        open_source(tmp_path, 0, SourceOptions(label_column="rough"))
    with pytest.raises(DataError, match="column 'fine' holds int64, not photos"):
        open_source(tmp_path, 0, SourceOptions(image_column="fine"))


def test_a_column_names_groups(tmp_path: Path) -> None:
    columns = {"image": structs(), "label": pa.array(WORDS), "patient": pa.array(range(len(WORDS)))}
    write(tmp_path / "train.parquet", columns)
    split = opened(tmp_path, group_column="patient").splits["train"]
    assert [group_of(split, index) for index in range(len(split))] == [str(n) for n in range(len(WORDS))]
    with pytest.raises(CommandError, match="no such column; there are image, label, patient"):
        opened(tmp_path, group_column="person")


def test_empty_and_missing_groups(tmp_path: Path) -> None:
    few = [float("nan")] * (len(WORDS) - 1) + [7.0]
    columns = {"image": structs(), "label": pa.array(WORDS), "patient": pa.array(few)}
    write(tmp_path / "train.parquet", columns)
    split = opened(tmp_path, group_column="patient").splits["train"]
    assert [group_of(split, index) for index in range(len(split))] == [""] * (len(WORDS) - 1) + ["7.0"]
    write(tmp_path / "train.parquet", columns | {"patient": pa.nulls(len(WORDS), pa.string())})
    with pytest.raises(CommandError, match=r"--group-column patient: this column of .* is empty"):
        opened(tmp_path, group_column="patient")


def test_options_for_tables_are_refused_for_folders(tmp_path: Path) -> None:
    make.write(tmp_path, {"cat/a.jpg": PHOTOS[0], "dog/b.jpg": PHOTOS[1]})
    with pytest.raises(CommandError, match="no parquet or Arrow files"):
        open_source(tmp_path, 0, SourceOptions(label_column="label"))


def test_image_and_label_are_preferred(tmp_path: Path) -> None:
    columns = {
        "mask": structs(MASKS),
        "Image": structs(),
        "quality": pa.array([1, 0] * 3),
        "label": pa.array(WORDS),
    }
    write(tmp_path / "train.parquet", columns, features(mask=None, Image=None, quality=["bad", "good"]))
    assert labeled(opened(tmp_path)) == list(zip(WORDS, PHOTOS, strict=True))


def test_bytes_that_are_no_photos_are_not_taken_for_them(tmp_path: Path) -> None:
    digests = pa.array([bytes([row] * 20) for row in range(6)])
    columns = {"digest": digests, "content": pa.array(PHOTOS), "species": pa.array(WORDS)}
    write(tmp_path / "train.parquet", columns)
    assert labeled(opened(tmp_path)) == list(zip(WORDS, PHOTOS, strict=True))


def test_a_column_with_another_value_in_each_row_is_no_label(tmp_path: Path) -> None:
    columns = {"image": structs(), "code": pa.array([f"code {row}" for row in range(6)])}
    write(tmp_path / "train.parquet", columns)
    with pytest.raises(DataError, match="column 'code' has a different value in each row"):
        open_source(tmp_path)


def test_columns_may_differ_between_files(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", {"image": structs(), "label": pa.array(WORDS)})
    write(tmp_path / "val.parquet", {"label": pa.array(WORDS), "img": pa.array(PHOTOS)})
    write(tmp_path / "test.parquet", {"image": structs()})
    source = opened(tmp_path)
    assert labeled(source, "val") == list(zip(WORDS, PHOTOS, strict=True))
    assert source.strays == ["test: 6 photos without labels"]
    write(tmp_path / "val.parquet", {"category": pa.array(WORDS), "img": pa.array(PHOTOS)})
    with pytest.raises(DataError, match="column 'category', in the files before in 'label'"):
        open_source(tmp_path)


PLACES: dict[str, tuple[tuple[str, ...], dict[str, int], list[str]]] = {
    "hub": (("data/train-00000-of-00001-0a1b2c3d4e.parquet", "data/test-00000-of-00001.parquet"), {}, []),
    "converted": (("default/train/0000.parquet", "default/test/0000.parquet"), {}, []),
    "one configuration": (("plain_text/train/0000.parquet", "plain_text/test/0000.parquet"), {}, []),
    "saved to disk": (("train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow"), {}, []),
    "named after the set": (("mnist_train.parquet", "mnist_test.parquet"), {}, []),
    "spark": (
        ("train/part-00000-2f3c9a3e-0d3b-4a52-9c58-2f1f8c1c9d1e-c000.snappy.parquet", "val/x.pq"),
        {},
        [],
    ),
    "shards": (("a.parquet", "b.parquet", "test.parquet"), {"train": 12, "val": 6}, []),
    "extra": (
        ("train-00000-of-00001.parquet", "test.parquet", "extra-00000-of-00001.parquet"),
        {},
        ["extra"],
    ),
    "unsupervised": (("train.parquet", "test.parquet", "unsupervised/0.parquet"), {}, ["unsupervised"]),
    "another split": (("train.parquet", "test.parquet", "leftovers.parquet"), {}, ["leftovers"]),
}


@pytest.mark.parametrize("kind", PLACES)
def test_splits_by_the_names_of_files(kind: str, tmp_path: Path) -> None:
    paths, counts, apart = PLACES[kind]
    for path in paths:
        name = path.replace(".pq", ".parquet")
        write(tmp_path / name, {"image": structs(), "label": pa.array(WORDS)})
        (tmp_path / name).rename(tmp_path / path)
    source = opened(tmp_path)
    found = {name: len(split) for name, split in source.splits.items()}
    assert found == (counts or {"train": 6, "val": 6})
    assert source.strays == [f"split {name!r}: 6 photos" for name in apart]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("cropped/train-0.parquet", "full/train-0.parquet"),
        ("32x32/train/0.parquet", "64x64/train/0.parquet"),
        ("cropped-train.parquet", "full-train.parquet"),
    ],
)
def test_configurations_are_refused_until_one_is_chosen(one: str, two: str, tmp_path: Path) -> None:
    write(tmp_path / one, {"image": structs(), "label": pa.array(WORDS)})
    write(tmp_path / two, {"image": structs(), "label": pa.array(["ant", "bee"] * 3)})
    first, second = (path.split("/")[0].removesuffix("-train.parquet") for path in (one, two))
    with pytest.raises(DataError, match=f"{first}, {second}.*--configuration"):
        open_source(tmp_path)
    source = opened(tmp_path, configuration=second.upper())
    assert names(source) == ["ant", "bee"]
    assert source.strays == [f"configuration {first}: 1 file"]
    with pytest.raises(DataError, match=f"no configuration 'third'; choose from: {first}, {second}"):
        open_source(tmp_path, 0, SourceOptions(configuration="third"))


def test_a_column_of_splits_is_followed(tmp_path: Path) -> None:
    splits = pa.array(["train", "Validation", "train", "unused", "train", "validation"])
    write(tmp_path / "all.parquet", {"image": structs(), "label": pa.array(WORDS), "split": splits})
    source = opened(tmp_path)
    assert labeled(source) == [(WORDS[row], PHOTOS[row]) for row in (0, 2, 4)]
    assert labeled(source, "val") == [(WORDS[row], PHOTOS[row]) for row in (1, 5)]
    assert source.strays == ["split 'unused': 1 photo"]
    write(
        tmp_path / "all.parquet",
        {"image": structs(), "label": pa.array(WORDS), "subset": pa.array(6 * ["x"])},
    )
    assert len(opened(tmp_path).splits["train"]) == 6


def test_wnids_in_names_are_those_of_the_rows_of_a_split(tmp_path: Path) -> None:
    wnids = [make.WNIDS[number % 2] for number in range(6)]
    photos = pa.array(
        [
            {"bytes": data, "path": f"{wnid}_{n}.jpg"}
            for n, (data, wnid) in enumerate(zip(PHOTOS, wnids, strict=True))
        ],
        STRUCT,
    )
    columns = {"image": photos, "label": [0, 1, 0, 1, 0, 1], "split": ["val", *5 * ["train"]]}
    source = opened(write(tmp_path / "all.parquet", columns))
    assert [each.wnid for each in source.classes] == list(make.WNIDS[:2])
    train = source.splits["train"]
    assert all(
        train.key(index).split("/")[0] in train.key(index).split("/")[1] for index in range(len(train))
    )


def test_exif_is_on_for_peoples_tables_and_off_for_imagenets(tmp_path: Path) -> None:
    write(tmp_path / "own/train.parquet", {"image": structs(), "label": pa.array(WORDS)})
    assert open_source(tmp_path / "own").settings.exif
    make.parquet(tmp_path / "imagenet")
    assert not open_source(tmp_path / "imagenet").settings.exif


def test_threads_share_the_parts_that_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "train.parquet", {"image": structs(), "label": pa.array(WORDS)})
    train = opened(tmp_path).splits["train"]
    read: list[int] = []
    group = TableFile.group

    def counted(file: TableFile, number: int, column: str) -> Any:
        read.append(number)
        return group(file, number, column)

    monkeypatch.setattr(TableFile, "group", counted)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda index: train[index].image, [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 4, 5]))
    assert images == [PHOTOS[index] for index in [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 4, 5]]
    assert len(read) < len(images)
    read.clear()
    assert [train[index].image for index in range(6)] == PHOTOS
    assert len(read) <= 3


def test_a_store_is_no_table_of_photos(tmp_path: Path) -> None:
    write(tmp_path / "own/train.parquet", {"image": structs(), "label": pa.array(WORDS)})
    prepare(open_source(tmp_path / "own", 0), tmp_path / "store", PrepareSettings(16), workers=1)
    with pytest.raises(DataError, match="not a known form"):
        open_source(tmp_path / "store")


@pytest.mark.parametrize("form", ["train.parquet", "train.arrow", "train.stream.arrow"])
def test_damaged_tables_are_named(form: str, tmp_path: Path) -> None:
    path = write(tmp_path / form, {"image": structs(), "label": pa.array(WORDS)})
    path.write_bytes(path.read_bytes()[: 40 if "stream" in form else -20])
    with pytest.raises(DataError, match=f"{form}.*download it again"):
        open_source(tmp_path)


@pytest.mark.parametrize("form", ["train.parquet", "train.arrow", "train.stream.arrow"])
def test_tables_of_too_many_rows_are_refused(form: str, tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / form, {"image": structs(), "label": pa.array(WORDS)})
    monkeypatch.setattr(table_file, "MAX_LISTED", len(WORDS) - 1)
    with pytest.raises(DataError, match=f"{form} has {len(WORDS)} rows, more than {len(WORDS) - 1}"):
        open_source(tmp_path / form)


def test_lists_in_tables_that_are_too_large_are_not_decompressed(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "labels.parquet", {"file": pa.array(WORDS), "label": pa.array(WORDS)})
    data = path.read_bytes()
    assert table_file.text_columns(data, path.name)["label"] == WORDS
    monkeypatch.setattr(pq, "read_table", None)
    with monkeypatch.context() as patched:
        patched.setattr(table_file, "MAX_LISTED", len(WORDS) - 1)
        with pytest.raises(DataError, match=rf"labels\.parquet has {len(WORDS)} rows"):
            table_file.text_columns(data, path.name)
    monkeypatch.setattr(table_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="more than 10 bytes when decompressed"):
        table_file.text_columns(data, path.name)


@given(st.lists(st.sampled_from(["crane", "crane (2)", "crane (3)", "owl"]), max_size=12))
def test_equal_class_names_get_the_first_free_number(class_names: list[str]) -> None:
    """Compared with a search from 2 on for each name, which takes time with the square of their number."""
    slow: list[str] = []
    for name in class_names:
        numbered = (f"{name} ({number})" for number in itertools.count(2))
        slow.append(next(each for each in (name, *itertools.islice(numbered, 20)) if each not in slow))
    file = table_file.TableFile(Path("train.parquet"))
    assert list(table_file._class_names(file, {"names": class_names})) == slow


def test_equal_class_names_are_not_searched_from_the_first_number_on(monkeypatch) -> None:
    searched: list[object] = []

    class Counted(Counter):
        def __getitem__(self, key: object) -> int:
            searched.append(key)
            return super().__getitem__(key)

    monkeypatch.setattr(table_file, "Counter", Counted)
    file = table_file.TableFile(Path("train.parquet"))
    assert table_file._class_names(file, {"names": ["crane"] * 1000})[-1] == "crane (1000)"
    assert len(searched) < 3000
