"""Fitting a classic pipeline: a recipe and a store become a run folder. The counterpart of `loop.train`.

Channel after channel: what describes photos is learned from a sample, all photos are encoded into a file, and
classifiers read that file in passes. Memory does not grow with the number of photos.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any

import torch

from alexnet import distributed
from alexnet.classic.pipeline import Pipeline
from alexnet.classic_config import ClassicConfig
from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.data.subset import training_images
from alexnet.errors import CommandError
from alexnet.files import only_we
from alexnet.models import model_file
from alexnet.runs.folder import RunFolder
from alexnet.runs.metrics_log import MetricsLog
from alexnet.training import checkpoint, classic_sample, classic_stages
from alexnet.training.classic_state import Workplace
from alexnet.training.classic_work import Work
from alexnet.training.interruption import Interruption
from alexnet.training.loop import Evaluate, Progress, Result

STAGES: dict[str, Callable[[Work], None]] = {
    "learn": classic_stages.learn,
    "encode": classic_stages.encode,
    "classify": classic_stages.classify,
}


def fit(
    config: RunConfig,
    store: Store,
    run: RunFolder,
    *,
    evaluate: Evaluate,
    device: torch.device,
    resume: bool = False,
    minutes: float | None = None,
    progress: Progress = lambda total, done: nullcontext(lambda count=1, note="": None),
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Fits all channels, tests the pipeline and returns how it ended; everything is in the run's folder.

    `step` counts photos encoded, over all channels, and `epochs` passes of the classifiers. With `resume` it
    goes on after the last shard of photos, or the last saved pass. Stopped after saving, at a signal or after
    `minutes`. CommandError where configuration and store do not fit together; WorkError where the disk is
    full.
    """
    classic = check(config, store)
    with ExitStack() as stack:
        stack.enter_context(only_we(run.path))
        done = _finished(run, say) if resume else None
        if done is not None:
            return done
        stack.enter_context(torch.no_grad())
        place = Workplace.begin(run, store.digest, resume)
        images = len(training_images(store, config.data))
        before = place.standing.channel * images + place.standing.images
        lines = stack.enter_context(MetricsLog(run.metrics_file, run.tensorboard, before))
        model = _restored(Pipeline(classic, len(store.classes), config.data.crop), place).to(device).eval()
        interruption = stack.enter_context(Interruption(minutes))
        work = Work(config, classic, store, device, model, place, interruption, say, lines)
        work.advance = stack.enter_context(progress(images * len(classic.channels), before))
        work.log("resume" if before or place.standing.stage != "learn" else "start")
        while place.standing.channel < len(classic.channels):
            STAGES[place.standing.stage](work)
            work.stop_if_asked()
        errors = dict(evaluate(model))
        work.log("validation", **errors)
        place.save()
        result = Result(
            work.step, place.standing.passes, errors, errors["top1_error"], place.standing.seconds
        )
        _save(work, run, result)
        work.log("result", **errors, best_top1_error=result.best_top1_error, seconds=result.seconds)
    place.remove()
    return result


def check(config: RunConfig, store: Store) -> ClassicConfig:
    """What is to be fitted, if all fits together; else CommandError. Nothing is computed."""
    if config.classic is None:
        raise CommandError(f"{config.recipe} is no classic pipeline: it has no `classic`")
    if distributed.world_size() > 1:
        raise CommandError("a classic pipeline is fitted by one process: type it without torchrun")
    if len(store.classes) < 2:
        raise CommandError(f"{store.path} holds one class: there is nothing to tell apart")
    photos = len(training_images(store, config.data))
    if photos < 2:
        raise CommandError(f"{store.path} holds fewer than two training photos: prepare more")
    Preprocessing.from_store(config.data, store)
    with torch.device("meta"):
        pipeline = Pipeline(config.classic, len(store.classes), config.data.crop)
    _refuse_small_sample(config.classic.sample_descriptors, photos, pipeline)
    return config.classic


def _refuse_small_sample(wanted: int, photos: int, pipeline: Pipeline) -> None:
    """CommandError where a channel would learn from fewer descriptors than it has words."""
    for name, channel in zip(pipeline.layer_names, pipeline, strict=True):
        words, places = channel.channel.words, len(channel.descriptor.centres(pipeline.side))
        found = classic_sample.size(wanted, photos, places)
        if found < words:
            raise CommandError(
                f"{name} ({channel.channel.descriptor}) would learn {words:,} words from {found:,} "
                "descriptors: give more photos, a larger classic.sample_descriptors, or fewer words"
            )


def _finished(run: RunFolder, say: Callable[[str], None]) -> Result | None:
    """How the run ended, if it has; DataError where its checkpoint is damaged."""
    found = checkpoint.newest(run.checkpoints, say)
    return None if found is None else Result(found.meta["step"], **found.meta["result"])


def _restored(model: Pipeline, place: Workplace) -> Pipeline:
    """`model` with what its channels have learned before."""
    for number, channel in enumerate(model):
        kept = place.kept(channel=number)
        if kept and (number < place.standing.channel or place.standing.stage != "learn"):
            channel.load_state_dict(kept)
    return model


def _save(work: Work, run: RunFolder, result: Result) -> None:
    """The run's only checkpoint, its last and best."""
    write_weights = partial(
        model_file.save,
        model=work.model,
        config=work.config,
        classes=work.store.classes,
        preprocessing=Preprocessing.from_store(work.config.data, work.store),
    )
    ended: dict[str, Any] = {
        "epochs": result.epochs,
        "errors": result.errors,
        "best_top1_error": result.best_top1_error,
        "seconds": result.seconds,
    }
    checkpoint.write(run.checkpoints, result.step, write_weights, {}, {"result": ended}, best=True)
    work.log("checkpoint", best=True)
