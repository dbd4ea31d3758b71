"""A classic pipeline fitted to synthetic photos: a run like any other, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tiny
import torch
from attack.kills import count as count_moments
from attack.kills import killed_at
from torch import nn

from alexnet import recipes
from alexnet.checksum import Damaged
from alexnet.classic import encoders
from alexnet.classic.codebooks import DiagonalMixture
from alexnet.classic.config import SHARED_KEYS
from alexnet.classic.least_squares import PENALTIES, fit_least_squares
from alexnet.classic.pipeline import Pipeline
from alexnet.cli.main import main
from alexnet.config import RunConfig, flatten, override
from alexnet.data.crops import center
from alexnet.data.image_reader import read_square
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError, Stopped
from alexnet.models import bundle
from alexnet.runs.metrics_log import has_finished, read_metrics
from alexnet.runs.predictions import left_out_path
from alexnet.runs.predictions import load as load_predictions
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training import classic_trainer
from alexnet.training.classic_trainer import ClassicTrainer, FeatureCache
from alexnet.training.run import resumed_config
from alexnet.training.trainer import TrainOptions

CHANNELS = [
    {"descriptor": "root-sift", "step": 12, "patches": [16, 24], "pca": 8, "codebook_size": 4},
    {"descriptor": "color", "step": 12, "patches": [16], "pca": 8, "codebook_size": 4, "pyramid": ["1x1"]},
]
SETTINGS = (
    "data.image_size=72",
    "data.input_size=72",
    "training.batch_size=8",
    "schedule.epochs=8",
    "classic.sample_descriptors=900",
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_round() -> Iterator[None]:
    """Codebooks are learned in one round, which is one place to stop at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "DiagonalMixture", partial(DiagonalMixture, max_iter=1))
        yield


def config(*settings: str, channels: list[dict[str, Any]] = CHANNELS) -> RunConfig:
    given = [*SETTINGS, f"classic.channels={json.dumps(channels)}", *settings]
    return override(recipes.get("sift-fv"), given)


def nothing(model: nn.Module) -> dict[str, float]:
    return {"top1_error": 0.5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("classic"))


def fitted(folder: Path, store: Store, *settings: str, **options: Any) -> dict[str, torch.Tensor]:
    """The weights that `fit` leaves in a new run, or in a resumed one."""
    wanted = config(*settings)
    run = RunDir(folder) if folder.exists() else RunDir.create(folder, wanted)
    classic_trainer.train_pipeline(
        wanted, store, run, evaluate=nothing, options=TrainOptions(device=CPU, **options)
    )
    return bundle.load(find_weights(folder, "last"), "cpu").model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_classic_run_is_a_run_like_any_other(tmp_path: Path, store: Store, capsys: Any) -> None:
    run, photo = str(tmp_path / "run"), str(next((store.path.parent / "photos" / "val").rglob("*.png")))
    settings = [*SETTINGS, f"classic.channels={json.dumps(CHANNELS)}"]
    given = ["--store", str(store.path)]
    assert main(["train", "sift-fv", *given, "--run", run, *settings]) == 0
    assert "channel2: color of 16 pixels" in capsys.readouterr().out
    assert main(["evaluate", run, *given, "--views", "ten"]) == 0
    onnx, exported = str(tmp_path / "it.onnx"), str(tmp_path / "it.safetensors")
    assert main(["export", run, onnx]) == 2
    assert "sift-fv is not a network" in capsys.readouterr().err
    assert main(["export", run, exported]) == 0
    assert main(["compare", run]) == 0
    assert "sift-fv" in capsys.readouterr().out
    assert main(["predict", photo, "--model", run, "--json"]) == 0
    (prediction,) = json.loads(capsys.readouterr().out)
    assert main(["predict", photo, "--model", exported, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["classes"] == prediction["classes"]
    assert sum(each["probability"] for each in prediction["classes"]) == pytest.approx(1, abs=1e-4)
    log = read_metrics(Path(run) / "metrics.jsonl")
    assert [log[0]["event"], log[-1]["event"]] == ["start", "result"]
    assert {"top1_error", "top5_error", "images", "best_top1_error", "seconds"} <= log[-1].keys()
    assert log[-1]["top1_error"] < 0.2, "brightness and noise tell these classes apart"
    assert not (Path(run) / "features").exists()


def test_fitting_again_gives_the_same_and_another_seed_another(tmp_path: Path, store: Store) -> None:
    first = fitted(tmp_path / "a", store)
    assert same(first, fitted(tmp_path / "b", store))
    assert not same(first, fitted(tmp_path / "c", store, "training.seed=1"))


class StopRequests:
    """Stops a run at the `at`-th check."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.times, self.at = 0, 0
        monkeypatch.setattr("alexnet.training.preemption.Interruption.wanted", lambda own, step: self(own))

    def __call__(self, interruption: Any) -> bool:
        self.times += 1
        interruption.reason = "by a test"
        return self.times == self.at


@pytest.mark.parametrize("setting", ["codes=float16", "codes=pq", "classifier=least-squares"])
def test_stopped_again_and_again_it_ends_the_same(
    tmp_path: Path, store: Store, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.training.classic_trainer.SHARD", 16)
    monkeypatch.setattr("alexnet.classic.least_squares.ROWS_AT_ONCE", 16)
    whole = fitted(tmp_path / "whole", store, f"classic.{setting}")
    stop = StopRequests(monkeypatch)
    stops = 0
    while True:
        stop.times, stop.at = 0, 6 + stops  # solving, which begins again, has more checks than six
        try:
            found = fitted(tmp_path / "stopped", store, f"classic.{setting}", resume=stops > 0)
            break
        except Stopped:
            stops += 1
    assert stops > 3
    assert same(whole, found)
    if setting == "classifier=least-squares":
        both = [load_predictions(left_out_path(tmp_path / name)) for name in ("whole", "stopped")]
        assert np.array_equal(both[0].probabilities, both[1].probabilities)


def stopped(folder: Path, store: Store, stop: StopRequests, at: int) -> str:
    """The message of a new run that is stopped at the `at`-th check."""
    stop.times, stop.at = 0, at
    with pytest.raises(Stopped) as caught:
        fitted(folder, store)
    stop.at = 0
    return str(caught.value)


def test_the_message_has_the_stage_at_which_it_was_stopped(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopRequests(monkeypatch)
    assert "in stage 'learn' of channel1" in stopped(tmp_path / "in-codebook", store, stop, 2)
    assert "in stage 'encode' of channel1" in stopped(tmp_path / "a", store, stop, 3)
    stop.times = 0
    whole = fitted(tmp_path / "whole", store)
    assert "before the validation;" in stopped(tmp_path / "b", store, stop, stop.times)
    assert same(whole, fitted(tmp_path / "in-codebook", store, resume=True))


@pytest.mark.parametrize("name", ["channel1.safetensors", "channel1.npy"])
def test_files_missing_at_resume_are_named(
    tmp_path: Path, store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "a", store, StopRequests(monkeypatch), 5)
    path = tmp_path / "a" / "features" / name
    path.unlink()
    with pytest.raises(DataError, match=f"{name} is missing: delete .*features to start again"):
        fitted(tmp_path / "a", store, resume=True)


def test_files_damaged_at_resume_are_named(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "a", store, StopRequests(monkeypatch), 5)
    path = tmp_path / "a" / "features" / "channel1.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(
        DataError, match=r"channel1.safetensors is damaged .*: delete .*features to start again"
    ):
        fitted(tmp_path / "a", store, resume=True)


@pytest.mark.parametrize("place", ["header", "first", "last"])
def test_damaged_feature_vectors_are_named(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: Any, place: str
) -> None:
    stopped(tmp_path / "a", store, StopRequests(monkeypatch), 5)
    assert main(["verify", str(tmp_path / "a")]) == 0
    path = tmp_path / "a" / "features" / "channel1.npy"
    encoded = json.loads((path.parent / "state.json").read_text())["images"]
    rows, data = np.load(path, mmap_mode="r"), bytearray(path.read_bytes())
    assert encoded > 0
    data[{"header": 0, "first": rows.offset, "last": rows.offset + rows[:encoded].nbytes - 1}[place]] ^= 1
    path.write_bytes(data)
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "a")]) == 3
    assert "channel1.npy is damaged" in capsys.readouterr().out
    with pytest.raises(Damaged, match=r"channel1.npy is damaged.*: delete .*features to start again"):
        fitted(tmp_path / "a", store, resume=True)


@pytest.mark.parametrize("kept", [0, 3])
def test_lines_of_the_log_that_are_lost_before_it_resumes_are_counted(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: Any, kept: int
) -> None:
    stopped(tmp_path / "a", store, StopRequests(monkeypatch), 8)
    log = tmp_path / "a" / "metrics.jsonl"
    *lines, last = log.read_text().splitlines(keepends=True)
    assert json.loads(last)["event"] == "stopped"
    log.write_text("".join(lines[:kept]))
    assert main(["verify", str(tmp_path / "a")]) == 3
    assert f"metrics.jsonl is damaged: it has {kept} of {len(lines)} lines" in capsys.readouterr().out
    fitted(tmp_path / "a", store, resume=True)
    (lost,) = (line for line in read_metrics(log) if line["event"] == "lost")
    assert lost["lines"] == len(lines) - kept


def test_killed_between_two_channels_it_resumes(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, save = fitted(tmp_path / "whole", store), FeatureCache.save_position

    def killed(cache: FeatureCache) -> None:
        if cache.position.channel == 1:
            raise KeyboardInterrupt
        save(cache)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FeatureCache, "save_position", killed)
        fitted(tmp_path / "a", store)
    assert same(whole, fitted(tmp_path / "a", store, resume=True))


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_and_ends_the_same(tmp_path: Path, store: Store) -> None:
    wanted: dict[str, torch.Tensor] = {}
    moments = count_moments(lambda: wanted.update(fitted(tmp_path / "whole", store)))
    last_ones = range(moments - 24, moments, 2)  # from the only checkpoint to the end
    for moment in (*range(3, moments - 24, max(1, moments // 6)), *last_ones):
        folder = tmp_path / str(moment)
        with killed_at(moment):
            fitted(folder, store)
        if (folder / "config.json").exists():
            assert same(fitted(folder, store, resume=True), wanted), moment
            assert has_finished(folder / "metrics.jsonl"), moment
            assert not (folder / "features").exists(), moment
            assert not list(folder.rglob(".*")), moment


def test_classifiers_are_saved_every_few_minutes_not_after_every_pass(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes, kept = count(), []
    monkeypatch.setattr(classic_trainer, "time", SimpleNamespace(monotonic=lambda: 60 * next(minutes)))
    write = FeatureCache.write_tensors

    def counting(cache: FeatureCache, tensors: dict[str, torch.Tensor], what: Any = "") -> None:
        kept.append(what)
        write(cache, tensors, what)

    monkeypatch.setattr(FeatureCache, "write_tensors", counting)
    fitted(tmp_path / "a", store, "schedule.patience_epochs=8", "training.checkpoint_every_minutes=3.5")
    log = read_metrics(tmp_path / "a" / "metrics.jsonl")
    passes = sum(line["event"] == "pass" for line in log)
    assert passes == 16
    assert 2 <= kept.count("-sgd") <= passes / 3


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, store: Store) -> None:
    first, log = fitted(tmp_path / "a", store), tmp_path / "a" / "metrics.jsonl"
    before = log.read_bytes()
    assert same(first, fitted(tmp_path / "a", store, resume=True))
    assert log.read_bytes() == before


def test_least_squares_use_all_photos_and_refuse_too_many(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    setting, stop = "classic.classifier=least-squares", StopRequests(monkeypatch)
    state = fitted(tmp_path / "a", store, setting, log=lines.append)
    assert stop.times > 2 * len(PENALTIES), "large groups take long: it can be stopped at each penalty"
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())
    stages = [line for line in lines if "classify in" in line]
    assert len(stages) == 2 and all("penalty" in line and "held out" not in line for line in stages)
    monkeypatch.setattr("alexnet.training.classic_trainer.MAX_PHOTOS", 3)
    with pytest.raises(CommandError, match="is for at most 3 training photos, and there are"):
        fitted(tmp_path / "b", store, setting)


def test_a_kill_after_the_checkpoint_loses_no_predictions(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = "classic.classifier=least-squares"
    fitted(tmp_path / "whole", store, setting)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alexnet.training.classic_trainer.save_left_out", _killed)
        fitted(tmp_path / "killed", store, setting)
    assert not left_out_path(tmp_path / "killed").exists()
    fitted(tmp_path / "killed", store, setting, resume=True)
    made, wanted = (load_predictions(left_out_path(tmp_path / name)) for name in ("killed", "whole"))
    assert np.array_equal(made.probabilities, wanted.probabilities)


def _killed(*arguments: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("pattern", ["", r"[02468]\.png$|[13579]\.png$"])
def test_training_photos_are_predicted_without_themselves_and_their_group(
    tmp_path: Path, store: Store, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the same pipeline, with classifiers fitted to its feature vectors again."""
    source = replace(store.manifest.source, group_by=pattern)
    monkeypatch.setattr(store, "manifest", replace(store.manifest, source=source))
    fitted(tmp_path, store, "classic.classifier=least-squares")
    made, split = load_predictions(left_out_path(tmp_path)), store.split("train")
    model = bundle.load(find_weights(tmp_path), "cpu")
    squares = np.empty((len(split), 72, 72, 3), np.uint8)
    for number, square in enumerate(squares):
        read_square(split, number, square)
    inputs = model.preprocessing.test_input(torch.from_numpy(squares), center(72, 72)[None])
    labels = torch.from_numpy(split.labels).long()
    groups = torch.tensor([int(key[-5]) for key in split.keys()]) if pattern else None  # noqa: SIM118
    channels: list[torch.Tensor] = []
    with torch.no_grad():
        for rows in cast(Pipeline, model.model).activations(inputs).values():
            again = fit_least_squares((rows @ rows.T).double(), labels, len(store.classes), groups)
            channels.append(torch.softmax(again.scale * again.left_out, 1))
    np.testing.assert_allclose(made.probabilities, torch.stack(channels).mean(0), atol=0.02)
    assert made.keys.tolist() == split.keys() and made.labels.tolist() == labels.tolist()


def test_few_photos_are_announced_with_the_setting(store: Store, tmp_path: Path, capsys: Any) -> None:
    command = ["train", "sift-fv", "--store", str(store.path), "--run"]
    settings = [*SETTINGS, f"classic.channels={json.dumps(CHANNELS)}"]
    assert main([*command, str(tmp_path / "a"), *settings]) == 0
    assert "classic.classifier=least-squares" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "b"), *settings, "classic.classifier=least-squares"]) == 0
    assert "warning" not in capsys.readouterr().out


def test_it_trains_with_nothing_held_out(tmp_path: Path, store: Store) -> None:
    state = fitted(tmp_path / "a", store, "classic.held_out=0")
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ({"patches": [80]}, "no larger than a root-sift patch of 80"),
        ({"codebook_size": 4000, "pca": 8, "step": 16}, "would learn 4,000 words from 900 descriptors"),
        ({"pca": 400}, "pca=400 is more than the 128 numbers of root-sift"),
        ({"patches": [10]}, "multiples of 4"),
        ({"pyramid": ["3"]}, "rows x columns"),
        ({"step": 0}, "must be at least 1"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, store: Store, channel: dict[str, Any], message: str
) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        wanted = config(channels=[channel])
        run = RunDir.create(tmp_path / "a", wanted)
        classic_trainer.train_pipeline(wanted, store, run, evaluate=nothing, options=TrainOptions(device=CPU))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["classic.sample_descriptors=30", "data.max_images=2"])
def test_a_sample_smaller_than_the_words_is_refused_before_anything_is_written(
    tmp_path: Path, store: Store, setting: str, capsys: Any
) -> None:
    """Also in the second channel: not only after hours for the first."""
    channels = f"classic.channels={json.dumps([CHANNELS[0], {**CHANNELS[1], 'codebook_size': 60}])}"
    command = ["train", "sift-fv", "--store", str(store.path), "--run", str(tmp_path / "a")]
    assert main([*command, *SETTINGS, channels, setting]) == 2
    error = capsys.readouterr().err
    assert "channel2 (color) would learn 60 words from" in error
    assert "larger classic.sample_descriptors" in error
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("wanted", [1, 7, 149, 150, 151, 900, 10_000])
@pytest.mark.parametrize(("photos", "places"), [(1, 40), (48, 3), (48, 200)])
def test_a_sample_has_the_predicted_size(wanted: int, photos: int, places: int) -> None:
    described = SimpleNamespace(
        describe=lambda images: torch.zeros(len(images), places, 2),
        centers=lambda side: torch.zeros(places, 2),
    )
    work = SimpleNamespace(
        classic=SimpleNamespace(sample_descriptors=wanted),
        config=config(),
        labels=torch.zeros(photos),
        channel=SimpleNamespace(descriptor=described),
        photos=lambda numbers: ((few, torch.zeros(len(few), 3, 1, 1)) for few in numbers.split(16)),
        cache=SimpleNamespace(channel_name="channel"),
        advance=lambda images, text: None,
        _stop_if_requested=lambda: None,
    )
    drawn = ClassicTrainer.sample_descriptors(cast(ClassicTrainer, work))
    assert len(drawn) == classic_trainer.sample_size(wanted, photos, places) == min(wanted, photos * places)


@pytest.mark.parametrize(
    "setting",
    [
        *("data.mirror=yes", "data.normalization=range", "data.channels=1", "optimizer.momentum=0.9"),
        'events=[{"at": 0.5, "action": "color-noise-off"}]',
    ],
)
def test_settings_of_networks_are_refused(setting: str) -> None:
    with pytest.raises(CommandError, match=setting.partition("=")[0]) as caught:
        config(setting)
    assert "training.seed" in str(caught.value)


def test_settings_of_networks_may_be_given_their_own_value() -> None:
    assert config("data.mirror=no", "training.precision=float32", "events=[]") == config()


def test_every_shared_setting_exists() -> None:
    assert set(SHARED_KEYS) <= set(flatten(recipes.get("sift-fv")))


def test_resumed_on_other_photos_is_refused(tmp_path: Path, store: Store) -> None:
    run = RunDir.create(tmp_path / "a", config())
    with pytest.raises(CommandError, match=r"cannot change data.max_images: 0 -> 20"):
        resumed_config(run, "sift-fv", ["data.max_images=20"])


def test_init_from_is_refused(tmp_path: Path, store: Store, capsys: Any) -> None:
    command = ["train", "sift-fv", "--store", str(store.path), "--run", str(tmp_path / "a"), *SETTINGS]
    fitted(tmp_path / "trained", store)
    assert main([*command, "--init-from", str(tmp_path / "trained")]) == 2
    assert "sift-fv is not a network and cannot be initialized from weights" in capsys.readouterr().err


def test_another_store_is_refused(tmp_path: Path, store: Store, make_store: Callable[..., Store]) -> None:
    run = RunDir.create(tmp_path / "a", config())
    with pytest.raises(Stopped):
        classic_trainer.train_pipeline(
            config(), store, run, evaluate=nothing, options=TrainOptions(device=CPU, minutes=0)
        )
    other = make_store({"a": [10, 200], "b": [30, 60]})
    with pytest.raises(CommandError, match="another store"):
        classic_trainer.train_pipeline(
            config(), other, run, evaluate=nothing, options=TrainOptions(device=CPU, resume=True)
        )


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[[dict[str, list[int]]], Store]:
    """A store of flat photos, of gray levels by class."""
    from PIL import Image

    from alexnet.data.manifest import PrepareSettings
    from alexnet.data.prepare import prepare
    from alexnet.data.sources import open_source

    def make(levels: dict[str, list[int]]) -> Store:
        for split in ("train", "val"):
            for name, grays in levels.items():
                (tmp_path / "flat" / split / name).mkdir(parents=True)
                for number, gray in enumerate(grays):
                    pixels = np.full((72, 72, 3), gray, np.uint8)
                    Image.fromarray(pixels).save(tmp_path / "flat" / split / name / f"{number}.png")
        source = open_source(tmp_path / "flat")
        return prepare(source, tmp_path / "flat-store", PrepareSettings(side=72, encoding="raw"), workers=1)

    return make


def test_flat_photos_and_a_class_with_one_photo(
    tmp_path: Path, make_store: Callable[[dict[str, list[int]]], Store]
) -> None:
    flat = make_store({"dark": [10, 20, 30], "light": [200, 210, 220], "one": [128]})
    state = fitted(tmp_path / "a", flat)
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())
    net = bundle.load(find_weights(tmp_path / "a", "last"), "cpu").model
    logits = net(torch.full((2, 3, 72, 72), 5.0))
    assert logits.exp().sum(1).allclose(torch.ones(2), atol=1e-5)


def test_no_photo_gives_no_logits(tmp_path: Path, store: Store) -> None:
    fitted(tmp_path / "a", store)
    net = bundle.load(find_weights(tmp_path / "a", "last"), "cpu").model
    assert net(torch.zeros(0, 3, 72, 72)).shape == (0, tiny.CLASSES)
