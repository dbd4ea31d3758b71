"""`--csv` and `--parquet` of the commands that have `--json`: the same results as rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from alexnet.cli.main import VERBS, main
from alexnet.cli.table_files import TableFiles, csv_text
from alexnet.data.store import Store
from alexnet.runs.run_dir import RunDir

from .conftest import CLASSES, VAL_PER_CLASS, jpeg

IMAGES = CLASSES * VAL_PER_CLASS + 1


def tables(
    folder: Path, capsys: pytest.CaptureFixture[str], *words: object, code: int = 0
) -> tuple[list[dict[str, Any]], Any]:
    """The rows of the Parquet file, which are those of the CSV file, and the JSON document."""
    files = [folder / "new" / "rows.csv", folder / "new" / "rows.parquet"]
    line = [*map(str, words), "--csv", str(files[0]), "--parquet", str(files[1])]
    assert main(line) == code
    shown = capsys.readouterr().out.splitlines()
    rows = pq.read_table(files[1]).to_pylist()
    assert [each.partition(":")[0] for each in shown] == list(map(str, files))
    assert all(each.endswith(f"{len(rows)} row{'s' * (len(rows) != 1)}") for each in shown)
    with files[0].open(newline="", encoding="utf-8") as file:
        text = csv_text(dict.fromkeys(rows[0], str), rows)
        assert list(csv.DictReader(file)) == list(csv.DictReader(text.splitlines()))
    assert main([*line, "--json"]) == code
    return rows, json.loads(capsys.readouterr().out)


def test_evaluate_has_a_row_for_each_run_or_class(
    make_run: Callable[..., RunDir], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run("one").path, make_run("two", seed=1).path]
    words = ["evaluate", *runs, "--store", store.path, "--device", "cpu"]
    rows, document = tables(tmp_path, capsys, *words)
    assert [row["run"] for row in rows] == ["one", "two", "mean of 2 runs"]
    assert [row["models"] for row in rows] == [1, 1, 2]
    for row, each in zip(rows, [*document["members"], document], strict=True):
        assert (row["images"], row["top1_error"], row["nll"]) == (IMAGES, each["top1_error"], each["nll"])
        assert [row["top1_low"], row["top1_high"]] == each["top1_interval"]
        assert row["top5_error"] is None and row["mean_average_precision"] is None
    rows, document = tables(tmp_path, capsys, *words, "--per-class")
    assert len(rows) == 3 * CLASSES
    assert [row["recall"] for row in rows[-CLASSES:]] == [each["recall"] for each in document["per_class"]]


def test_compare_has_a_row_for_each_row_of_the_tables(
    make_run: Callable[..., RunDir], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("one").path
    assert main(["evaluate", str(run), "--store", str(store.path), "--device", "cpu"]) == 0
    capsys.readouterr()
    rows, document = tables(tmp_path, capsys, "compare", run)
    assert [row["published"] for row in rows] == [True] * len(document["published"]) + [False]
    assert rows[-1]["top1_error"] == document["runs"][0]["top1_error"]
    assert (rows[-1]["run"], rows[-1]["seeds"], rows[-1]["images"]) == ("one", "0", IMAGES)
    rows, document = tables(tmp_path, capsys, "compare")
    assert [row["top1_error"] for row in rows] == [each["top1_error"] for each in document["published"]]


def test_predict_has_the_same_rows_in_both_files(
    make_run: Callable[..., RunDir], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, photo in (("a.jpg", jpeg(1)), ("b.jpg", b"no photo")):
        (tmp_path / name).write_bytes(photo)
    words = ["predict", tmp_path / "a.jpg", tmp_path / "b.jpg", "--model", make_run("run").path, "--top", 2]
    files = [tmp_path / "rows.csv", tmp_path / "rows.parquet"]
    assert main([*map(str, words), "--csv", str(files[0]), "--parquet", str(files[1])]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == [f"{file}: 2 rows" for file in files]
    first, second = pq.read_table(files[1]).to_pylist()
    assert list(first) == ["photo", "class", "score", "class_2", "score_2", "error"]
    assert 0 <= first["score_2"] <= first["score"] <= 1 and first["error"] is None
    assert second["score"] is None and second["error"]
    with files[0].open(newline="") as file:
        assert [float(row["score"] or 0) for row in csv.DictReader(file)] == pytest.approx(
            [first["score"], 0], abs=1e-6
        )


def test_verify_has_a_row_for_each_path_and_finding(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, document = tables(tmp_path, capsys, "verify", store.path)
    assert rows[0] | {"file": None} == {
        "path": str(store.path),
        "state": "good",
        "files": document[0]["checked"],
        "file": None,
        "found": None,
        "repair": None,
    }


def test_inspect_has_a_row_for_each_unusual_photo_or_class(
    photos: Path, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "photos" / "train" / "ant" / "bad.jpg"
    for folder in ("train/ant", "train/bee", "val/ant", "val/bee"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        (tmp_path / "photos" / folder / "1.jpg").write_bytes(jpeg(len(folder)))
    bad.write_bytes(b"no photo")
    rows, document = tables(tmp_path, capsys, "inspect", tmp_path / "photos")
    unreadable = [row for row in rows if row["kind"] == "unreadable"]
    assert {row["photo"]: row["reason"] for row in unreadable} == document["splits"]["train"]["unreadable"]
    rows, _ = tables(tmp_path, capsys, "inspect", tmp_path / "photos", "--per-class")
    assert [(row["split"], row["class"], row["photos"]) for row in rows] == [
        *(("train", "ant", 2), ("train", "bee", 1), ("val", "ant", 1), ("val", "bee", 1))
    ]
    rows, document = tables(tmp_path, capsys, "inspect", store.path, "--per-class")
    assert sum(row["photos"] for row in rows) == sum(document["splits"].values())


def test_claims_are_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, document = tables(tmp_path, capsys, "claims", "--run", tmp_path / "claims")
    assert [(row["id"], row["runs"]) for row in rows] == [(each["id"], each["runs"]) for each in document]


def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert main(["compare", "--csv", str(tmp_path / "folder.csv")]) == 2
    assert "is a folder: choose a file" in capsys.readouterr().err


def test_a_table_may_have_no_rows_and_names_that_are_not_utf_8(
    tmp_path: Path,
) -> None:
    files = TableFiles(tmp_path / "a.csv", tmp_path / "a.parquet")
    files.write({"photo": str, "score": float, "sure": bool, "rank": int}, [], quiet=True)
    assert (tmp_path / "a.csv").read_text() == "photo,score,sure,rank\n"
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "photo": "string",
        "score": "double",
        "sure": "bool",
        "rank": "int64",
    }
    files.write({"photo": str, "sure": bool}, [{"photo": "\udcff,1", "sure": True}, {}], quiet=True)
    assert (tmp_path / "a.csv").read_text() == 'photo,sure\n"\\udcff,1",yes\n,\n'
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [
        {"photo": "\\udcff,1", "sure": True},
        {"photo": None, "sure": None},
    ]


def test_every_command_with_json_has_both(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert main([verb, "--help"]) == 0
        shown = capsys.readouterr().out
        if "\n  --json " in shown and verb != "config":
            assert "--csv FILE" in shown and "--parquet FILE" in shown, verb
