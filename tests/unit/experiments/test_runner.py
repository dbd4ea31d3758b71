"""The runner of all experiments: unfinished and stale runs, resuming, sharing, and printed commands."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, Diverged, Stopped
from alexnet.experiments import runner as module
from alexnet.experiments.runner import Runner
from alexnet.experiments.spec import RunSpec, chain, overrides_of, without_dependents
from alexnet.training.run import initialized_config
from alexnet.training.transfer import InitFrom

CPU = torch.device("cpu")
SHORT = (*tiny.SETTINGS, "schedule.epochs=1")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def first(store: Store) -> RunSpec:
    return RunSpec("first", tiny.RECIPE, store.path, SHORT)


@pytest.fixture
def second(first: RunSpec) -> RunSpec:
    return replace(first, name="second", seed=1, init_from="first")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / "last" / "weights.safetensors")


def event(folder: Path, name: str) -> dict:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return next(line for line in lines if line["event"] == name)


def test_a_spec_is_a_recipe_with_overrides_and_a_seed(first: RunSpec) -> None:
    config = replace(first, seed=3).config()
    assert (config.recipe, config.training.seed, config.schedule.epochs) == (tiny.RECIPE, 3, 1)
    again = RunSpec("again", config.recipe, overrides=overrides_of(config), seed=3)
    assert again.config() == config and not [each for each in again.overrides if "seed" in each]


@pytest.mark.parametrize("recipe", ["alexnet-2012-star", "overfeat-fast-detection", "sift-fv", "lenet-5"])
def test_overrides_of_any_recipe_make_it_again(recipe: str) -> None:
    spec = RunSpec("run", recipe, overrides=("data.max_images=7",))
    assert overrides_of(spec.config()) == ("data.max_images=7",)


def test_a_chain_starts_with_what_the_last_is_initialized_from(first: RunSpec, second: RunSpec) -> None:
    third = replace(second, name="third", init_from="second")
    specs = [third, first, second]
    assert chain(specs, "third") == [first, second, third] and chain(specs, "first") == [first]
    assert without_dependents(specs) == [third] and without_dependents([first]) == [first]


def test_runs_are_trained_once_in_the_order_of_their_initialization(
    first: RunSpec, second: RunSpec, tmp_path: Path
) -> None:
    log: list[str] = []
    runner = Runner(tmp_path, (first, second), CPU, log=log.append)
    assert [runner.status(each).state for each in runner.specs] == ["missing", "missing"]
    assert runner.train([second])
    begun = [line.strip() for line in log if "# " in line]
    assert begun == [f"# first ({tiny.RECIPE}, seed 0)", f"# 1 of 1: second ({tiny.RECIPE}, seed 1)"]
    begun_from = event(tmp_path / "second", "init-from")
    assert begun_from["path"] == str(
        tmp_path / "first" / "checkpoints" / "step-00000006" / "weights.safetensors"
    )
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/checkpoints/*/weights.safetensors")}
    assert runner.train() and "already trained" in log[-1]
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert [runner.status(each).state for each in runner.specs] == ["finished", "finished"]


@pytest.mark.parametrize(("for_comparison", "warned"), [(False, True), (True, False)])
def test_what_will_be_trained_is_logged_with_its_warnings_as_by_train(
    first: RunSpec, tmp_path: Path, for_comparison: bool, warned: bool
) -> None:
    log: list[str] = []
    assert Runner(tmp_path, (first,), CPU, for_comparison=for_comparison, log=log.append).train()
    assert any(line.startswith("warning: the run makes only 6 updates") for line in log) == warned


def test_a_member_is_normalized_as_the_one_it_is_initialized_from(
    first: RunSpec, second: RunSpec, store: Store, tmp_path: Path
) -> None:
    """As with `train --init-from`; a run of an earlier version, normalized by its own store, is not stale."""
    colors = (*SHORT, "data.normalization=mean-and-std")
    pretrain = replace(first, overrides=(*colors, "data.color_mean=[90,91,92]", "data.color_std=[50,51,52]"))
    second = replace(second, overrides=colors)
    runner = Runner(tmp_path, (pretrain, second), CPU)
    assert runner.train()
    config = runner.run(second).config()
    assert (config.data.color_mean, config.data.color_std) == ((90, 91, 92), (50, 51, 52))
    weights = runner.run(pretrain).checkpoints / "last" / "weights.safetensors"
    assert config == initialized_config(second.config(), store, InitFrom(weights))
    assert runner.status(second).state == "finished"
    runner.run(second).write_config(second.config())
    assert runner.status(second).state == "finished"
    other = replace(second, overrides=(*colors, "data.color_mean=[1,2,3]"))
    assert runner.status(other).state == "stale"


@pytest.mark.parametrize("for_comparison", [False, True])
def test_what_a_kill_at_the_end_of_a_run_left_is_done_by_the_next_command(
    first: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_comparison: bool
) -> None:
    def killed(folder: Path, *others: object, **options: object) -> None:
        (folder / ".temporary-step-00000003").mkdir()
        (folder / "step-00000006" / ".meta.json.999999999.part").touch()
        raise KeyboardInterrupt

    runner, folder = Runner(tmp_path, (first,), CPU, for_comparison=for_comparison), tmp_path / "first"
    with monkeypatch.context() as patch:
        patch.setattr(module.checkpoint, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            runner.train()
    assert runner.status(first).state == "finished"
    before = weights(folder)
    assert runner.train()
    assert not list((folder / "checkpoints").rglob(".*"))
    assert bool(list(folder.rglob("state.pt"))) is not for_comparison
    assert all(torch.equal(before[name], each) for name, each in weights(folder).items())


def test_slices_of_minutes_lead_to_the_same_weights(first: RunSpec, tmp_path: Path) -> None:
    whole, cut = Runner(tmp_path / "whole", (first,), CPU), Runner(tmp_path / "cut", (first,), CPU)
    assert whole.train()
    with pytest.raises(Stopped, match="first: checkpoint saved; run the same command again to resume"):
        cut.train(deadline=0.0)
    assert cut.status(first).state == "unfinished" and cut.pending() == [first]
    assert cut.train()
    one, other = weights(tmp_path / "whole" / "first"), weights(tmp_path / "cut" / "first")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_is_stale_when_its_configuration_store_or_initialization_has_changed(
    first: RunSpec, second: RunSpec, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    runner = Runner(folder, (first, second), CPU)
    runner.train()
    changed = replace(first, overrides=(*first.overrides, "optimizer.lr=0.5"))
    status = runner.status(changed)
    assert status.state == "stale" and [line.partition(":")[0] for line in status.changes] == ["optimizer.lr"]
    with pytest.raises(
        CommandError, match=r"first was trained with other settings \(optimizer\.lr: .* -> 0\.5\)"
    ):
        Runner(folder, (changed,), CPU).train()

    photos = tiny.photos(tmp_path / "photos")
    (photos / "train" / "class0" / "0.png").unlink()
    other = prepare(
        open_source(photos), tmp_path / "other", PrepareSettings(side=72, encoding="raw"), workers=1
    )
    status = runner.status(replace(first, store=other.path))
    assert status.changes == (f"store: {store.digest[:12]} -> {other.digest[:12]}",)

    assert runner.status(second).state == "finished"
    shutil.rmtree(folder / "first")
    replaced = replace(first, seed=9)
    runner = Runner(folder, (replaced, second), CPU)
    assert runner.status(second).state == "finished"  # nothing to compare with
    runner.train([replaced])
    assert runner.status(second).state == "stale" and "weights of first" in runner.status(second).changes[0]


def test_a_line_for_each_pending_run_with_what_it_is_initialized_from(
    first: RunSpec, second: RunSpec, tmp_path: Path
) -> None:
    alone = replace(first, name="alone", seed=2)
    runner = Runner(tmp_path, (first, second, alone), CPU)
    command = ["program", "two words"]
    assert runner.command_lines(command) == [
        "program 'two words' --only second",
        "program 'two words' --only alone",
    ]
    runner.train([alone])
    assert runner.command_lines(command) == ["program 'two words' --only second"]


def test_diverging_is_an_error_or_where_runs_are_compared_a_result(
    first: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.train_run

    def diverging(*arguments, **options):
        original(*arguments, **options)
        raise Diverged("the loss of update 7 is not finite")

    monkeypatch.setattr(module, "train_run", diverging)
    with pytest.raises(Diverged, match="update 7 is not finite; the last checkpoint"):
        Runner(tmp_path / "alone", (first,), CPU).train()
    runner = Runner(tmp_path / "compared", (first,), CPU, for_comparison=True)
    assert runner.train() and runner.status(first).state == "diverged" and not runner.pending()
    assert not list(tmp_path.glob("compared/*/checkpoints/*/state.pt"))
    assert list(tmp_path.glob("alone/*/checkpoints/*/state.pt"))


def _train(folder: Path, specs: tuple[RunSpec, ...]) -> None:
    torch.set_num_threads(1)
    runner = Runner(folder, specs, CPU)
    if not runner.train(wait=False):
        assert runner.train()


@pytest.mark.slow
def test_two_processes_share_the_runs(first: RunSpec, tmp_path: Path) -> None:
    specs = tuple(replace(first, name=f"seed-{seed}", seed=seed) for seed in range(4))
    processes = [
        multiprocessing.get_context("spawn").Process(target=_train, args=(tmp_path, specs)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    for spec in specs:
        lines = [
            json.loads(line) for line in (tmp_path / spec.name / "metrics.jsonl").read_text().splitlines()
        ]
        events = [line["event"] for line in lines]
        assert events.count("start") == events.count("result") == 1 and "resume" not in events
