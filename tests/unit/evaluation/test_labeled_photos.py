"""`evaluate_photos` and `evaluate --photos`: errors on labeled photos that are in no store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from numpy.testing import assert_allclose

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.evaluation.labeled_photos import photo_evaluations
from alexnet.evaluation.run_evaluation import EvaluateOptions, evaluate_runs
from alexnet.runs.run_dir import RunDir

CPU = EvaluateOptions(device="cpu", views="ten")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `photos`, whose split `val` is `new` in class folders, and a store of them."""
    folder = tmp_path_factory.mktemp("place")
    tiny.store(folder)
    shutil.copytree(folder / "photos" / "val", folder / "new")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> RunDir:
    return tiny.run(place / "run", Store.open(place / "store"))


def test_errors_are_those_of_a_store_of_the_same_photos(place: Path, run: RunDir) -> None:
    before = sorted(run.path.rglob("*"))
    lines: list[str] = []
    (made,) = photo_evaluations(run.path, place / "new", EvaluateOptions(device="cpu", log=lines.append))
    assert sorted(run.path.rglob("*")) == before
    (wanted,) = evaluate_runs(run.path, place / "store", CPU)
    assert set(made.predictions.keys) == set(wanted.predictions.keys)
    order = [list(wanted.predictions.keys).index(key) for key in made.predictions.keys]
    assert_allclose(made.predictions.probabilities, wanted.predictions.probabilities[order], atol=2e-5)
    assert made.result.per_class == wanted.result.per_class
    assert (made.result.store, made.result.split, str(made.result.views)) == ("new", "all", "ten")
    assert lines[0].startswith(f"{place / 'new'}: class folders; 3 custom classes, sorted: class0")


def test_mistakes_name_the_files_also_after_a_test_on_the_store(place: Path, run: RunDir) -> None:
    (of_photos,) = photo_evaluations(run.path, place / "new", CPU)
    (of_store,) = evaluate_runs(run.path, place / "store", CPU)
    assert of_photos.result.mistakes
    for each in of_photos.result.mistakes:
        assert each.file == str((place / "new" / each.key).resolve())
    for each in of_store.result.mistakes:
        assert each.file == str((place / "photos" / "val" / each.key).resolve())


def test_several_models_are_averaged(place: Path, run: RunDir) -> None:
    other = tiny.run(place / "other", Store.open(place / "store"), seed=6)
    runs = [run.path, other.path]
    *_, mean = photo_evaluations(runs, place / "new", EvaluateOptions(device="cpu", weights=(3, 1)))
    *_, wanted = evaluate_runs(runs, place / "store", EvaluateOptions(device="cpu", weights=(3, 1)))
    assert (mean.result.per_class, mean.result.weights) == (wanted.result.per_class, (3, 1))
    assert [each.run for each in mean.result.runs] == ["run", "other"]
    assert len(mean.result.growth) == 2


def test_classes_are_matched_by_name_and_not_all_need_photos(
    place: Path, run: RunDir, tmp_path: Path
) -> None:
    shutil.copytree(place / "new" / "class2", tmp_path / "new" / "class2")
    (tmp_path / "new" / "class2" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.copytree(place / "new" / "class1", tmp_path / "new" / "Class1")
    (result,) = alexnet.evaluate_photos(run.path, tmp_path / "new")
    assert [each.images for each in result.per_class] == [0, 7, 7]
    assert len(result.left_out) == 1
    assert result.left_out[0].startswith("class2/broken.png (")
    (tmp_path / "new" / "Class1").rename(tmp_path / "new" / "other")
    with pytest.raises(
        DataError, match=r"1 class that the model does not know: other\. Its classes are: class0"
    ):
        alexnet.evaluate_photos(run.path, tmp_path / "new")


def test_a_row_without_a_photo_is_left_out(place: Path, run: RunDir, tmp_path: Path) -> None:
    files = sorted((place / "new" / "class0").iterdir())[:3]
    images = [{"bytes": each.read_bytes(), "path": each.name} for each in files]
    images.insert(1, {"bytes": None, "path": "gone.jpg"})
    labels = ["class0", "class1", "class2", "class0"]
    pq.write_table(pa.table({"image": images, "label": labels}), tmp_path / "test-00000.parquet")
    (found,) = photo_evaluations(run.path, tmp_path, EvaluateOptions(device="cpu"))
    assert [name.partition(" (")[2] for name in found.result.left_out] == [
        "no photo in the table, only its path gone.jpg)"
    ]
    assert found.predictions.labels.tolist() == [0, 2, 0]
    assert all(each.file == "" for each in found.result.mistakes)
    expected = alexnet.load(run.path, "cpu").probabilities([str(each) for each in files])
    assert_allclose(found.predictions.probabilities, expected, atol=1e-6)


def test_a_split_is_chosen_by_its_own_name(place: Path, run: RunDir, tmp_path: Path) -> None:
    for name in ("train", "test"):
        shutil.copytree(place / "new", tmp_path / "photos" / name)
    with pytest.raises(CommandError, match="has the splits train, test: choose the one to test with --split"):
        alexnet.evaluate_photos(run.path, tmp_path / "photos")
    (result,) = alexnet.evaluate_photos(run.path, tmp_path / "photos", split="test", views="center")
    assert (result.split, result.images) == ("test", 21)
    with pytest.raises(CommandError, match="no split 'val'; choose from: train, test"):
        alexnet.evaluate_photos(run.path, tmp_path / "photos", split="val")


def test_photos_without_labels_are_refused(place: Path, run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for number, photo in enumerate(sorted((place / "new" / "class0").iterdir())):
        shutil.copy(photo, tmp_path / "few" / f"{number}{photo.suffix}")
    with pytest.raises(DataError, match="7 photos outside any class folder, without labels"):
        alexnet.evaluate_photos(run.path, tmp_path / "few")


def test_the_command_reads_photos_as_it_is_told(
    place: Path, run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["photo,class"]
    for photo in sorted((place / "new").rglob("*.png")):
        rows.append(f"{photo.parent.name}-{photo.name},{photo.parent.name}")
        shutil.copy(photo, tmp_path / f"{photo.parent.name}-{photo.name}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    command = ["evaluate", str(run.path), "--device", "cpu", "--json"]
    labels = ["--labels", str(tmp_path / "labels.csv")]
    assert main([*command, "--photos", str(tmp_path), *labels]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*command, "--store", str(place / "store"), "--views", "ten"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    assert found["top1_errors"] == wanted["top1_errors"]
    assert np.isclose(found["nll"], wanted["nll"], rtol=1e-4)
    assert main([*command, *labels]) == 2
    assert "need --photos PHOTOS" in capsys.readouterr().err
    assert main([*command, "--photos", str(tmp_path), "--store", str(place / "store")]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert main([*command, "--photos", str(place / "new"), "--search-weights", "train"]) == 2
    assert "searched on a split of a store" in capsys.readouterr().err
