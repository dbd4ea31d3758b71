from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluations import calibration
from PIL import Image

import alexnet
from alexnet.cli.main import main
from alexnet.config import override
from alexnet.runs.calibration import write_calibration

from .conftest import jpeg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos in folders, with clutter that is none."""
    for place in ("a.jpg", "inner/b.JPEG", "inner/deeper/c.png", ".hidden/d.jpg", "notes.txt"):
        path = tmp_path / "photos" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(len(place)))
    return tmp_path / "photos"


def predict(capsys, *words) -> tuple[int, str, str]:
    code = main(["predict", "--device", "cpu", *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_json_is_what_the_predictor_returns(make_run, folder, capsys) -> None:
    run = make_run("run")
    code, out, _ = predict(
        capsys, folder / "a.jpg", "--model", run.path, "--json", "--top", 2, "--views", "center"
    )
    assert code == 0
    (prediction,) = alexnet.load(run.path).predict([folder / "a.jpg"], views="center", top=2)
    classes = [{"wnid": wnid, "name": name, "probability": pytest.approx(p)} for wnid, name, p in prediction]
    assert json.loads(out) == [{"image": str(folder / "a.jpg"), "classes": classes}]


def test_folders_are_searched_for_photos(make_run, folder, capsys) -> None:
    code, out, _ = predict(capsys, folder, "--model", make_run("run").path, "--json")
    assert code == 0
    names = [Path(result["image"]).name for result in json.loads(out)]
    assert names == ["a.jpg", "b.JPEG", "c.png"]


def test_an_unfinished_run_predicts_with_a_note(make_run, folder, capsys) -> None:
    run = make_run("run")
    run.metrics_file.write_text('{"event": "stopped", "step": 9, "epoch": 2}\n')
    code, out, err = predict(capsys, folder / "a.jpg", "--model", run.path, "--json")
    assert code == 0 and json.loads(out)
    assert err == (
        "note: run is unfinished, at epoch 2 of 3, update 9; alexnet train with --resume continues it\n"
    )
    run.write_config(override(run.config(), ["schedule.minutes=10"]))
    _, _, err = predict(capsys, folder / "a.jpg", "--model", run.path)
    assert "is unfinished, at epoch 2, update 9 of a run of 10 minutes; " in err
    run.metrics_file.write_text('{"event": "result", "step": 18, "epoch": 3}\n')
    assert "unfinished" not in predict(capsys, folder / "a.jpg", "--model", run.path)[2]


def test_text_names_each_photo_and_its_classes(make_run, folder, capsys) -> None:
    code, out, _ = predict(capsys, folder, "--model", make_run("run").path, "--top", 3)
    assert code == 0
    lines = out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == lines[::4]
    assert all("%" in line for line in lines[1:4])


def test_pillow_prints_no_warning_for_a_photo_of_many_pixels(make_run, folder, capsys, monkeypatch) -> None:
    with Image.open(folder / "a.jpg") as photo:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", photo.width * photo.height - 1)
    code, _, err = predict(capsys, folder / "a.jpg", "--model", make_run("run").path)
    assert (code, err) == (0, "")


def test_standard_input_is_one_photo(make_run, folder, capsys, monkeypatch) -> None:
    run = make_run("run")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "a.jpg").read_bytes())))
    code, out, _ = predict(capsys, "-", "--model", run.path, "--json")
    assert code == 0
    _, wanted, _ = predict(capsys, folder / "a.jpg", "--model", run.path, "--json")
    (found,), (same,) = json.loads(out), json.loads(wanted)
    assert found["image"] == "-"
    assert found["classes"] == same["classes"]


def test_unreadable_photos_are_named_and_counted_and_the_rest_is_done(make_run, folder, capsys) -> None:
    for place, contents in (("bad.jpg", b"no photo"), ("inner/empty.png", b""), ("cut.jpg", jpeg(1)[:200])):
        (folder / place).write_bytes(contents)
    run = make_run("run").path
    code, out, err = predict(capsys, folder, "--model", run, "--json")
    assert code == 3
    by_name = {Path(result["image"]).name: result for result in json.loads(out)}
    assert {name for name, result in by_name.items() if "error" in result} == {
        "bad.jpg",
        "empty.png",
        "cut.jpg",
    }
    assert all(len(by_name[name]["classes"]) == 5 for name in ("a.jpg", "b.JPEG", "c.png"))
    assert "3 of 6 photos" in err
    assert "bad.jpg" in err
    code, out, _ = predict(capsys, folder, "--model", run)
    assert code == 3
    assert out.count("unreadable:") == 3


def test_a_path_that_the_system_refuses_is_reported_and_the_rest_is_done(make_run, folder, capsys) -> None:
    too_long = folder / ("x" * 300 + ".jpg")
    code, out, err = predict(capsys, too_long, folder, "--model", make_run("run").path, "--json")
    assert code == 3
    refused, *others = json.loads(out)
    assert (refused["image"], "error" in refused) == (str(too_long), True)
    assert "cannot read" in refused["error"]
    assert len(others) == 3 and all("classes" in each for each in others)
    assert "1 of 4 photos could not be read" in err


def test_many_photos_in_many_batches_keep_their_predictions(make_run, tmp_path, capsys) -> None:
    run = make_run("run")
    for number in range(60):
        contents = b"broken" if number % 7 == 3 else jpeg(number)
        (tmp_path / f"{number:03}.jpg").write_bytes(contents)
    code, out, _ = predict(capsys, tmp_path, "--model", run.path, "--json", "--views", "center", "--top", 1)
    assert code == 3
    loaded = alexnet.load(run.path)
    for number, result in enumerate(r for r in json.loads(out) if Path(r["image"]).parent == tmp_path):
        if number % 7 == 3:
            assert "error" in result
        else:
            (prediction,) = loaded.predict(result["image"], views="center", top=1)
            assert result["classes"][0]["wnid"] == prediction[0][0]
            np.testing.assert_allclose(result["classes"][0]["probability"], prediction[0][2], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "named"), [(["absent.jpg"], "absent.jpg"), (["empty"], "no photos"), ([], "PHOTO")]
)
def test_nothing_to_classify_is_a_wrong_command(
    make_run, tmp_path, monkeypatch, capsys, words, named
) -> None:
    (tmp_path / "empty").mkdir()
    run = make_run("run").path
    monkeypatch.chdir(tmp_path)
    code, _, err = predict(capsys, *words, "--model", run)
    assert code == 2
    assert named in err


def test_whole_photos_at_scales_are_what_the_predictor_returns(make_run, folder, capsys) -> None:
    run = make_run("run")
    shown = ["--views", "multi-crop", "--scales", "80,72"]
    code, out, _ = predict(capsys, folder / "a.jpg", "--model", run.path, "--json", "--top", 1, *shown)
    (prediction,) = alexnet.load(run.path).predict([folder / "a.jpg"], views="multi-crop@72,80", top=1)
    assert code == 0
    assert json.loads(out)[0]["classes"][0]["probability"] == pytest.approx(prediction[0][2])
    code, _, err = predict(capsys, folder / "a.jpg", "--model", run.path, "--views", "dense")
    assert code == 2
    assert "cannot slide over photos" in err


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_has_a_row_for_each_photo_unreadable_ones_included(
    make_run, folder, tmp_path, capsys
) -> None:
    (folder / "bad.jpg").write_bytes(b"no photo")
    run, table = make_run("run").path, tmp_path / "new" / "table.csv"
    code, out, err = predict(capsys, folder, "--model", run, "--csv", table, "--top", 2)
    assert code == 3
    assert "1 of 4 photos could not be read" in err and "bad.jpg" in err
    assert "%" not in out and str(table) in out
    rows = rows_of(table)
    assert list(rows[0]) == ["photo", "class", "score", "class_2", "score_2", "error"]
    assert [Path(row["photo"]).name for row in rows] == ["a.jpg", "bad.jpg", "b.JPEG", "c.png"]
    assert [rows[1][name] for name in ("class", "score", "class_2")] == ["", "", ""] and rows[1]["error"]
    loaded = alexnet.load(run)
    for row in [rows[0], *rows[2:]]:
        (first, second), error = loaded.predict(row["photo"], top=2)[0], row["error"]
        assert (row["class"], row["class_2"], error) == (first.name, second.name, "")
        assert float(row["score"]) == pytest.approx(first.probability, abs=2e-5)


def test_below_a_minimum_score_a_photo_is_not_sure(make_run, folder, tmp_path, capsys) -> None:
    run, table = make_run("run").path, tmp_path / "table.csv"
    scores = {
        str(path): alexnet.load(run).predict(path)[0][0].probability
        for path in (folder / "a.jpg", folder / "inner/b.JPEG", folder / "inner/deeper/c.png")
    }
    lowest, next_lowest, _ = sorted(scores.values())
    words = [folder, "--model", run, "--min-score", (lowest + next_lowest) / 2]
    unsure = min(scores, key=lambda path: scores[path])
    code, out, _ = predict(capsys, *words)
    assert code == 0
    assert f"{unsure}\n  not sure\n" in out and out.count("not sure") == 1
    found = {each["image"]: each["sure"] for each in json.loads(predict(capsys, *words, "--json")[1])}
    assert found == {path: path != unsure for path in scores}
    predict(capsys, *words, "--csv", table)
    assert {row["photo"]: row["sure"] for row in rows_of(table)} == {
        path: "no" if path == unsure else "yes" for path in scores
    }


def test_photos_are_sorted_into_folders_and_stay_where_they_are(make_run, folder, tmp_path, capsys) -> None:
    (folder / "bad.jpg").write_bytes(b"no photo")
    (folder / "inner" / "a.jpg").write_bytes(jpeg(77))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = make_run("run").path
    code, out, _ = predict(capsys, folder, "--model", run, "--out-dir", tmp_path / "sorted")
    assert code == 3
    assert "4 photos" in out and "unreadable: " in out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    loaded = alexnet.load(run)
    placed = [path for path in (tmp_path / "sorted").rglob("*") if path.is_file()]
    for path in placed:
        assert path.parent.name == loaded.predict(path)[0][0].name
    photos = ("a.jpg", "inner/a.jpg", "inner/b.JPEG", "inner/deeper/c.png")
    assert sorted(path.read_bytes() for path in placed) == sorted(before[folder / each] for each in photos)
    code, _, err = predict(capsys, folder, "--model", run, "--out-dir", tmp_path / "sorted")
    assert (code, "is not empty" in err) == (2, True)


def test_photos_without_a_sure_prediction_are_linked_to_a_folder_of_their_own(
    make_run, folder, tmp_path, capsys
) -> None:
    words = ["--out-dir", tmp_path / "sorted", "--link", "--min-score", 1, "--json"]
    code, out, _ = predict(capsys, folder, "--model", make_run("run").path, *words)
    assert code == 0
    for each in json.loads(out):
        link = Path(each["sorted"])
        assert link.parent == tmp_path / "sorted" / "not-sure"
        assert link.is_symlink() and link.samefile(each["image"])


def test_an_automatic_minimum_score_is_that_of_the_calibration(make_run, folder, capsys) -> None:
    run = make_run("run")
    words = [folder / "a.jpg", "--model", run.path, "--json", "--views", "center", "--min-score"]
    code, _, err = predict(capsys, *words, "auto")
    assert code == 2
    assert "alexnet calibrate RUN --store STORE" in err
    (plain,) = json.loads(predict(capsys, *words, 0)[1])
    write_calibration(run, calibration(temperature=1.0, min_score=0.999))
    _, out, err = predict(capsys, *words, "auto")
    assert json.loads(out)[0]["sure"] is False
    assert "--min-score auto: 0.999 with the views center, which 10 of 22 photos of photos val reached" in err
    assert "90.0 % of these were correct (95 % interval: " in err
    write_calibration(run, calibration(temperature=0.1, min_score=0.0))
    (sharp,) = json.loads(predict(capsys, *words, "auto")[1])
    assert sharp["sure"] is True
    assert sharp["classes"][0]["probability"] > plain["classes"][0]["probability"]
    by_default = [folder / "a.jpg", "--model", run.path, "--json", "--min-score", "auto"]
    code, out, err = predict(capsys, *by_default)
    assert json.loads(out) == [sharp] and "with the views center" in err, "those of the calibration"
    code, _, err = predict(capsys, *by_default, "--views", "ten")
    assert code == 2
    assert "the views of the calibration, center: omit --views and --scales" in err
    write_calibration(run, calibration(min_score=None))
    code, _, err = predict(capsys, *words, "auto")
    assert code == 2
    assert "no minimum score reached an accuracy of 95 % on the 22 photos of photos val" in err
    assert "for a lower accuracy: alexnet calibrate RUN --accuracy N" in err


def test_probabilities_of_other_views_than_the_calibrated_ones_are_noted(make_run, folder, capsys) -> None:
    run, note = make_run("run"), "not calibrated, but those of the views center: for these omit"
    write_calibration(run, calibration(temperature=2.0))
    assert note in predict(capsys, folder / "a.jpg", "--model", run.path, "--views", "ten")[2]
    assert note not in predict(capsys, folder / "a.jpg", "--model", run.path)[2]
    assert note not in predict(capsys, folder / "a.jpg", "--model", run.path, "--views", "center")[2]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--min-score", "1.5"], "neither a number from 0 to 1 nor auto"),
        (["--min-score", "nan"], "neither a number from 0 to 1 nor auto"),
        (["--min-score", "some"], "neither a number from 0 to 1 nor auto"),
        (["--link"], "--link is for --out-dir"),
        (["-", "--out-dir", "new"], "no file to copy"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    make_run, folder, tmp_path, monkeypatch, capsys, words, named
) -> None:
    run = make_run("run").path
    monkeypatch.chdir(tmp_path)
    code, _, err = predict(capsys, folder / "a.jpg", "--model", run, *words)
    assert code == 2
    assert named in err
