"""What is attacked: a small store, a finished run, a stopped run and an exported file, and other models.

`observe_...` returns what a user would get from it, without times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tiny

import alexnet
from alexnet.analysis.features import features_of
from alexnet.checksum import Damaged
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.data.store_inspection import inspect_store
from alexnet.errors import Stopped
from alexnet.evaluation.calibration import CalibrateOptions, calibrate
from alexnet.evaluation.inference import InferenceOptions
from alexnet.fitting.fit import MODEL_FILE
from alexnet.interop.export import export
from alexnet.interop.model_repository import export_repository
from alexnet.models import bundle
from alexnet.runs.fit_record import Fit
from alexnet.runs.metrics_log import Callback, LogEvent, no_callback, read_metrics
from alexnet.runs.provenance import unfinished_note
from alexnet.runs.results import read_results
from alexnet.runs.run_dir import CHECKPOINTS, FIT_STORE, EnsembleDir, EnsembleMember, RunDir, find_weights
from alexnet.training.run import train

RUN, STOPPED, STORE, EXPORT, PHOTOS = "run", "stopped", "store", "net.safetensors", "photos"
ONNX, REPOSITORY, AVERAGE, CLASSIFIER = "net.onnx", "repository", "average", "classifier"
PIPELINE, STOPPED_PIPELINE = "pipeline", "stopped-pipeline"
AVERAGED = ("one", "other")
"""The members of `AVERAGE`."""
SETTINGS = (
    *tiny.SETTINGS,
    "schedule.epochs=3",
    "training.checkpoint_every_minutes=0",
    "training.ema_decay=0.9",
    "training.mixup=0.2",
    "training.grad_accum_steps=2",
)
_CHANNEL = {"step": 12, "patches": [16, 24], "codebook_size": 8, "pyramid": ["1x1"]}
_CHANNELS = (
    {**_CHANNEL, "descriptor": "hog", "encoding": "llc", "pca": 8},
    {**_CHANNEL, "descriptor": "sift", "encoding": "super-vector", "pca": 8},
)
PIPELINE_SETTINGS = (
    "data.image_size=72",
    "data.input_size=72",
    "training.batch_size=8",
    "training.checkpoint_every_minutes=0",
    "schedule.epochs=4",
    "classic.sample_descriptors=400",
    f"classic.channels={json.dumps(_CHANNELS)}",
)
_TIMES = ("seconds", "stage_seconds", "eta_seconds", "images_per_second", "data_wait_share", "device")
_LOGGED = ("train", "validation", "stage", "pass")
"""Events that are the same whenever a run was stopped."""


@dataclass(frozen=True)
class Subject:
    """A folder with all of them."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Subject:
        """A new one, in a few seconds."""
        subject = cls(folder)
        folder.mkdir()
        store = tiny.store(folder)
        train_here(subject, RUN)
        with contextlib.suppress(Stopped):
            train_here(subject, STOPPED, minutes=0)
        alexnet.evaluate(folder / RUN, store, device="cpu")
        calibrate(folder / RUN, store, CalibrateOptions(device="cpu"))
        features_of(RunDir(folder / RUN), store, options=InferenceOptions(device="cpu"))
        export(folder / RUN, folder / EXPORT)
        return subject

    @classmethod
    def make_models(cls, folder: Path) -> Subject:
        """Others: an ONNX file, a model repository, an ensemble, a fit, and classic pipelines."""
        subject = cls(folder)
        folder.mkdir()
        store = tiny.store(folder)
        for seed, name in enumerate(AVERAGED):
            own = (*SETTINGS, f"training.seed={seed}")
            train(tiny.RECIPE, store, folder / AVERAGE / name, *own, device="cpu")
        members = [EnsembleMember(name=name, pretraining=False) for name in AVERAGED]
        EnsembleDir(folder / AVERAGE).write(AVERAGE, members)
        export(folder / AVERAGE / AVERAGED[0], folder / ONNX)
        export_repository(folder / AVERAGE / AVERAGED[0], folder / REPOSITORY)
        alexnet.evaluate(folder / AVERAGE, store, device="cpu")
        alexnet.fit(folder / PHOTOS, folder / CLASSIFIER, minutes=0.1)
        train_pipeline_here(subject, PIPELINE)
        alexnet.evaluate(folder / PIPELINE, store, device="cpu")
        with contextlib.suppress(Stopped):
            train_pipeline_here(subject, STOPPED_PIPELINE, callback=_stop_in_the_last_channel)
        return subject

    def copy(self, folder: Path) -> Subject:
        """A copy whose photos and store are as old as the originals."""
        return Subject(shutil.copytree(self.folder, folder, symlinks=True))

    def files(self, part: str) -> list[Path]:
        """The files of a part, without TensorBoard's, which nothing reads."""
        place = self.folder / part
        if place.is_file():
            return [place]
        files = (path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
        return sorted(path for path in files if "tensorboard" not in path.parts)


def train_here(subject: Subject, name: str, resume: bool = False, minutes: float | None = None) -> Any:
    """Trains the run of that name."""
    return train(
        tiny.RECIPE,
        subject.folder / STORE,
        subject.folder / name,
        *SETTINGS,
        resume=resume,
        minutes=minutes,
        device="cpu",
    )


def train_pipeline_here(
    subject: Subject, name: str, resume: bool = False, callback: Callback = no_callback
) -> Any:
    """Trains the classic pipeline of that name."""
    return train(
        "sparse-coding",
        subject.folder / STORE,
        subject.folder / name,
        *PIPELINE_SETTINGS,
        resume=resume,
        device="cpu",
        callback=callback,
    )


def _stop_in_the_last_channel(event: LogEvent) -> None:
    """Its classifiers, which were saved after their first pass, are stopped in the second one."""
    values = event.values
    if event.event == "pass" and (values["channel"], values["number"]) == (f"channel{len(_CHANNELS)}", 2):
        raise Stopped("stopped by a test")


def digest_of(*arrays: Any) -> str:
    """A digest of arrays, tensors and other values."""
    found = hashlib.sha256()
    for each in arrays:
        found.update(np.ascontiguousarray(each).tobytes() if hasattr(each, "shape") else repr(each).encode())
    return found.hexdigest()[:16]


def without_times(values: Any) -> Any:
    """Plain values without durations."""
    if isinstance(values, dict):
        return {key: without_times(each) for key, each in values.items() if key not in _TIMES}
    return [without_times(each) for each in values] if isinstance(values, list) else values


Observer = Callable[[Subject], Any]


def observe_store(subject: Subject) -> Any:
    """All that training and testing read from the store."""
    store = Store.open(subject.folder / STORE)
    pre = Preprocessing.from_store(tiny.config().data, store)
    records = [
        (record.label, record.key, record.width, record.height, record.boxes, digest_of(bytes(record.image)))
        for split in map(store.split, store.splits)
        for record in map(split.__getitem__, range(len(split)))
    ]
    statistics = (pre.mean, pre.std, pre.eigenvalues, pre.eigenvectors, store.mean_image())
    return (
        [(each.wnid, each.name) for each in store.classes],
        digest_of(*statistics, store.channel_mean, store.color_covariance),
        records,
        (store.digest, store.side, store.manifest),
    )


def observe_prepare(subject: Subject) -> Any:
    """What `prepare` with the same photos makes of the store, and what `inspect` lists."""
    source = open_source(subject.folder / PHOTOS)
    settings = tiny.PrepareSettings(side=tiny.SIDE_PIXELS, encoding="raw")
    store = prepare(source, subject.folder / STORE, settings, workers=1)
    inspected = inspect_store(store).to_dict()
    inspected.pop("path")
    return inspected, observe_store(subject)


def observe_run(subject: Subject) -> Any:
    """What evaluating, predicting, exporting and reading the log give."""
    run, store = RunDir.open(subject.folder / RUN), Store.open(subject.folder / STORE)
    results = alexnet.evaluate(run.path, store, device="cpu")
    photo = next((subject.folder / PHOTOS).rglob("*.png"))
    last = alexnet.load(run.path, device="cpu")
    target = subject.folder / "again.safetensors"
    exported = export(run.path, target)
    best = export(run.path, target, checkpoint="best")
    environment = run.environment()
    return (
        [without_times(each.to_dict()) for each in (*results, *read_results(run.path))],
        digest_of(last.probabilities([photo])),
        repr(last.calibration),
        [digest_of(*each.model.state_dict().values()) for each in (exported, best)],
        [repr(each.provenance) for each in (exported, best)],
        without_times(read_metrics(run.metrics_file)),
        unfinished_note(run),
        run.config(),
        (environment.store_digest, environment.command, environment.packages, environment.started),
        digest_of(features_of(run, store, options=InferenceOptions(device="cpu"))),
    )


def observe_resumed(
    subject: Subject, name: str = STOPPED, train_here: Callable[..., Any] = train_here
) -> Any:
    """The stopped run trained to its end: its checkpoints, where the links point, its log, and its export.

    Damaged where the run itself has reported that its log was.
    """
    result = train_here(subject, name, resume=True)
    run = RunDir.open(subject.folder / name)
    links = [(run.checkpoints / name).resolve().name for name in CHECKPOINTS]
    exported = [export(run.path, subject.folder / "again.safetensors", name) for name in CHECKPOINTS]
    lines = read_metrics(run.metrics_file)
    if lost := [line["lines"] for line in lines if line["event"] == "lost"]:
        raise Damaged(f"{sum(lost)} lines of the log were lost, as it was logged and printed")
    log = [line for line in lines if line["event"] in _LOGGED]
    return (
        (result.step, without_times(result.errors), result.best_top1_error),
        links,
        [digest_of(*each.model.state_dict().values()) for each in exported],
        without_times(log),
        unfinished_note(run),
    )


def _observe_file(subject: Subject, name: str) -> Any:
    """What an exported file or a model repository predicts, and its metadata."""
    path = subject.folder / name
    return repr(bundle.load_metadata(find_weights(path))), _predicted(subject, name)


def _predicted(subject: Subject, name: str) -> Any:
    photo = next((subject.folder / PHOTOS).rglob("*.png"))
    predictor = alexnet.load(subject.folder / name, device="cpu")
    return digest_of(predictor.probabilities([photo])), repr(predictor.classes)


observe_export, observe_onnx = (partial(_observe_file, name=name) for name in (EXPORT, ONNX))


def observe_repository(subject: Subject) -> Any:
    """What it predicts, and its files after it was written again over what is there."""
    folder = subject.folder / REPOSITORY
    before = _observe_file(subject, REPOSITORY)
    export_repository(subject.folder / AVERAGE / AVERAGED[0], folder)
    return before, [(path.name, digest_of(path.read_bytes())) for path in subject.files(REPOSITORY)]


def observe_average(subject: Subject) -> Any:
    """Its members, what they predict together, and their errors, read and computed again."""
    folder = subject.folder / AVERAGE
    results = alexnet.evaluate(folder, Store.open(subject.folder / STORE), device="cpu")
    return (
        EnsembleDir(folder).members(),
        _predicted(subject, AVERAGE),
        [without_times(each.to_dict()) for each in (*results, *read_results(folder))],
    )


def observe_classifier(subject: Subject) -> Any:
    """What was chosen, what it predicts and when it is sure, its errors, and its one file."""
    folder = subject.folder / CLASSIFIER
    loaded = alexnet.load(folder, device="cpu")
    results = alexnet.evaluate(folder, Store.open(folder / FIT_STORE), device="cpu")
    return (
        repr(Fit.read(folder)),
        _predicted(subject, CLASSIFIER),
        repr(loaded.calibration),
        [without_times(each.to_dict()) for each in (*results, *read_results(folder))],
        _predicted(subject, f"{CLASSIFIER}/{MODEL_FILE}"),
    )


observe_stopped_pipeline = partial(observe_resumed, name=STOPPED_PIPELINE, train_here=train_pipeline_here)


def observe_pipeline(subject: Subject) -> Any:
    """What it predicts, alone and exported, its errors, and its log."""
    run = RunDir.open(subject.folder / PIPELINE)
    predicted = _predicted(subject, PIPELINE)
    results = alexnet.evaluate(run.path, Store.open(subject.folder / STORE), device="cpu")
    exported = export(run.path, subject.folder / "again.safetensors")
    return (
        predicted,
        [without_times(each.to_dict()) for each in (*results, *read_results(run.path))],
        digest_of(*exported.model.state_dict().values()),
        repr(exported.provenance),
        without_times(read_metrics(run.metrics_file)),
        run.config(),
        repr(run.environment()),
    )


OBSERVED: dict[str, tuple[Observer, ...]] = {
    STORE: (observe_store, observe_prepare),
    RUN: (observe_run,),
    STOPPED: (observe_resumed,),
    EXPORT: (observe_export,),
}
"""What is observed of each part."""
OBSERVED_OF_MODELS: dict[str, tuple[Observer, ...]] = {
    ONNX: (observe_onnx,),
    REPOSITORY: (observe_repository,),
    AVERAGE: (observe_average,),
    CLASSIFIER: (observe_classifier,),
    PIPELINE: (observe_pipeline,),
    STOPPED_PIPELINE: (observe_stopped_pipeline,),
}
"""The same of `Subject.make_models`."""
