"""Calibration: the temperature and the minimum score, how they are saved, and where they are used."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluations import calibration

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.evaluation.calibration import (
    BINS,
    CalibrateOptions,
    calibrate,
    cross_fitted,
    fit_temperature,
    reliability,
    smallest_min_score,
)
from alexnet.interop.export import export
from alexnet.models import bundle
from alexnet.runs import predictions
from alexnet.runs.calibration import read_calibration, tempered, write_calibration
from alexnet.runs.results import ViewSet

from .conftest import jpeg, make_net, write_checkpoint


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=1).numpy().astype(np.float32)


def drawn(images: int, classes: int = 5, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities, and those probabilities made sharper than they are."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(images, classes)) * 2
    labels = np.array([generator.choice(classes, p=row / row.sum()) for row in softmax(logits).astype(float)])
    return softmax(logits * sharpness), labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(20, 7))
    wanted = softmax(logits / temperature)
    np.testing.assert_allclose(tempered(softmax(logits), temperature), wanted, atol=1e-6)


def test_a_probability_of_0_stays_finite_and_last() -> None:
    made = tempered(np.array([[0.0, 1.0, 0.0]], np.float32), 3.0)
    assert np.isfinite(made).all()
    assert made[0].argmax() == 1 and made.sum() == pytest.approx(1)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_by_which_logits_were_multiplied_is_found(sharpness: float) -> None:
    assert fit_temperature(*drawn(20_000, sharpness=sharpness)) == pytest.approx(sharpness, rel=0.05)


def test_photos_that_are_all_right_determine_no_temperature() -> None:
    rows = np.eye(4, dtype=np.float32) * 0.5 + 0.125
    assert fit_temperature(rows, np.arange(4)) == 1
    assert fit_temperature(rows, (np.arange(4) + 1) % 4) == 1


def test_a_temperature_makes_confident_predictions_as_frequent_as_they_say() -> None:
    rows, labels = drawn(5_000, sharpness=3.0)
    before, after = reliability(rows, labels), reliability(cross_fitted(rows, labels), labels)
    assert before.calibration_error > 0.1
    assert after.calibration_error < 0.03


def test_the_calibration_error_is_the_mean_gap_weighted_by_the_images_of_a_bin() -> None:
    confidence = np.array([0.55, 0.55, 0.55, 0.95], np.float32)
    rows = np.stack([confidence, 1 - confidence], axis=1)
    found = reliability(rows, np.array([0, 1, 1, 0]))
    assert found.images.tolist() == [0] * 8 + [3] + [0] * 5 + [1]
    assert len(found.images) == BINS
    wanted = (3 * abs(1 / 3 - 0.55) + abs(1 - 0.95)) / 4
    assert found.calibration_error == pytest.approx(wanted, abs=1e-6)


def test_cross_fitting_uses_no_photo_for_its_own_temperature() -> None:
    rows, labels = drawn(50, sharpness=2.0)
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % 5
    np.testing.assert_array_equal(cross_fitted(rows, labels)[7], cross_fitted(rows, changed)[7])
    assert (cross_fitted(rows, labels)[8] != cross_fitted(rows, changed)[8]).any()


@pytest.mark.parametrize(
    ("right", "accuracy", "kept"),
    [
        ([1, 1, 1, 0, 1, 0], 0.8, (0.5, 5, 1)),  # the fourth is wrong, but 4 of 5 are right
        ([1, 1, 1, 0, 1, 0], 0.9, (0.7, 3, 0)),
        ([1, 1, 1, 1, 1, 0], 0.8, (0.0, 6, 1)),  # all together reach it
        ([0, 1, 1, 1, 0, 0], 0.9, None),
    ],
)
def test_the_minimum_score_is_the_smallest_that_reaches_the_accuracy(right, accuracy, kept) -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    rows = np.stack([scores, *[(1 - scores) / 3] * 3], axis=1)
    labels = np.where(right, 0, 1)
    order = np.random.default_rng(0).permutation(6)
    found = smallest_min_score(rows[order], labels[order], accuracy)
    assert found == (None if kept is None else (pytest.approx(kept[0]), *kept[1:]))


def test_photos_with_one_score_are_kept_together() -> None:
    rows = np.array([[0.8, 0.2], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4]], np.float32)
    found = smallest_min_score(rows, np.array([0, 0, 1, 1]), 0.9)
    assert found == (pytest.approx(0.8), 1, 0)


MADE = calibration()


def test_a_calibration_is_read_as_it_was_written(make_run) -> None:
    run = make_run("run")
    write_calibration(run, MADE)
    assert read_calibration(run) == MADE


def test_a_run_that_was_trained_on_has_no_calibration(make_run) -> None:
    run = make_run("run")
    write_calibration(run, replace(MADE, updates=9))
    assert read_calibration(run) is None


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"format_version": 1}'])
def test_other_contents_are_named(make_run, text: str) -> None:
    run = make_run("run")
    (run.path / "calibration.json").write_text(text)
    with pytest.raises(DataError, match=r"calibration.json has no valid calibration"):
        read_calibration(run)


def test_calibrating_a_run_saves_what_its_predictions_give(make_run, store, capsys) -> None:
    run = make_run("run")
    notes: list[str] = []
    found = calibrate(run.path, store, CalibrateOptions(device="cpu", accuracy=0.2, log=notes.append))
    saved = predictions.load(predictions.path_of(run.path, "val", "ten"))
    assert found.temperature == fit_temperature(saved.probabilities, saved.labels)
    assert (found.views, found.images, found.store) == (ViewSet("ten"), len(saved.labels), store.path.name)
    made = tempered(saved.probabilities, found.temperature)
    confident = made.max(axis=1) >= found.min_score
    assert confident.sum() == found.kept
    assert (made.argmax(axis=1) != saved.labels)[confident].sum() == found.kept_errors
    assert read_calibration(run) == found
    assert "has no test split besides val" in notes[0] and "the temperature is uncertain" in notes[1]
    code = main(["calibrate", str(run.path), "--store", str(store.path), "--device", "cpu", "--json"])
    assert code == 0
    assert (
        json.loads(capsys.readouterr().out)
        == replace(calibrate(run.path, store, CalibrateOptions(device="cpu"))).to_dict()
    )


def test_text_names_temperature_errors_and_the_file(make_run, store, capsys) -> None:
    run = make_run("run")
    assert main(["calibrate", str(run.path), "--store", str(store.path), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    found = read_calibration(run)
    assert f"Temperature {found.temperature:.3f}" in out
    assert f"{100 * found.calibration_error_before:.1f} % before" in out
    assert str(run.path / "calibration.json") in out


def test_photos_of_another_store_and_a_wrong_accuracy_are_refused(make_run, store, prepared) -> None:
    run = make_run("run")
    with pytest.raises(CommandError, match=r"accuracy 95 must be above 0 and at most 1"):
        calibrate(run.path, store, CalibrateOptions(accuracy=95))
    write_checkpoint(run, replace(make_net(store), classes=list(reversed(store.classes))[:-1]), "last")
    with pytest.raises(DataError, match="classes of"):
        calibrate(run.path, store, CalibrateOptions(device="cpu"))


def test_predictions_of_the_calibrated_views_are_calibrated_and_no_others(make_run) -> None:
    run = make_run("run")
    plain = alexnet.load(run.path, "cpu")
    write_calibration(run, MADE)
    made = alexnet.load(run.path, "cpu")
    photo = [jpeg(3)]
    wanted = tempered(plain.probabilities(photo, "center"), 2.0)
    np.testing.assert_allclose(made.probabilities(photo, "center"), wanted, atol=1e-6)
    (predicted,) = made.predict(photo, "center")
    assert predicted[0][2] == pytest.approx(wanted.max(), abs=1e-6)
    np.testing.assert_array_equal(made.probabilities(photo, "ten"), plain.probabilities(photo, "ten"))
    assert made.predict(photo, "ten") == plain.predict(photo, "ten")


def test_nothing_is_predicted_below_a_minimum_score(make_run) -> None:
    loaded = alexnet.load(make_run("run").path, "cpu")
    score = float(loaded.probabilities([jpeg(3)], "center").max())
    assert len(loaded.predict([jpeg(3)], "center", min_score=score - 1e-4)[0]) == 5
    assert loaded.predict([jpeg(3)], "center", min_score=score + 1e-4) == [[]]


def test_an_exported_file_has_the_calibration_of_the_run(make_run, tmp_path) -> None:
    run = make_run("run")
    write_calibration(run, MADE)
    shutil.copytree(run.checkpoints / "made-last", run.checkpoints / "best", symlinks=True)
    export(run.path, tmp_path / "net.safetensors", unfinished=True)
    export(run.path, tmp_path / "best.safetensors", "best", unfinished=True)
    assert bundle.load(tmp_path / "net.safetensors", "cpu").calibration == MADE
    assert bundle.load(tmp_path / "best.safetensors", "cpu").calibration is None
    again = tmp_path / "again.safetensors"
    export(tmp_path / "net.safetensors", again)
    loaded = alexnet.load(again, "cpu")
    assert loaded.calibration_for("center") == MADE
    assert loaded.calibration_for("ten") is None


def test_saved_predictions_and_errors_do_not_change_with_a_calibration(make_run, store: Store) -> None:
    run = make_run("run")
    (before,) = alexnet.evaluate(run.path, store, views="center", device="cpu")
    write_calibration(run, MADE)
    shutil.rmtree(run.path / "predictions")
    (after,) = alexnet.evaluate(run.path, store, views="center", device="cpu")
    assert after.nll == before.nll
