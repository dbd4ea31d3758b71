"""`import alexnet`: from photos to predictions in plain Python, without the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

import alexnet
from alexnet.errors import CommandError, Stopped
from alexnet.progress import no_progress_bar
from alexnet.runs.metrics_log import LogEvent, read_metrics
from alexnet.runs.results import read_results
from alexnet.tasks.base import ClassPrediction

SETTINGS = [*tiny.SETTINGS, "training.log_every_steps=6"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def store(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> alexnet.Store:
    counts: list[int] = []
    folder = tmp_path_factory.mktemp("prepared") / "store"
    made = alexnet.prepare(photos, folder, side=tiny.SIDE_PIXELS, workers=1, progress=counts.append)
    assert sum(counts) == sum(len(made.split(split)) for split in made.splits)
    return made


def test_prepare_train_evaluate_load_predict(photos: Path, store: alexnet.Store, tmp_path: Path) -> None:
    lines: list[str] = []
    events: list[LogEvent] = []
    settings = [*SETTINGS, "schedule.epochs=1"]
    result = alexnet.train(
        *(tiny.RECIPE, store, tmp_path / "run", *settings),
        device="cpu",
        log=lines.append,
        callback=events.append,
    )
    logged = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [{"event": e.event, "step": e.step, "epoch": e.epoch, **e.values} for e in events] == logged
    (trained,) = [event for event in events if event.event == "train"]
    assert trained.numbers["train/loss"] == trained.values["loss"]
    assert result.step == 6
    assert any(line.startswith("done after 6 updates: top-1 error ") for line in lines)
    (found,) = alexnet.evaluate(tmp_path / "run", store, views="center", device="cpu")
    assert found.images == len(store.split("val"))
    assert (found.runs[0].run, found.runs[0].updates) == ("run", 6)
    assert found.top1.error == result.errors["top1_error"]
    assert read_results(tmp_path / "run") == [found]
    predictor = alexnet.load(tmp_path / "run", device="cpu")
    files = sorted((photos / "val").rglob("*.png"))
    predicted = predictor.predict(files, views="center", top=1)
    assert all(isinstance(best, ClassPrediction) for (best,) in predicted)
    right = [best.name == file.parent.name for (best,), file in zip(predicted, files, strict=True)]
    assert 1 - np.mean(right) == pytest.approx(found.top1.error)


def test_a_stopped_run_is_resumed_with_its_own_configuration(store: alexnet.Store, tmp_path: Path) -> None:
    config = tiny.config("training.log_every_steps=6")
    with pytest.raises(Stopped, match="saved"):
        alexnet.train(config, store.path, tmp_path / "run", device="cpu", minutes=0)
    with pytest.raises(CommandError, match="exists"):
        alexnet.train(config, store.path, tmp_path / "run", device="cpu")
    result = alexnet.train(
        config, store.path, tmp_path / "run", "schedule.epochs=2", device="cpu", resume=True
    )
    assert result.step == 12


def test_several_runs_are_averaged_and_come_before_their_mean(store: alexnet.Store, tmp_path: Path) -> None:
    runs = [tiny.run(tmp_path / f"run-{seed}", store, seed=seed).path for seed in range(2)]
    titles: list[str] = []

    def progress(title: str, images: int):
        titles.append(title)
        return no_progress_bar(title, images)

    first, second, together = alexnet.evaluate(
        runs, store, views="center", weights=[1, 3], device="cpu", progress=progress
    )
    assert [each.mean for each in (first, second, together)] == [None, None, "probabilities"]
    assert together.weights == (1, 3)
    assert [step.nets for step in together.growth] == [1, 2]
    assert [title.partition(" on ")[0] for title in titles] == ["testing run-0", "testing run-1"]
    with pytest.raises(CommandError, match="exclude each other"):
        alexnet.evaluate(runs, store, weights=[1, 3], search_weights="train")


def test_a_run_is_initialized_from_anothers_weights(store: alexnet.Store, tmp_path: Path) -> None:
    given = tiny.run(tmp_path / "given", store).path
    settings = [*SETTINGS, "schedule.epochs=1"]
    lines: list[str] = []
    alexnet.train(
        *(tiny.RECIPE, store, tmp_path / "run", *settings),
        init_from=given,
        init_layers=["conv1"],
        device="cpu",
        log=lines.append,
    )
    assert any("copied: conv1.weight, conv1.bias" in line for line in lines)
    with pytest.raises(CommandError, match="--init-layers needs --init-from"):
        alexnet.train(tiny.RECIPE, store, tmp_path / "other", init_layers=["conv1"])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_does_not_take_is_refused_at_once(photos: Path, tmp_path: Path, seed: int) -> None:
    with pytest.raises(CommandError, match=rf"seed={seed} must be in \[0, 4294967295\]"):
        alexnet.fit(photos, tmp_path / "fit", seed=seed)
    assert not (tmp_path / "fit").exists()


def test_models_are_made_by_the_names_of_their_recipes() -> None:
    names = alexnet.list_models()
    assert {"alexnet-2012", "lenet-5", "vgg-d", "overfeat-fast"} <= set(names)
    model = alexnet.create_model(tiny.RECIPE, 3, *tiny.SETTINGS)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    with pytest.raises(CommandError, match="the nearest is 'alexnet-2012'"):
        alexnet.create_model("alexnet-2013")


def test_importing_alexnet_loads_nothing_heavy_and_never_the_command_line() -> None:
    program = (
        "import sys, alexnet; light = {'torch', 'numpy', 'scipy', 'matplotlib'} & {*sys.modules}; "
        "[getattr(alexnet, name) for name in alexnet.__all__]; "
        "print(sorted(light), any(name.startswith('alexnet.cli') for name in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[] False\n"
