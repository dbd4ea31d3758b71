"""Stopped anywhere and resumed, a run ends as if it had never been stopped: bit for bit, on a CPU."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from alexnet.cli.main import main
from alexnet.config import RunConfig
from alexnet.data.store import Store
from alexnet.errors import CommandError, Diverged, Stopped
from alexnet.io import exclusive_lock, file_sha256
from alexnet.models import bundle
from alexnet.progress import Advance
from alexnet.runs.checkpoints import NetworkProgress
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.provenance import InitialWeights, provenance
from alexnet.runs.run_dir import RunDir
from alexnet.training import checkpoint
from alexnet.training.run import make_validation
from alexnet.training.trainer import TrainOptions, TrainResult, train_network
from alexnet.training.transfer import InitFrom

CPU = torch.device("cpu")
RECIPES = {
    "2012": ("schedule.name=plateau", "schedule.patience_epochs=1", "optimizer.bias_follows_schedule=false"),
    "modern": (
        "optimizer.name=adamw",
        "optimizer.lr=0.001",
        "schedule.name=cosine",
        "schedule.warmup_epochs=0.5",
        "training.ema_decay=0.9",
        "training.mixup=0.2",
        "training.cutmix=1",
        "training.label_smoothing=0.1",
        "training.grad_accum_steps=2",
        'events=[{"at": 0.4, "action": "color-noise-off"}]',
    ),
    "two devices": (*tiny.TOWERS, "model.tower_devices=cpu,cpu", "training.ema_decay=0.9"),
}


def start(
    config: RunConfig, store: Store, folder: Path, stop_after: int = 10**9, **options: Any
) -> TrainResult:
    """Trains; a signal during update number `stop_after` requests a stop."""
    run = RunDir.create(folder, config) if not options.get("resume") else RunDir.open(folder)

    @contextmanager
    def progress(total: int, done: int) -> Iterator[Advance]:
        images = done

        def advance(count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
            nonlocal images
            images += count
            if count and images == stop_after * config.training.batch_size:
                os.kill(os.getpid(), signal.SIGTERM)

        yield advance

    typed: Any = progress
    evaluate = options.pop("evaluate", None) or make_validation(config, store)
    given = TrainOptions(**{"device": CPU, "progress": typed, **options})
    return train_network(config, store, run, evaluate, given)


def lines(folder: Path, event: str) -> list[dict[str, Any]]:
    """The lines of the log, without values that depend on the clock."""
    clock = {"images_per_second", "data_wait_share", "seconds", "eta_seconds"}
    found = [line for line in read_metrics(folder / "metrics.jsonl") if line["event"] == event]
    return [{name: value for name, value in line.items() if name not in clock} for line in found]


def final_state(folder: Path) -> dict[str, Any]:
    found = checkpoint.newest(folder / "checkpoints", lambda line: None)
    assert found is not None
    weights = bundle.load(found.weights, "cpu").model.state_dict()
    progress = found.meta.training
    assert isinstance(progress, NetworkProgress)
    clock = {"seconds", "minutes", "pace"}
    values = {name: value for name, value in asdict(progress).items() if name not in clock}
    return {"weights": weights, "state": checkpoint.load_state(found), "step": found.step, "progress": values}


def assert_same(one: Any, other: Any) -> None:
    """Asserts bit-for-bit equality of nested values."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, list | tuple):
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    else:
        assert one == other


# Update 6 is the end of an epoch, where the validation is still to come.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "stops"), [("2012", (1, 6, 11)), ("modern", (6, 10)), ("two devices", (6,))]
)
def test_bit_for_bit_wherever_it_is_stopped(
    tiny_store: Store, tmp_path: Path, recipe: str, stops: tuple[int, ...]
) -> None:
    config = tiny.config("schedule.epochs=2", *RECIPES[recipe])
    whole = start(config, tiny_store, tmp_path / "whole")
    assert whole.step == 12
    for stop_after in stops:
        folder = tmp_path / f"stopped-{stop_after}"
        with pytest.raises(Stopped, match=f"by SIGTERM after update {stop_after} of 12"):
            start(config, tiny_store, folder, stop_after)
        resumed = start(config, tiny_store, folder, resume=True)
        for event in ("train", "validation", "learning-rate", "color-noise-off", "result"):
            assert lines(folder, event) == lines(tmp_path / "whole", event)
        assert_same(final_state(folder), final_state(tmp_path / "whole"))
        assert (resumed.errors, resumed.best_top1_error) == (whole.errors, whole.best_top1_error)


EVERY_IMAGE = ("training.last_batch=keep", "training.batch_size=10")
BALANCED = ("data.sampling=balanced",)
WEIGHTED = ("training.class_weights=balanced",)


@pytest.mark.parametrize("settings", [EVERY_IMAGE, BALANCED, WEIGHTED])
def test_bit_for_bit_with_batches_of_other_sizes_and_classes(
    tiny_store: Store, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    config = tiny.config("schedule.epochs=2", *settings)
    whole = start(config, tiny_store, tmp_path / "whole")
    with pytest.raises(Stopped):
        start(config, tiny_store, tmp_path / "stopped", minutes=0)
    assert start(config, tiny_store, tmp_path / "stopped", resume=True).step == whole.step
    assert lines(tmp_path / "stopped", "train") == lines(tmp_path / "whole", "train")
    assert_same(final_state(tmp_path / "stopped"), final_state(tmp_path / "whole"))


def test_one_image_more_than_a_batch_is_kept_with_batch_normalization(
    tiny_store: Store, tmp_path: Path
) -> None:
    """A last batch of one image would have no variance."""
    net = ("model.variant=modern", "model.architecture.widths=[8,8,8,8,8,32,32]")
    settings = ("training.batch_size=47", "training.last_batch=keep", "schedule.epochs=1")
    result = start(tiny.config(*net, *settings), tiny_store, tmp_path / "run")
    assert (result.step, result.epochs) == (2, 1)
    assert [line["loss"] > 0 for line in lines(tmp_path / "run", "train")] == [True, True]


def test_patience_ends_the_run_and_keeps_the_best(tiny_store: Store, tmp_path: Path) -> None:
    errors, seen = (0.5, 0.3, 0.3, 0.4, 0.1), list[str]()
    config = tiny.config("schedule.epochs=5", "training.batch_size=24", "training.patience=2")

    def evaluate_from(first: int) -> Any:
        remaining = iter(errors[first:])
        return lambda model: {"top1_error": next(remaining)}

    result = start(config, tiny_store, tmp_path / "whole", evaluate=evaluate_from(0), log=seen.append)
    assert (result.epochs, result.best_top1_error) == (4, 0.3)
    assert any(line.startswith("stopped early: 2 validations without an error below 30.0 %") for line in seen)
    (stop,) = lines(tmp_path / "whole", "early-stop")
    assert (stop["step"], stop["waited"], stop["best_top1_error"]) == (8, 2, 0.3)
    assert read_metrics(tmp_path / "whole" / "metrics.jsonl")[-1]["event"] == "result"
    assert (tmp_path / "whole" / "checkpoints" / "best").readlink().name == "step-00000004"

    # Stopped within the third epoch, after one validation without improvement.
    with pytest.raises(Stopped):
        start(config, tiny_store, tmp_path / "cut", 7, evaluate=evaluate_from(0))
    start(config, tiny_store, tmp_path / "cut", resume=True, evaluate=evaluate_from(3))
    assert_same(final_state(tmp_path / "cut"), final_state(tmp_path / "whole"))

    more = tiny.config("schedule.epochs=5", "training.batch_size=24", "training.patience=3")
    continued = start(more, tiny_store, tmp_path / "whole", resume=True, evaluate=evaluate_from(4))
    assert (continued.epochs, continued.best_top1_error) == (5, 0.1)


def test_what_was_logged_after_the_checkpoint_is_logged_once(tiny_store: Store, tmp_path: Path) -> None:
    config, folder = tiny.config(), tmp_path / "run"
    with pytest.raises(Stopped):
        start(config, tiny_store, folder, stop_after=14)
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    (newest / "state.pt").write_bytes(b"damaged")
    messages: list[str] = []
    start(config, tiny_store, folder, resume=True, log=messages.append)
    assert any("damaged" in line for line in messages)
    assert [line["step"] for line in lines(folder, "train")] == list(range(1, 19))


def test_a_finished_run_is_finished(tiny_store: Store, tmp_path: Path) -> None:
    config, folder = tiny.config("schedule.epochs=1"), tmp_path / "run"
    first = start(config, tiny_store, folder)
    before = (folder / "checkpoints" / "last" / "weights.safetensors").read_bytes()
    assert start(config, tiny_store, folder, resume=True) == first
    assert (folder / "checkpoints" / "last" / "weights.safetensors").read_bytes() == before


def test_a_finished_run_continues_with_more_epochs(tiny_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    alike = ("schedule.name=constant", "events=[]")  # nothing that depends on the length of the run
    start(tiny.config("schedule.epochs=1", *alike), tiny_store, folder)
    longer = tiny.config("schedule.epochs=2", *alike)
    assert start(longer, tiny_store, folder, resume=True).step == 12
    start(longer, tiny_store, tmp_path / "whole")
    assert_same(final_state(folder), final_state(tmp_path / "whole"))


def test_a_finished_run_keeps_one_state_and_the_best_weights(tiny_store: Store, tmp_path: Path) -> None:
    errors = iter((0.3, 0.2, 0.4))
    start(tiny.config(), tiny_store, tmp_path / "run", evaluate=lambda model: {"top1_error": next(errors)})
    files = sorted(path.relative_to(tmp_path / "run") for path in tmp_path.glob("run/checkpoints/step-*/*"))
    assert [str(path.relative_to("checkpoints")) for path in files] == [
        *(f"step-00000012/{name}" for name in ("meta.json", "weights.safetensors")),
        *(f"step-00000018/{name}" for name in ("meta.json", "state.pt", "weights.safetensors")),
    ]
    best = bundle.load(tmp_path / "run" / "checkpoints" / "best" / "weights.safetensors", "cpu")
    assert not torch.equal(
        best.model.state_dict()["fc8.bias"], final_state(tmp_path / "run")["weights"]["fc8.bias"]
    )


def test_a_run_of_weights_only_stays_finished_and_is_not_trained_on(
    tiny_store: Store, tmp_path: Path
) -> None:
    config, folder = tiny.config("schedule.epochs=1", "schedule.name=constant"), tmp_path / "run"
    first = start(config, tiny_store, folder, weights_only=True)
    assert not list(folder.glob("checkpoints/*/state.pt"))
    before = (folder / "checkpoints" / "last" / "weights.safetensors").read_bytes()
    assert start(config, tiny_store, folder, resume=True) == first
    longer = tiny.config("schedule.epochs=2", "schedule.name=constant")
    with pytest.raises(CommandError, match=r"kept only its weights .* --init-from"):
        start(longer, tiny_store, folder, resume=True)
    assert (folder / "checkpoints" / "last" / "weights.safetensors").read_bytes() == before
    assert RunDir(folder).config() == config


def test_a_finished_run_becomes_smaller_later(tiny_store: Store, tmp_path: Path) -> None:
    config, folder = tiny.config("schedule.epochs=1"), tmp_path / "run"
    start(config, tiny_store, folder)
    assert list(folder.glob("checkpoints/*/state.pt"))
    start(config, tiny_store, folder, resume=True, weights_only=True)
    assert not list(folder.glob("checkpoints/*/state.pt"))


def test_fewer_epochs_than_are_trained_are_refused(tiny_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start(tiny.config("schedule.epochs=3", "training.batch_size=24"), tiny_store, folder)
    fewer = tiny.config("schedule.epochs=2", "training.batch_size=24")
    with pytest.raises(CommandError, match=r"3 epochs of .* trained; schedule\.epochs must be 3 or more"):
        start(fewer, tiny_store, folder, resume=True)
    assert RunDir(folder).config().schedule.epochs == 3


def test_the_fourth_plateau_ends_the_run(tiny_store: Store, tmp_path: Path) -> None:
    config = tiny.config(
        "schedule.name=plateau", "schedule.patience_epochs=1", "schedule.epochs=50", "training.batch_size=24"
    )
    never_better = {"top1_error": 0.5}
    result = train_network(
        config,
        tiny_store,
        RunDir.create(tmp_path / "run", config),
        evaluate=lambda model: never_better,
        options=TrainOptions(device=CPU),
    )
    # The first error is the best; four that are not better make four plateaus.
    assert result.epochs == 5
    rates = [line["learning_rate"] for line in lines(tmp_path / "run", "learning-rate")]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["event"] == "result"


def test_best_is_the_lowest_error_and_last_is_the_last(tiny_store: Store, tmp_path: Path) -> None:
    config, errors = tiny.config(), iter([0.5, 0.2, 0.4])
    run = RunDir.create(tmp_path / "run", config)
    result = train_network(
        config,
        tiny_store,
        run,
        evaluate=lambda model: {"top1_error": next(errors)},
        options=TrainOptions(device=CPU),
    )
    assert (run.checkpoints / "best").readlink() == Path("step-00000012")
    assert (run.checkpoints / "last").readlink() == Path("step-00000018")
    assert (result.errors["top1_error"], result.best_top1_error) == (0.4, 0.2)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tiny_store: Store, tmp_path: Path) -> None:
    config, folder = tiny.config(), tmp_path / "run"
    with pytest.raises(Stopped):
        start(config, tiny_store, folder, stop_after=5)
    before = final_state(folder)
    wild = tiny.config("optimizer.lr=1e18")
    with pytest.raises(Diverged, match=r"not finite.*--resume and a lower"):
        start(wild, tiny_store, folder, resume=True)
    assert_same(final_state(folder), before)


def test_another_store_is_refused(tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = tiny.config("schedule.epochs=1"), tmp_path / "run"
    start(config, tiny_store, folder)
    monkeypatch.setattr(Store, "digest", "another")
    with pytest.raises(CommandError, match="another store"):
        start(config, tiny_store, folder, resume=True)


def test_is_initialized_from_another_runs_weights(tiny_store: Store, tmp_path: Path) -> None:
    start(tiny.config("schedule.epochs=1"), tiny_store, tmp_path / "old")
    weights = tmp_path / "old" / "checkpoints" / "last" / "weights.safetensors"
    messages: list[str] = []
    frozen = tiny.config("schedule.epochs=1", 'optimizer.lr_multipliers=[["conv1", 0]]', "training.seed=4")
    start(frozen, tiny_store, tmp_path / "new", init_from=InitFrom(weights), log=messages.append)
    old, new = (final_state(tmp_path / name)["weights"] for name in ("old", "new"))
    assert torch.equal(old["conv1.weight"], new["conv1.weight"])
    assert not torch.equal(old["fc8.weight"], new["fc8.weight"])
    assert any(line.startswith("  copied: conv1.weight") and line.endswith("fc8.bias") for line in messages)
    (logged,) = lines(tmp_path / "new", "init-from")
    assert logged["weights_sha256"] == file_sha256(weights)
    known = provenance(RunDir(tmp_path / "new"))
    assert known.init_from == InitialWeights(str(weights), file_sha256(weights))
    assert known.init_from.name == "old"
    assert len(logged["copied"]) == 16
    assert not logged["new"]


def test_the_average_starts_from_the_copied_weights_too(tiny_store: Store, tmp_path: Path) -> None:
    """It is not trained, but no layer is frozen for that."""
    start(tiny.config("schedule.epochs=1"), tiny_store, tmp_path / "old")
    weights = tmp_path / "old" / "checkpoints" / "last" / "weights.safetensors"
    averaged = tiny.config(
        "schedule.epochs=1", "training.ema_decay=0.9", "model.dropout=0", "optimizer.lr=1e-12"
    )
    start(averaged, tiny_store, tmp_path / "new", init_from=InitFrom(weights, ("conv1", "conv2")))
    old, new = (final_state(tmp_path / name)["weights"] for name in ("old", "new"))
    torch.testing.assert_close(new["conv1.weight"], old["conv1.weight"])
    assert not torch.allclose(new["fc8.weight"], old["fc8.weight"])


def test_other_weights_to_begin_with_are_refused_for_a_run_that_has_begun(
    tiny_store: Store, tmp_path: Path
) -> None:
    config, weights = tiny.config("schedule.epochs=1"), {}
    for name in ("old", "other", "new"):
        init_from = InitFrom(weights["old"]) if name == "new" else None
        start(config, tiny_store, tmp_path / name, init_from=init_from)
        weights[name] = tmp_path / name / "checkpoints" / "last" / "weights.safetensors"
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    copy = tmp_path / "copy" / "checkpoints" / "last" / "weights.safetensors"
    for same in (weights["old"], copy):
        start(config, tiny_store, tmp_path / "new", resume=True, init_from=InitFrom(same))
    with pytest.raises(CommandError, match=r"was initialized from .*old.*, not from .*new"):
        start(config, tiny_store, tmp_path / "new", resume=True, init_from=InitFrom(weights["new"]))
    with pytest.raises(CommandError, match="began with random weights: omit --init-from"):
        start(config, tiny_store, tmp_path / "old", resume=True, init_from=InitFrom(weights["new"]))


def test_the_terms_of_weights_apply_to_derived_weights(tiny_store: Store, tmp_path: Path) -> None:
    config = tiny.config("schedule.epochs=1")
    start(config, tiny_store, tmp_path / "old")
    weights = tmp_path / "old" / "checkpoints" / "last" / "weights.safetensors"
    net = bundle.load(weights, "cpu")
    bundle.save(tmp_path / "theirs.safetensors", replace(net, terms={"weights_license": "theirs"}))
    theirs = InitFrom(tmp_path / "theirs.safetensors")
    with pytest.raises(Stopped):
        start(config, tiny_store, tmp_path / "new", init_from=theirs, minutes=0)
    start(config, tiny_store, tmp_path / "new", resume=True)
    made = bundle.load(tmp_path / "new" / "checkpoints" / "last" / "weights.safetensors", "cpu")
    assert made.terms == {"weights_license": "theirs"}


def test_color_noise_and_frozen_layers_follow_the_events(tiny_store: Store, tmp_path: Path) -> None:
    frozen = 'events=[{"at": 0.0, "action": "layer-factor", "layer": "conv1", "value": 0}]'
    config = tiny.config("schedule.epochs=1", frozen)
    start(config, tiny_store, tmp_path / "run")
    torch.manual_seed(config.training.seed)
    from alexnet.models.registry import build

    first = build(config.model, tiny.CLASSES, config.data.input_size).get_parameter("conv1.weight")
    assert torch.equal(final_state(tmp_path / "run")["weights"]["conv1.weight"], first)
    assert lines(tmp_path / "run", "layer-factor") == [
        {"event": "layer-factor", "step": 1, "epoch": 0, "layer": "conv1", "value": 0.0}
    ]


def test_what_a_resumed_run_changes_is_what_it_does(tiny_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start(tiny.config("schedule.epochs=1", "schedule.name=constant"), tiny_store, folder)
    before = bundle.load(folder / "checkpoints" / "last" / "weights.safetensors", "cpu").model.state_dict()
    frozen = [[f"conv{number}", 0] for number in range(1, 6)]
    settings = (f"optimizer.lr_multipliers={json.dumps(frozen)}", "optimizer.momentum=0.5")
    changed = tiny.config("schedule.epochs=2", "schedule.name=constant", *settings)
    start(changed, tiny_store, folder, resume=True)
    found = checkpoint.newest(folder / "checkpoints", lambda line: None)
    assert found is not None
    assert {group["momentum"] for group in checkpoint.load_state(found)["optimizer"]["param_groups"]} == {0.5}
    after = bundle.load(found.weights, "cpu").model.state_dict()
    same = {name.partition(".")[0] for name in before if torch.equal(before[name], after[name])}
    assert same == {"conv1", "conv2", "conv3", "conv4", "conv5"}
    assert RunDir.open(folder).config() == changed


def test_best_is_the_same_checkpoint_after_a_stop_at_an_epochs_end(tiny_store: Store, tmp_path: Path) -> None:
    config = tiny.config("schedule.epochs=2", "training.log_every_steps=4", "schedule.name=constant")
    folder, errors = tmp_path / "run", iter((0.1, 0.5))

    def evaluate(model: torch.nn.Module) -> dict[str, Any]:
        return {"top1_error": next(errors)}

    with pytest.raises(Stopped):
        start(config, tiny_store, folder, stop_after=6, evaluate=evaluate)
    start(config, tiny_store, folder, resume=True, evaluate=evaluate)
    assert (folder / "checkpoints" / "best").readlink().name == "step-00000006"


def test_a_stop_at_the_last_update_is_validated_once(tiny_store: Store, tmp_path: Path) -> None:
    config = tiny.config("schedule.epochs=1", "training.log_every_steps=4")
    folder, tested = tmp_path / "run", list[int]()

    def evaluate(model: torch.nn.Module) -> dict[str, Any]:
        tested.append(1)
        return {"top1_error": 0.1}

    with pytest.raises(Stopped):
        start(config, tiny_store, folder, stop_after=6, evaluate=evaluate)
    for _ in range(2):
        start(config, tiny_store, folder, resume=True, evaluate=evaluate)
    assert len(tested) == 1


def test_a_running_run_is_not_resumed(tiny_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start(tiny.config("schedule.epochs=1"), tiny_store, folder)
    before = (folder / "config.json").read_bytes()
    words = ["train", tiny.RECIPE, "--store", str(tiny_store.path), "--run", str(folder), "--resume"]
    with exclusive_lock(folder):
        assert main([*words, "schedule.epochs=5"]) == 2
    assert (folder / "config.json").read_bytes() == before
