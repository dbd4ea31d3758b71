"""`alexnet fit`: from photos to a tested classifier, stopped, continued, and with other photos."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.cli.main import main
from alexnet.config import RunConfig
from alexnet.data.sources.base import SourceOptions
from alexnet.data.store import Store, training_images
from alexnet.errors import Busy, CommandError, Diverged, Stopped
from alexnet.evaluation.calibration import calibrate
from alexnet.evaluation.predictor import load
from alexnet.fitting import candidates as fitting_candidates
from alexnet.fitting import fit as fitting
from alexnet.fitting.candidates import Speed
from alexnet.fitting.fit import FitOptions, fit_photos
from alexnet.fitting.label_errors import linear_probabilities
from alexnet.fitting.speed import FisherSpeed
from alexnet.io import exclusive_lock
from alexnet.runs.calibration import tempered
from alexnet.runs.fit_record import Fit, NotTried
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir

CLASSES, PER_CLASS, SIDE = 3, 15, 64
MINUTES = 5.0
OPTIONS = FitOptions(minutes=MINUTES, workers=1, device="cpu")
RESUMED = replace(OPTIONS, resume=True)
SPEED = Speed(500.0, FisherSpeed(5e-5, 0.005, per_pair=5e-7, per_cube=2e-11))


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Four epochs instead of sixty, and no `sift-fv`, which takes longer: the minutes are not used up.

    What is tried does not depend on the speed of the machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting_candidates, "MAX_EPOCHS", 4)
        patch.setattr(fitting_candidates, "FISHER_DESCRIPTORS", 10**12)
        patch.setattr(fitting, "measure_speed", lambda photos, device: SPEED)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes of three directions, in class folders; one photo of `rows` is in the folder of `columns`."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for name, place in (("rows", y), ("columns", x), ("diagonals", x + y)):
        (folder / name).mkdir()
        for number in range(PER_CLASS):
            waves = 60 * np.sin(place / random.uniform(2, 3) + random.uniform(0, 6))
            noise = random.normal(0, 15, (SIDE, SIDE, 3))
            pixels = (120 + waves[..., None] + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "rows" / "0.png").rename(folder / "columns" / "moved.png")
    return folder


@pytest.fixture(scope="module")
def fitted(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("fits") / "run"
    fit_photos(photos, run, OPTIONS)
    return run


def test_every_photo_is_in_one_split_and_only_test_photos_are_reported(fitted: Path) -> None:
    store, made = Store.open(fitted / "store"), Fit.read(fitted)
    keys = [store.split(name).key(i) for name in store.splits for i in range(len(store.split(name)))]
    assert len(keys) == len(set(keys)) == CLASSES * PER_CLASS
    assert made.splits == {name: len(store.split(name)) for name in ("train", "val", "test")}
    (result,) = json.loads((fitted / "evaluation.json").read_text())
    assert (result["split"], result["images"]) == ("test", made.splits["test"])


def test_what_is_chosen_has_the_lowest_loss(fitted: Path) -> None:
    made = Fit.read(fitted)
    best = min(made.candidates, key=lambda each: each.nll)
    assert made.chosen[0] == best.name
    assert made.errors is not None and made.errors <= best.errors
    assert {each.name for each in made.candidates} >= {"linear", "fine-tuned"}


def test_what_is_chosen_is_trained_again_with_the_photos_that_chose(
    fitted: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, store = Fit.read(fitted), Store.open(fitted / "store")
    assert made.refit == tuple(f"{name}-refit" for name in made.chosen)
    assert [each.name for each in EnsembleDir(fitted).members()] == list(made.refit)
    config = RunDir.open(fitted / made.refit[0]).config()
    both = training_images(store, config.data)
    assert len(both) == made.splits["train"] + made.splits["val"]
    assert {*both.keys()} == {*store.split("train").keys(), *store.split("val").keys()}
    held_out = calibrate(fitted)
    assert load(fitted, "cpu").calibration == held_out
    assert held_out.predicted_by == tuple(f"../{name}" for name in made.chosen) or len(made.chosen) > 1
    assert _shows_calibration(fitted, tmp_path / "page")
    with pytest.raises(CommandError, match="was trained on val, too"):
        calibrate(fitted / made.refit[0])
    shutil.copytree(fitted, tmp_path / "run")
    assert main(["calibrate", str(tmp_path / "run"), "--accuracy", "0.5"]) == 0
    names = " and ".join(made.chosen)
    assert f"The predictions are those of {names}, without these images" in capsys.readouterr().out
    again = load(tmp_path / "run", "cpu").calibration
    assert again is not None and again.temperature == held_out.temperature and again.wanted_accuracy == 0.5
    assert main(["evaluate", str(fitted), "--split", "val"]) == 0
    note = f"note: {' and '.join(made.refit)} {'was' if len(made.refit) == 1 else 'were'} trained on val"
    assert note in capsys.readouterr().err


def test_without_time_the_chosen_models_are_kept_as_they_are(
    fitted: Path, photos: Path, tmp_path: Path
) -> None:
    run, lines = tmp_path / "run", []
    shutil.copytree(fitted, run)
    made = Fit.read(run)
    slow = tuple(replace(each, seconds=1e6) for each in made.candidates)
    for name in made.refit:
        shutil.rmtree(run / name)
    replace(made, candidates=slow, chosen=(), refit=()).write(run)  # as after a stop before the choice
    again = fit_photos(photos, run, replace(RESUMED, log=lines.append)).fit
    assert (again.refit, again.members) == ((), again.chosen)
    end = ": not retrained with the validation photos added: no time left"
    assert [line for line in lines if line.endswith(end)] == [f"{name}{end}" for name in again.chosen]


def test_each_chosen_model_is_trained_again_if_there_is_time_for_it(
    fitted: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    made = Fit.read(run)
    slow = tuple(replace(each, seconds=1e6 * (each.name != "linear")) for each in made.candidates)
    for name in made.refit:
        shutil.rmtree(run / name)
    replace(made, candidates=slow, chosen=(), refit=()).write(run)
    monkeypatch.setattr(fitting, "choose", lambda found: ("fine-tuned", "linear"))
    again = fit_photos(photos, run, RESUMED).fit
    assert (again.refit, again.members) == (("linear-refit",), ("fine-tuned", "linear-refit"))
    assert [each.name for each in EnsembleDir(run).members()] == ["fine-tuned", "linear-refit"]
    assert main(["evaluate", str(run), "--json"]) == 0


def test_stripes_are_classified_and_the_moved_photo_is_found(fitted: Path, photos: Path) -> None:
    found = load(fitted, "cpu").predict([photos / "rows" / "3.png", photos / "diagonals" / "3.png"])
    assert [each[0].name for each in found] == ["rows", "diagonals"]
    (first, *_) = Fit.read(fitted).suspects
    assert (first.label, first.predicted, first.reason) == ("columns", "rows", "prediction")
    assert Path(first.path).samefile(photos / "columns" / "moved.png")


def test_labels_are_checked_with_a_chosen_sift_fv_also_while_it_is_not_trained_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a small codebook; its classifiers predict each training photo without it."""
    monkeypatch.setattr(fitting_candidates, "FISHER_DESCRIPTORS", 1000)
    monkeypatch.setattr(fitting, "choose", lambda found: ("linear", "sift-fv"))
    monkeypatch.setattr(fitting, "linear_probabilities", lambda *_: pytest.fail("not by logistic regression"))
    made = fit_photos(photos, tmp_path / "run", OPTIONS).fit
    assert "sift-fv-refit" in made.members
    assert Path(made.suspects[0].path).name == "moved.png"
    slow = tuple(replace(each, seconds=1e6) for each in made.candidates)
    for name in made.refit:
        shutil.rmtree(tmp_path / "run" / name)
    replace(made, candidates=slow, chosen=(), refit=()).write(tmp_path / "run")
    again = fit_photos(photos, tmp_path / "run", RESUMED).fit
    assert "sift-fv" in again.members
    assert Path(again.suspects[0].path).name == "moved.png"
    monkeypatch.setattr(fitting, "choose", lambda found: tuple(sorted(found)))
    monkeypatch.setattr(fitting, "linear_probabilities", linear_probabilities)
    networks = fit_photos(photos, tmp_path / "run", replace(RESUMED, networks_only=True)).fit
    assert {"linear", "fine-tuned"} <= set(networks.chosen) and "sift-fv" not in networks.chosen


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export"])
def test_the_directory_is_a_model_for_other_commands(
    fitted: Path, photos: Path, tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "predict": ["predict", str(photos / "rows"), "--model", str(fitted), "--json"],
        "evaluate": ["evaluate", str(fitted), "--json"],
        "export": ["predict", str(photos / "rows"), "--model", str(fitted / "model.safetensors"), "--json"],
    }[verb]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == Fit.read(fitted).splits["test"] if verb == "evaluate" else len(printed) == 14


def test_similar_photos_are_searched_in_the_store_of_the_fit(
    fitted: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, photo = fitted / "linear", photos / "rows" / "3.png"
    assert main(["similar", str(photo), "--model", str(model), "--top", "1", "--device", "cpu"]) == 0
    found = capsys.readouterr().out
    assert "rows" in found and "columns" not in found


def test_the_mean_of_several_candidates_is_calibrated(fitted: Path, tmp_path: Path) -> None:
    run, names = tmp_path / "run", [each.name for each in Fit.read(fitted).candidates[:2]]
    shutil.copytree(fitted, run)
    EnsembleDir(run).write("run", [EnsembleMember(name=name, pretraining=False) for name in names])
    uncalibrated = load(run, "cpu")
    found = calibrate(run)
    calibrated, images = load(run, "cpu"), np.zeros((1, SIDE, SIDE, 3), np.uint8)
    assert uncalibrated.calibration is None and calibrated.calibration == found
    (before,), (after,) = uncalibrated.probabilities(images), calibrated.probabilities(images)
    np.testing.assert_allclose(after, tempered(before[None], found.temperature)[0], rtol=1e-5)
    (row,) = calibrated.predict(images)
    assert row[0].probability == pytest.approx(float(after.max()), rel=1e-5)
    assert _shows_calibration(run, tmp_path / "page")


def _shows_calibration(run: Path, out: Path) -> bool:
    """Whether the report has the reliability before and after the calibration."""
    page = _page(run, out)
    return "before: calibration error" in page and "after: calibration error" in page


def _page(run: Path, out: Path) -> str:
    assert main(["report", str(run), "--out", str(out), "--detailed", "0"]) == 0
    return (out / "report.html").read_text("utf-8")


def test_what_is_missing_is_named(photos: Path, tmp_path: Path) -> None:
    given, lines = tmp_path / "photos", []
    shutil.copytree(photos, given)
    (given / "rows" / "broken.png").write_bytes(b"no photo")
    (given / "rare").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(given / "rare" / f"{number}.png")
    fit_photos(given, tmp_path / "run", replace(RESUMED, log=lines.append))
    text = "\n".join(lines)
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page"), "--detailed", "0"]) == 0
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    for shown in ("rows/broken.png", "1 class with no test photos", "Left out because they cannot be read"):
        assert shown in page
    assert f"there is no fit in {tmp_path / 'run'} to continue: a new one is made" in text
    assert "skipped, unreadable:" in text and "rows/broken.png" in text
    assert "1 class with no test photos, so errors of these classes are unknown: rare" in text


def test_a_candidate_that_takes_too_long_is_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting_candidates, "FISHER_DESCRIPTORS", 64_000)
    train, clock, lines = fitting.train, [0.0], []

    def slow(config: Any, store: Any, place: Path, **options: Any) -> Any:
        if config.classic is None:
            return train(config, store, place, **options)
        clock[0] += 60 * options["minutes"]
        raise Stopped("stopped after some minutes", timed_out=True)

    monkeypatch.setattr(fitting, "train", slow)
    monkeypatch.setattr(fitting.time, "monotonic", lambda real=time.monotonic: real() + clock[0])
    made = fit_photos(photos, tmp_path / "run", replace(OPTIONS, log=lines.append)).fit
    assert "sift-fv" not in [each.name for each in made.candidates]
    assert any(line.startswith("sift-fv: skipped, not finished within") for line in lines)


def test_a_signal_after_the_limit_of_a_candidate_stops_the_fit(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting_candidates, "FISHER_DESCRIPTORS", 64_000)
    train, clock = fitting.train, [0.0]

    def interrupted(config: Any, store: Any, place: Path, **options: Any) -> Any:
        if config.classic is None:
            return train(config, store, place, **options)
        clock[0] += 60 * options["minutes"]
        raise Stopped("stopped by SIGTERM")

    monkeypatch.setattr(fitting, "train", interrupted)
    monkeypatch.setattr(fitting.time, "monotonic", lambda real=time.monotonic: real() + clock[0])
    with pytest.raises(Stopped, match="by SIGTERM"):
        fit_photos(photos, tmp_path / "run", OPTIONS)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            CommandError("there are 11,000 photos", hint="type classic.classifier=svm"),
            "there are 11,000 photos",
        ),
        (Diverged("the loss of update 2 is not finite"), "the loss of update 2 is not finite"),
    ],
)
def test_a_model_that_cannot_be_retrained_is_kept_as_it_is(
    fitted: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    run, train, lines = tmp_path / "run", fitting.train, list[str]()
    shutil.copytree(fitted, run)

    def refuses(config: Any, store: Any, place: Path, **options: Any) -> Any:
        if place.name.endswith("-refit"):
            raise error
        return train(config, store, place, **options)

    monkeypatch.setattr(fitting, "train", refuses)
    made = fit_photos(photos, run, replace(RESUMED, log=lines.append)).fit
    assert made.refit == () and made.members == made.chosen
    assert any(line.endswith(f"not retrained with the validation photos added: {reason}") for line in lines)


def test_another_seed_is_refused_for_a_fit_that_has_begun(fitted: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    replace(Fit.read(run), seed=3).write(run)
    with pytest.raises(CommandError, match="was made with seed 3, not 0: omit it"):
        fit_photos(photos, run, replace(RESUMED, seed=0))
    assert fit_photos(photos, run, RESUMED).fit.seed == 3


def test_other_options_than_before_are_refused_as_they_are_typed(fitted: Path, photos: Path) -> None:
    others = replace(RESUMED, source=SourceOptions(exclude="rows"))
    message = r"run was made with no options \(now --exclude rows\): use the same .* choose another --run"
    with pytest.raises(CommandError, match=message):
        fit_photos(photos, fitted, others)


def test_a_fit_that_another_process_made_meanwhile_is_not_overwritten(
    fitted: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, source = tmp_path / "run", fitting._Fitting._source

    def slow(self: Any, place: Any) -> Any:
        shutil.copytree(fitted, run)
        return source(self, place)

    monkeypatch.setattr(fitting._Fitting, "_source", slow)
    with pytest.raises(CommandError, match="is a fit: type --resume"):
        fit_photos(photos, run, OPTIONS)


def test_a_candidate_that_diverges_is_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, lines = fitting.train, []

    def diverges(config: Any, store: Any, place: Path, **options: Any) -> Any:
        if place.name == "fine-tuned":
            raise Diverged("the loss of update 2 is not finite")
        return train(config, store, place, **options)

    monkeypatch.setattr(fitting, "train", diverges)
    made = fit_photos(photos, tmp_path / "run", replace(OPTIONS, log=lines.append)).fit
    assert "fine-tuned: skipped, the loss of update 2 is not finite" in lines
    assert made.chosen and "fine-tuned" not in [each.name for each in made.candidates]


def test_few_photos_of_each_class_are_enough(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With fewer than five of each class, there are fewer folds for the search for label errors."""
    for name in ("rows", "diagonals"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for number in range(5, 9):
            shutil.copy(photos / name / f"{number}.png", tmp_path / "few" / name)
    made = fit_photos(tmp_path / "few", tmp_path / "run", OPTIONS).fit
    assert made.chosen and made.splits == {"train": 4, "val": 2, "test": 2}
    again = ["fit", str(tmp_path / "few"), "--run", str(tmp_path / "run"), "--resume", "--device", "cpu"]
    assert main([*again, "--minutes", "5"]) == 0
    printed = capsys.readouterr().out
    assert "of 2 test photos" in printed and "so few photos say little about the error" in printed
    assert "So few photos choose nearly at random" in printed and "95 % interval: " not in printed


def test_a_finished_fit_is_only_continued_on_request(fitted: Path, photos: Path) -> None:
    with pytest.raises(CommandError, match="is a fit: type --resume"):
        fit_photos(photos, fitted, OPTIONS)


def test_one_process_at_a_time_continues_a_fit(fitted: Path, photos: Path) -> None:
    with exclusive_lock(fitted), pytest.raises(Busy, match="another process is using"):
        fit_photos(photos, fitted, RESUMED)


def test_a_fit_that_was_stopped_while_photos_were_prepared_is_continued(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "store").mkdir(parents=True)
    with pytest.raises(CommandError, match="is a fit: type --resume"):
        fit_photos(photos, tmp_path / "run", OPTIONS)
    assert fit_photos(photos, tmp_path / "run", RESUMED).fit.chosen


def test_a_stopped_fit_continues_where_it_stopped(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, trained = tmp_path / "run", []
    train = fitting.train

    def stops_at_the_second(config: Any, store: Any, place: Path, **options: Any) -> Any:
        trained.append(place.name)
        if len(trained) == 2:
            raise Stopped("stopped by SIGTERM")
        return train(config, store, place, **options)

    monkeypatch.setattr(fitting, "train", stops_at_the_second)
    with pytest.raises(Stopped):
        fit_photos(photos, run, OPTIONS)
    fit_photos(photos, run, RESUMED)
    first, second, *rest = trained
    assert (first, rest[0]) == ("linear", second) and "linear" not in rest
    assert Fit.read(run).round == 1


def test_more_minutes_train_again_from_the_weights_that_are_there(
    fitted: Path, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    before = (run / "linear" / "config.json").stat().st_mtime_ns
    made = fit_photos(photos, run, RESUMED).fit
    names = [each.name for each in made.candidates]
    assert {"linear", "fine-tuned", "fine-tuned-2"} <= set(names)
    assert (run / "linear" / "config.json").stat().st_mtime_ns == before
    assert made.minutes == pytest.approx(2 * MINUTES)
    assert made.used_minutes > Fit.read(fitted).used_minutes


def test_more_minutes_train_linear_again_if_it_then_has_more_photos(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lines, slow = tmp_path / "run", list[str](), replace(SPEED, network=1.0, last_layer=100.0)
    monkeypatch.setattr(fitting_candidates, "LINEAR_PHOTOS", 6)
    monkeypatch.setattr(fitting, "measure_speed", lambda counts, device: slow)
    limited = "no time to train linear on all photos: it was trained on 6 of them"
    short = replace(OPTIONS, minutes=0.3, log=lines.append)
    fit_photos(photos, run, short)
    assert lines.count(limited) == 1
    again = fit_photos(photos, run, replace(short, resume=True)).fit
    assert lines.count(limited) == 1 and [each.name for each in again.candidates] == ["linear"]
    monkeypatch.setattr(fitting, "measure_speed", lambda counts, device: SPEED)
    monkeypatch.setattr(fitting, "shortened", lambda *_: None)
    made = fit_photos(photos, run, RESUMED).fit
    assert {each.name: each.photos for each in made.candidates} == {
        "linear": 6,
        "linear-3": made.splits["train"],
    }
    assert NotTried("fine-tuned-3", "no time left for it") in made.not_tried


def test_a_candidate_that_was_stopped_keeps_its_number_of_photos(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lines, train = tmp_path / "run", list[str](), fitting.train

    def stops(config: Any, store: Any, place: Path, **options: Any) -> Any:
        try:
            options["minutes"] = 1e-9
            return train(config, store, place, **options)
        except Stopped as stopped:
            raise Stopped("stopped by SIGTERM") from stopped

    with monkeypatch.context() as patch:
        patch.setattr(fitting_candidates, "LINEAR_PHOTOS", 6)
        patch.setattr(fitting, "measure_speed", lambda counts, device: replace(SPEED, last_layer=1e6))
        patch.setattr(fitting, "train", stops)
        with pytest.raises(Stopped):
            fit_photos(photos, run, OPTIONS)
    monkeypatch.setattr(fitting, "plan", _stopped)
    with pytest.raises(Stopped):
        fit_photos(photos, run, replace(RESUMED, log=lines.append))
    (linear,) = Fit.read(run).candidates
    assert linear.photos == 6 and "6" not in linear.title
    assert "linear: continued as it was begun, on 6 of the photos" in lines


def _stopped(*_: Any, **__: Any) -> Any:
    raise Stopped("stopped by SIGTERM")


def test_time_is_reserved_for_a_refit_that_is_missing(
    fitted: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, reserved = tmp_path / "run", list[float]()
    shutil.copytree(fitted, run)
    shutil.rmtree(run / "linear-refit", ignore_errors=True)
    made = Fit.read(run)
    replace(made, candidates=tuple(replace(each, seconds=8.0) for each in made.candidates)).write(run)

    def planned(*given: Any, **options: Any) -> Any:
        reserved.append(given[-1])
        raise Stopped("stopped by SIGTERM")

    monkeypatch.setattr(fitting, "plan", planned)
    for _ in range(2):
        with pytest.raises(Stopped):
            fit_photos(photos, run, RESUMED)
        shutil.copytree(run / "linear", run / "linear-refit", dirs_exist_ok=True)
    assert reserved == [8 * (1 + made.splits["val"] / made.splits["train"]), 0.0]


def test_corrected_photos_are_trained_on_from_the_beginning(
    fitted: Path, photos: Path, tmp_path: Path
) -> None:
    corrected, run, lines = tmp_path / "photos", tmp_path / "run", []
    shutil.copytree(photos, corrected)
    shutil.copytree(fitted, run)
    (corrected / "columns" / "moved.png").rename(corrected / "rows" / "0.png")
    options = replace(RESUMED, log=lines.append)
    made = fit_photos(corrected, run, options).fit
    again = fit_photos(corrected, run, RESUMED).fit
    assert {"linear-2", "fine-tuned-2", "fine-tuned-3"} <= {each.name for each in again.candidates}
    assert "linear-3" not in {each.name for each in again.candidates}
    results = json.loads((fitted / "evaluation.json").read_text())
    (result,) = [each for each in results if each["split"] == "test"]
    wrong = 100 * result["top1_errors"] / result["images"]
    assert (
        f"the photos have changed: all candidates are trained again; before the change, {wrong:.1f} % of "
        f"{result['images']} test photos were misclassified" in lines
    )
    assert all(each.name.endswith("-2") for each in made.candidates)
    assert not made.suspects
    assert Store.open(run / "store").digest == made.store_digest != Fit.read(fitted).store_digest


def test_a_fit_without_time_for_ten_crops_is_calibrated(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "TEN_CROPS_COST", 1e9)
    lines: list[str] = []
    fit_photos(photos, tmp_path / "run", replace(OPTIONS, minutes=0.1, log=lines.append))
    default = [line for line in lines if "with the center crop, which is also what it predicts with" in line]
    assert len(default) == 1
    predictor = load(tmp_path / "run", "cpu")
    assert predictor.calibration_for() is not None and str(predictor.default_views) == "center"
    result, *_ = alexnet.evaluate(tmp_path / "run", device="cpu")
    assert str(result.views) == "center"
    assert "use the center crop" in _page(tmp_path / "run", tmp_path / "page")
    monkeypatch.setattr(fitting, "TEN_CROPS_COST", 0.0)
    fit_photos(photos, tmp_path / "run", RESUMED)
    assert str(load(tmp_path / "run", "cpu").default_views) == "ten"
    assert "use the views ten" in _page(tmp_path / "run", tmp_path / "page")


def test_views_that_are_not_calibrated_are_named(
    fitted: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = load(fitted, "cpu").default_views.name
    words = ["predict", str(photos / "rows" / "3.png"), "--model", str(fitted), "--device", "cpu", "--views"]
    assert main([*words, views]) == 0
    assert "not calibrated" not in capsys.readouterr().err
    assert main([*words, "multi-crop"]) == 0
    noted = f"not calibrated, but those of the views {views}: for these omit --views and --scales"
    assert noted in capsys.readouterr().err


def test_without_time_only_what_is_needed_is_done_and_the_rest_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, run = list[str](), tmp_path / "run"
    slow = replace(SPEED, network=1.0, last_layer=100.0)
    monkeypatch.setattr(fitting, "measure_speed", lambda counts, device: slow)
    made = fit_photos(photos, run, replace(OPTIONS, minutes=0.3, log=lines.append)).fit
    assert made.chosen == ("linear",) and made.refit == () and not made.suspects
    assert {"sift-fv", "fine-tuned"} <= {each.name for each in made.not_tried}
    assert any("are not searched for" in line and "that would take" in line for line in lines)
    assert main(["report", str(run), "--out", str(run), "--detailed", "0"]) == 0
    page = (run / "report.html").read_text("utf-8")
    assert all(each.reason in page for each in made.not_tried)
    assert "has no curves" not in page


def test_a_candidate_gets_what_those_before_it_leave(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, clock, lines, trained = fitting.train, [0.0], list[str](), list[RunConfig]()
    slow = replace(SPEED, network=3.0)  # `fine-tuned` can use all the time
    monkeypatch.setattr(fitting, "measure_speed", lambda counts, device: slow)
    monkeypatch.setattr(fitting_candidates, "MAX_EPOCHS", 60)
    monkeypatch.setattr(fitting_candidates, "FISHER_DESCRIPTORS", 1000)

    def late(config: RunConfig, store: Any, place: Path, **options: Any) -> Any:
        trained.append(config)
        if config.classic is not None:
            clock[0] += 60 * options["minutes"]
            raise Stopped("stopped after some minutes", timed_out=True)
        short = replace(config.schedule, minutes=0.0, epochs=min(config.schedule.epochs, 1))
        return train(replace(config, schedule=short), store, place, **options)

    monkeypatch.setattr(fitting, "train", late)
    monkeypatch.setattr(fitting.time, "monotonic", lambda real=time.monotonic: real() + clock[0])
    made = fit_photos(photos, tmp_path / "run", replace(OPTIONS, minutes=4.0, log=lines.append)).fit
    assert any(each.name == "sift-fv" and "not finished within" in each.reason for each in made.not_tried)
    (line,) = [line for line in lines if line.startswith("fine-tuned: ") and " instead of " in line]
    assert line.endswith("since others took longer than planned")
    networks = [each for each in trained if each.classic is None and each.schedule.epochs]
    (tuned,) = [each for each in networks if each.data.train_splits == ("train",)]
    assert 0 < 60 * tuned.schedule.minutes <= 4 * 60 - clock[0]


def test_from_python_it_returns_a_predictor(photos: Path) -> None:
    predictor = alexnet.fit(photos, minutes=MINUTES)
    assert predictor.predict(photos / "columns" / "4.png")[0][0].name == "columns"


def test_the_command_prints_what_was_found_and_what_is_next(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["fit", str(photos), "--run", str(run), "--minutes", "5", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    for part in (
        "class folders; 3 custom classes",
        "photos/s in training",
        "Candidates",
        "Labels to check",
    ):
        assert part in printed
    assert f"alexnet predict PHOTO... --model {run}" in printed
    page = (run / "report.html").read_text()
    assert "How the model was chosen" in page and "fine-tuned" in page


def test_json_is_alone_on_standard_output(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "fit",
        str(photos),
        "--run",
        str(tmp_path / "run"),
        "--minutes",
        "5",
        "--device",
        "cpu",
        "--json",
    ]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["evaluations"][-1]["split"] == "test"
    assert "photos/s in training" in err and "linear: " in err
