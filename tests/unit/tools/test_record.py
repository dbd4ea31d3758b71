"""Recorded results: each fits its recipe, is made by the commands in its README, and is detected when
stale."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import tiny

from alexnet.config import to_dict
from alexnet.data.store import Store
from alexnet.errors import CommandError, Stopped, WorkError
from alexnet.experiments import runner
from alexnet.experiments.ensembles import ENSEMBLES, is_pretraining
from alexnet.models.config import OverFeatArchitecture
from alexnet.report.sections.subjects import OpenModel
from alexnet.runs import predictions
from alexnet.runs.environment import Environment
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ClassErrors, EvalResult, EvaluatedRun, ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.training.plan import make_plan
from alexnet.training.trainer import TrainOptions
from tools import record, recorded_run, recorded_runs, recorded_state
from tools.record import Recorder, readme_of
from tools.recorded_pictures import PICTURES
from tools.recorded_runs import members_of

SEVEN = next(each for each in recorded_runs.ENSEMBLES if each.name == "imagenette-7-cnns-star")
STAR = recorded_runs.run_named("imagenette-alexnet-2012-star")
PLAIN = recorded_runs.run_named("imagenette-alexnet-2012")
IMAGES, DIGEST = 4, ""


@pytest.mark.parametrize("run", recorded_runs.RUNS, ids=[run.name for run in recorded_runs.RUNS])
def test_every_recorded_run_fits_its_recipe(run: recorded_run.RecordedRun) -> None:
    config = run.config()
    assert config.data.image_size == (run.source.scenes or run.side)
    assert config.training.fine_tuning == bool(run.init_from)


def test_runs_of_one_table_are_trained_equally_long_at_one_size() -> None:
    configs = [
        run.config()
        for run in recorded_runs.RUNS
        if run.side == recorded_runs.SIDE and not run.config().classic
    ]
    assert (
        len(
            {
                (config.schedule.epochs, config.data.input_size, config.training.precision)
                for config in configs
            }
        )
        == 1
    )


def test_models_on_fewer_images_are_updated_and_tested_as_often() -> None:
    sized = [
        run
        for run in recorded_runs.RUNS
        if run.config().data.max_images and run.source is recorded_run.IMAGENETTE
    ]
    assert [run.training_images for run in sized] == [*recorded_runs.IMAGES]
    assert sized[-1].training_images == recorded_run.IMAGENETTE.training_photos
    plans = [make_plan(run.config(), run.training_images) for run in sized]
    totals = [plan.total_steps for plan in plans]
    assert max(totals) / min(totals) < 1.04
    assert {plan.total_steps / plan.validate_every_steps for plan in plans} == {recorded_runs.PASSES}


def test_the_whole_of_tiny_imagenet_has_every_system_at_three_sizes_with_as_many_updates() -> None:
    runs = [run for run in recorded_runs.RUNS if run.source is recorded_run.TINY_WHOLE]
    assert len(runs) == 3 * (3 + 1 + 1 + 3 + 3)
    for recipe in ("lenet-5", "alexnet-2012", "alexnet-modern", "sift-fv", "sparse-coding"):
        ours = [run for run in runs if run.recipe == recipe]
        assert sorted({run.training_images for run in ours}) == [5_000, 20_000, 100_000]
        assert {run.seed for run in ours} == ({0} if ours[0].config().classic else {0, 1, 2})
        updates = {
            run.config().schedule.epochs * (run.training_images // run.config().training.batch_size)
            for run in ours
            if run.config().classic is None
        }
        assert all(each >= 31_000 for each in updates)
        assert not updates or max(updates) < 1.02 * min(updates)


def test_a_budget_is_core_hours_or_minutes_of_a_gpu() -> None:
    known, unknown = recorded_state.Budget(3.0, 12.0), recorded_state.Budget(None, None)
    assert str(known) == "about 3.0 core hours or 12.0 minutes of a GPU"
    assert str(unknown) == "unknown on CPUs or unknown on a GPU"
    assert recorded_state.Budget.of_all([known, unknown, known]) == recorded_state.Budget(6.0, 24.0)


def test_a_source_is_prepared_as_its_runs_need_it() -> None:
    twenty = recorded_runs.run_named("tiny-imagenet-20-classes-alexnet-2012")
    (prepare,) = record.preparing_commands(twenty, Path("DATA"), Path())
    tar, store = "DATA/tiny-imagenet-30.tar", "stores/tiny-imagenet-30-20-classes-72"
    assert prepare == ["alexnet", "prepare", tar, store, "--side", "72", "--classes", "20"]
    assert twenty.training_images == 10_000
    (prepare,) = record.preparing_commands(PLAIN, Path("DATA"), Path())
    assert prepare[2:] == ["DATA/imagenette-224.tar", "stores/imagenette-224-128", "--side", "128"]


def test_scenes_are_composed_of_the_store_of_the_run_that_theirs_is_initialized_from() -> None:
    run = recorded_runs.run_named("tiny-imagenet-30-scenes-overfeat-fast-detection")
    prepare, compose = record.preparing_commands(run, Path("DATA"), Path())
    train = record.training_command(run, Path())
    photos, scenes = "stores/tiny-imagenet-30-72", "stores/tiny-imagenet-30-72-scenes-144"
    assert prepare == ["alexnet", "prepare", "DATA/tiny-imagenet-30.tar", photos, "--side", "72"]
    assert compose == ["alexnet", "compose", photos, scenes, "--train", "4000", "--side", "144"]
    assert train[3:7] == ["--store", scenes, "--run", f"runs/{run.name}"]
    begun = recorded_runs.run_named(run.init_from)
    assert f"stores/{begun.store}" == photos
    architecture = run.config().model.architecture
    assert isinstance(architecture, OverFeatArchitecture)
    assert architecture.window == begun.config().data.input_size
    text = readme_of(run, "")
    for each in (run, begun, recorded_runs.run_named(begun.init_from)):
        assert f"--run runs/{each.name}" in text
    assert text.count("alexnet prepare") == 1  # all three use the same store of photos


def test_digits_are_tested_with_one_view_and_have_pictures_of_mistakes() -> None:
    digits = [run for run in recorded_runs.RUNS if run.source is recorded_run.MNIST]
    assert len(digits) == 9 and {run.views for run in digits} == {("center",)}
    assert {run.training_images for run in digits if run.recipe == "lenet-1989"} == {7_291}
    first, second = digits[:2]
    assert first.pictures == ("curves.png", "misread.png", "confusions.png") and second.pictures == ()
    assert len(record.testing_commands(first, Path())) == 1
    assert "misread.png" in readme_of(first, "")


def test_a_test_at_scales_is_typed_as_such() -> None:
    many = replace(PLAIN, views=("ten", "dense@112,128"))
    ten, dense = record.testing_commands(many, Path())
    assert ten[-2:] == ["--views", "ten"]
    assert dense[-4:] == ["--views", "dense", "--scales", "112,128"]


def test_pictures_fit_the_model_and_can_be_drawn() -> None:
    assert PLAIN.pictures == ("curves.png", "filters.png")
    assert {name for run in recorded_runs.RUNS for name in run.pictures} <= set(PICTURES)
    assert "filters.png" not in recorded_runs.run_named("imagenette-lenet-5").pictures


def test_no_photo_of_a_data_set_is_kept() -> None:
    folder = Path(__file__).parents[3] / "results" / "imagenette-sift-fv"
    on = SimpleNamespace(path=folder, name=folder.name, store=SimpleNamespace(channels=3))
    figure = PICTURES["confusions.png"](cast(OpenModel, on)).figure
    assert figure.axes and not [image for axes in figure.axes for image in axes.get_images()]


def test_what_a_result_is_made_of_comes_before_it() -> None:
    order = recorded_runs.names()
    assert len({*order}) == len(order)
    for run in recorded_runs.RUNS:
        assert not run.init_from or order.index(run.init_from) < order.index(run.name)
    for ensemble in recorded_runs.ENSEMBLES:
        assert all(order.index(member) < order.index(ensemble.name) for member in ensemble.members)


def test_five_cnns_differ_in_their_seed_only_and_seven_add_two_stars() -> None:
    five, seven = recorded_runs.ENSEMBLES
    configs = [to_dict(recorded_runs.run_named(name).config()) for name in five.members]
    assert [config["training"].pop("seed") for config in configs] == [0, 1, 2, 3, 4]
    assert all(config == configs[0] for config in configs)
    assert seven.members[:5] == five.members
    stars = [recorded_runs.run_named(name) for name in seven.members[5:]]
    assert [star.recipe for star in stars] == ["alexnet-2012-star"] * 2
    assert len({star.init_from for star in stars}) == 2


def test_the_recorded_models_are_those_of_the_command_for_the_same_row() -> None:
    members = {member.name: member for member in ENSEMBLES["7-cnns-star"]}
    wanted = [
        (each.recipe, each.seed, members[each.init_from].recipe if each.init_from else "")
        for each in members.values()
        if not is_pretraining(each, list(members.values()))
    ]
    recorded = [recorded_runs.run_named(name) for name in SEVEN.members]
    assert wanted == [
        (
            run.recipe,
            run.config().training.seed,
            run.init_from and recorded_runs.run_named(run.init_from).recipe,
        )
        for run in recorded
    ]


def test_for_an_unknown_name_the_nearest_is_named() -> None:
    with pytest.raises(CommandError, match="imagenette-alexnet-modern"):
        recorded_runs.find("imagenette-alexnet-moderm")


def typed_commands(monkeypatch: pytest.MonkeyPatch, codes: Callable[[list[str]], int]) -> list[list[str]]:
    typed: list[list[str]] = []

    def run(words: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        typed.append(words[2:])
        return subprocess.CompletedProcess(words, codes(words))

    monkeypatch.setattr(record.subprocess, "run", run)
    return typed


def test_a_failing_step_stops_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = typed_commands(monkeypatch, lambda words: 3)
    with pytest.raises(WorkError, match="exit code 3"):
        Recorder(tmp_path / "data", tmp_path, tmp_path / "results").record(PLAIN)
    assert len(typed) == 1
    assert not (tmp_path / "results").exists()


def test_a_star_is_trained_after_what_it_is_initialized_from_and_stops_when_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, work = tiny.store(tmp_path), tmp_path / "work"
    (work / "stores").mkdir(parents=True)
    typed = typed_commands(monkeypatch, lambda words: 0)
    for name in (STAR.store, recorded_runs.run_named(STAR.init_from).store):
        (work / "stores" / name).symlink_to(store.path, target_is_directory=True)
    begun: list[tuple[str, float]] = []

    def training(config, store: Store, run: RunDir, options: TrainOptions, validation):
        begun.append((run.path.name, options.minutes))
        if run.path.name == STAR.name:
            raise Stopped("time is up")
        trained(work, run.path.name, 0)
        config = json.loads((run.path / "config.json").read_text())
        assert config["recipe"] == "alexnet-2012-star-pretrain"
        return SimpleNamespace(errors={"top1_error": 0.5}, best_top1_error=0.5)

    def create(config, store: Store, run: RunDir, *rest: object) -> None:
        """Without the check that the few images fill a batch."""
        RunDir.create(run.path, config)

    monkeypatch.setattr(runner, "create_run", create)
    monkeypatch.setattr(runner, "initialized_config", lambda config, *rest: config)  # there are no weights
    monkeypatch.setattr(runner, "train_run", training)
    with pytest.raises(Stopped, match=f"{STAR.name}: checkpoint saved"):
        deadline = time.monotonic() + 150
        Recorder(tmp_path / "data", work, tmp_path / "results", deadline).record(STAR)
    assert [name for name, _ in begun] == [STAR.init_from, STAR.name]
    assert all(0 < minutes <= 2.5 for _, minutes in begun)
    assert [words[1] for words in typed] == ["prepare"] * 3 and "evaluate" not in str(typed)


@pytest.mark.parametrize("recorded", [PLAIN, STAR, SEVEN], ids=["plain", "star", "seven"])
def test_the_readme_holds_the_commands_and_no_path_of_a_machine(
    recorded: recorded_run.Recorded, tmp_path: Path
) -> None:
    text = readme_of(recorded, "abc")
    for words in record.testing_commands(recorded, Path()):
        assert shlex.join(words) in text
    if isinstance(recorded, recorded_run.RecordedEnsemble):
        assert all(f"`{name}`" in text for name in recorded.members)
        assert "`imagenette-224.tar` and `tiny-imagenet-30.tar`" in text
    else:
        making = record.preparing_commands(recorded, Path("DATA"), Path())
        for words in (*making, record.training_command(recorded, Path())):
            assert shlex.join(words) in text
    assert str(tmp_path) not in text


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def evaluation(name: str, views: str, errors: int) -> dict:
    """An entry of `evaluation.json`."""
    return EvalResult(
        split="val",
        views=ViewSet.parse(views),
        images=IMAGES,
        top1_errors=errors,
        top5_errors=None,
        nll=1.0,
        per_class=(ClassErrors("n1", "a", IMAGES, errors),),
        confusions=(),
        store="store",
        store_digest=DIGEST,
        runs=(EvaluatedRun(name, "alexnet-2012", 40, 0, "last"),),
    ).to_dict()


def trained(work: Path, name: str, seed: int) -> None:
    """A finished and tested run as made by its commands, with random predictions."""
    folder, run = work / "runs" / name, recorded_runs.run_named(name)
    folder.mkdir(parents=True, exist_ok=True)
    begun = {"event": "init-from", "step": 0, "epoch": 0, "weights_sha256": sha256(run.init_from)}
    begun["path"] = str(work / "runs" / run.init_from)
    result = {"event": "result", "step": 9, "epoch": 40, "seconds": 600.0}
    lines = [begun, result] if run.init_from else [result]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "checkpoints" / "last").mkdir(parents=True)
    (folder / "checkpoints" / "last" / "weights.safetensors").write_text(name)
    (folder / "config.json").write_text(json.dumps(to_dict(run.config())))
    RunDir(folder).write_environment(Environment(device="cpu (2 threads)"))
    entries = []
    for views in recorded_run.VIEWS:
        rows = np.random.default_rng(seed).dirichlet(np.ones(3), IMAGES).astype(np.float32)
        labels, names = np.arange(IMAGES) % 3, np.array(["a", "b", "c"])
        made = Predictions(
            split="val",
            views=ViewSet(views),
            probabilities=rows,
            labels=labels,
            keys=np.array(list("1234")),
            classes=names,
            names=names,
        )
        predictions.save(made, predictions.path_of(folder, "val", views))
        errors = int((rows.argmax(1) != labels).sum())
        entries.append(evaluation(name, views, errors))
    (folder / "evaluation.json").write_text(json.dumps(entries))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[recorded_run.Recorded], Path]:
    """Records a result whose runs are trained and tested, without running anything."""
    monkeypatch.setattr(record, "draw", lambda run, store, picture: picture)
    typed_commands(monkeypatch, lambda words: 0)
    monkeypatch.setattr(Store, "open", lambda path: SimpleNamespace(digest=""))
    work, results = tmp_path / "work", tmp_path / "results"

    def make(recorded: recorded_run.Recorded) -> Path:
        for seed, run in enumerate(members_of(recorded)):
            if not (work / "runs" / run.name).exists():
                trained(work, run.name, seed)
        if isinstance(recorded, recorded_run.RecordedEnsemble):
            for views in recorded_run.VIEWS:
                entries = [
                    next(
                        e
                        for e in json.loads((work / "runs" / name / "evaluation.json").read_text())
                        if e["views"] == views
                    )
                    for name in recorded.members
                ]
                out = work / "ensembles" / f"{recorded.name}-{views}.json"
                out.parent.mkdir(exist_ok=True)
                out.write_text(json.dumps(evaluation("ensemble", views, 1) | {"members": entries}))
        return Recorder(tmp_path / "data", work, results).record(recorded)

    return make


def test_evidence_names_no_folder_of_this_machine(made, tmp_path: Path) -> None:
    folder = made(STAR)
    assert f'"path": "runs/{STAR.init_from}"' in (folder / "metrics.jsonl").read_text()
    assert not [file.name for file in folder.iterdir() if str(tmp_path) in file.read_text()]


def test_recorded_results_are_up_to_date_until_their_recipe_changes(made, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert recorded_state.why_to_make(PLAIN, results) == "missing"
    folder = made(PLAIN)
    assert recorded_state.why_to_make(PLAIN, results) == ""
    wrong = json.loads((folder / "wrong.json").read_text())
    errors = {e["views"]: e["top1_errors"] for e in json.loads((folder / "evaluation.json").read_text())}
    assert {views: len(images) for views, images in wrong.items()} == errors
    config = json.loads((folder / "config.json").read_text())
    config["optimizer"]["lr"] = 0.02
    (folder / "config.json").write_text(json.dumps(config))
    assert recorded_state.why_to_make(PLAIN, results) == "stale: optimizer.lr: 0.02 -> 0.01"
    (note,) = recorded_state.stale_notes(results, [PLAIN.name, "another", STAR.name])
    assert f"`{PLAIN.name}`" in note and STAR.name not in note
    made(PLAIN)
    assert recorded_state.why_to_make(PLAIN, results) == ""
    assert recorded_state.stale_notes(results, [PLAIN.name]) == []


def test_a_run_that_was_trained_otherwise_is_not_recorded_again(made, tmp_path: Path) -> None:
    trained(tmp_path / "work", PLAIN.name, 0)
    file = tmp_path / "work" / "runs" / PLAIN.name / "config.json"
    config = json.loads(file.read_text())
    config["optimizer"]["lr"] = 0.02
    file.write_text(json.dumps(config))
    with pytest.raises(CommandError, match=r"trained with other settings \(optimizer.lr: 0.02 -> 0.01\)"):
        made(PLAIN)


def test_a_star_is_stale_when_what_it_is_initialized_from_has_changed(made, tmp_path: Path) -> None:
    results, pretrained = tmp_path / "results", recorded_runs.run_named(STAR.init_from)
    made(pretrained)
    made(STAR)
    assert recorded_state.why_to_make(STAR, results) == ""
    (
        tmp_path / "work" / "runs" / pretrained.name / "checkpoints" / "last" / "weights.safetensors"
    ).write_text("new")
    made(pretrained)
    assert f"stale: weights of {pretrained.name}: " in recorded_state.why_to_make(STAR, results)
    (results / pretrained.name / "evaluation.json").unlink()
    assert (
        recorded_state.why_to_make(STAR, results)
        == f"stale: {pretrained.name}, from which it is initialized, is"
    )


def test_an_ensemble_is_stale_when_a_member_has_changed(made, tmp_path: Path) -> None:
    results, five = tmp_path / "results", recorded_runs.ENSEMBLES[0]
    for name in five.members:
        made(recorded_runs.run_named(name))
    made(five)
    assert recorded_state.why_to_make(five, results) == ""
    member = results / five.members[2] / "evaluation.json"
    entries = json.loads(member.read_text())
    entries[1] = evaluation(five.members[2], "ten", entries[1]["top1_errors"] + 1)
    member.write_text(json.dumps(entries))
    assert "had other errors, with ten views" in recorded_state.why_to_make(five, results)
    member.unlink()
    assert recorded_state.why_to_make(five, results) == f"stale: its member {five.members[2]} is"


def test_time_is_expected_by_the_work_there_is_and_by_the_device(made, tmp_path: Path) -> None:
    def minutes(run: recorded_run.Recorded, work: str = "nowhere", device: str = "cpu") -> float | None:
        return recorded_state.expected_minutes(
            run, recorded_state.measured_rates(tmp_path / "results", device), tmp_path / work
        )

    another_seed = recorded_runs.run_named(f"{PLAIN.name}-seed-1")
    assert minutes(PLAIN) is None
    made(PLAIN)  # 40 epochs of the whole set in ten minutes
    assert minutes(another_seed) == pytest.approx(10)
    assert minutes(recorded_runs.run_named(STAR.init_from)) == pytest.approx(10 * 15_000 / 9_469, rel=0.05)
    assert minutes(PLAIN, "work") == 0
    assert minutes(another_seed, device="cuda") is None


def test_runs_with_uncommitted_changes_are_not_kept(made, tmp_path: Path) -> None:
    trained(tmp_path / "work", PLAIN.name, 0)
    environment = tmp_path / "work" / "runs" / PLAIN.name / "environment.json"
    environment.write_text(json.dumps({"uncommitted_changes": "+ a line"}))
    with pytest.raises(WorkError, match="uncommitted"):
        made(PLAIN)
    assert not (tmp_path / "results").exists()
