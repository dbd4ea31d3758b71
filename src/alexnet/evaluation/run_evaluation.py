"""`alexnet.evaluate`: the errors of runs on a split, and those of their ensemble."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from alexnet import distributed
from alexnet.checksum import with_checksum
from alexnet.config import RunConfig
from alexnet.data.classes import check_same_classes
from alexnet.data.crops import default_views
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.evaluation import ensemble, metrics
from alexnet.evaluation.inference import BATCH_SIZE, DEFAULTS, InferenceOptions
from alexnet.evaluation.prediction_cache import cached_predictions
from alexnet.evaluation.views import is_whole, parse_views, with_default
from alexnet.hardware import choose_device, describe_device
from alexnet.io import write_json
from alexnet.models import bundle
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.runs.calibration import read_calibration
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import position, unfinished_note
from alexnet.runs.results import EVALUATION_FILE, EvalResult, EvaluatedRun, ViewSet, read_results
from alexnet.runs.run_dir import FIT_STORE, RunDir, find_weights, is_ensemble, is_fit, members_of, model_name
from alexnet.tasks.base import task_of
from alexnet.tasks.classification import Classification
from alexnet.tasks.config import task_info
from alexnet.text import duration

LONG_TEST_SECONDS, TIMED_SECONDS = 60.0, 2.0
"""A test that takes longer is announced, and how long images are timed for that."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How runs are tested."""

    split: str = ""
    """Empty for `test` of a fit, whose `val` chose it, else `val`."""
    views: str | ViewSet = ""
    """A `ViewSet` or its text, such as `ten` or `dense@256,288`; empty for those that suit the models."""
    checkpoint: str = "last"
    """`last` or `best`."""
    mean: str = "probabilities"
    """What is averaged over several runs: `probabilities` or `logits`."""
    weights: Sequence[float] = ()
    """One for each run."""
    search_weights: str = ""
    """A split: the weights of the lowest loss on its images are used."""
    device: str | torch.device = "auto"
    batch_size: int = BATCH_SIZE
    """Crops in one pass."""
    progress: ProgressBar = no_progress_bar
    log: Callable[[str], None] = lambda line: None
    """Receives notes, such as that a run is unfinished."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A result and the predictions that it was computed from."""

    result: EvalResult
    predictions: Predictions


@dataclass(frozen=True)
class _Test:
    """How each run is tested."""

    store: Store
    views: ViewSet
    checkpoint: str
    device: torch.device
    batch_size: int
    progress: ProgressBar
    log: Callable[[str], None]


def evaluate(
    runs: str | Path | Sequence[str | Path],
    store: str | Path | Store | None = None,
    *,
    split: str = "",
    views: str | ViewSet = "",
    checkpoint: str = "last",
    mean: str = "probabilities",
    weights: Sequence[float] = (),
    search_weights: str = "",
    device: str | torch.device = "auto",
    batch_size: int = BATCH_SIZE,
    progress: ProgressBar = no_progress_bar,
    log: Callable[[str], None] = lambda line: None,
) -> list[EvalResult]:
    """The result of each run; for several runs, or an ensemble, the last one is the result of their mean.

    `runs` are run directories, directories of ensembles, or exported files. Without a store, the one that
    the first of them was trained on is used. The other parameters are described in `EvaluateOptions`.
    Predictions are averaged over the views, and over the runs.

    Predictions are saved in `RUN/predictions` and reused as long as the run is unchanged. Each run's result
    is saved in `RUN/evaluation.json`, that of an ensemble in its own directory. Nothing is saved for exported
    files. Under `torchrun` and `srun` the processes share the images, and all return the same.

    CommandError if a model does not support these views, the runs cannot be averaged, or images have no
    labels; DataError if the store's classes or form are not the models'; WorkError if a probability is NaN or
    Inf.
    """
    options = EvaluateOptions(
        split=split,
        views=views,
        checkpoint=checkpoint,
        mean=mean,
        weights=weights,
        search_weights=search_weights,
        device=device,
        batch_size=batch_size,
        progress=progress,
        log=log,
    )
    return [each.result for each in evaluate_runs(runs, store, options)]


def evaluate_runs(
    runs: str | Path | Sequence[str | Path], store: str | Path | Store | None, options: EvaluateOptions
) -> list[Evaluation]:
    """As `evaluate`, with the predictions of each run and their mean."""
    listed = [Path(runs)] if isinstance(runs, str | Path) else list(map(Path, runs))
    chosen, checkpoint = choose_device(options.device), options.checkpoint
    split = options.split or ("test" if all(map(is_fit, listed)) else "val")
    search_weights, weights, mean = options.search_weights, options.weights, options.mean
    _refuse_search(split, search_weights, weights)
    with distributed.running(chosen):
        opened = opened_store(store, listed)
        folders = [RunDir.open(run, or_file=True) for run in members_of(listed)]
        for tested in filter(None, (split, search_weights)):
            metrics.refuse_unlabeled(tested, opened.split(tested).labels)
        wanted = parse_views(options.views)
        check_request(folders, mean, weights, search_weights)
        check_run_classes(folders, opened, checkpoint)
        wanted = with_default(wanted, default_views_of(listed, checkpoint))
        note_unsuited(folders, wanted, options.log)
        _note_trained_on(folders, split, checkpoint, options.log)
        test = _Test(opened, wanted, checkpoint, chosen, options.batch_size, options.progress, options.log)
        members = [_class_predictions(folder, test, split) for folder in folders]
        results = [_evaluate_run(*each, test) for each in zip(folders, members, strict=True)]
        evaluations = list(map(Evaluation, results, members))
        if len(folders) == 1 and not is_ensemble(listed[0]):
            return evaluations
        of = cast(ensemble.Of, mean)
        chosen_weights = tuple(weights) or None
        if search_weights:
            elsewhere = [_class_predictions(folder, test, search_weights) for folder in folders]
            chosen_weights = ensemble.search_weights(elsewhere, of)
        together = ensemble.mean(members, chosen_weights, of)
        result = replace(
            with_origin(metrics.evaluate_predictions(together), opened, folders, checkpoint),
            mean=of,
            weights=chosen_weights,
            weights_searched_on=search_weights or None,
            growth=tuple(ensemble.growth(members, chosen_weights, of)),
            classifies=all(each.classifies for each in results),
        )
        if len(listed) == 1 and distributed.is_main():
            record(listed[0], result)
        return [*evaluations, Evaluation(result, together)]


def opened_store(store: str | Path | Store | None, runs: Sequence[Path]) -> Store:
    """The store itself; without one, the store that the first of the runs was trained on.

    CommandError if that no longer exists, or is not known.
    """
    if store is not None:
        return store if isinstance(store, Store) else Store.open(Path(store))
    if is_fit(runs[0]):
        return Store.open(runs[0] / FIT_STORE)
    run = RunDir.open(members_of(runs)[0], or_file=True)
    place = "" if run.is_exported else run.environment().store_path
    if not place or not Path(place).is_dir():
        gone = (
            f"the store of {runs[0]}, {place}, no longer exists"
            if place
            else f"the store of {runs[0]} is unknown"
        )
        raise CommandError(f"{gone}: type --store STORE")
    return Store.open(Path(place))


def class_predictions(
    run: RunDir, store: Store, split: str, views: ViewSet, options: InferenceOptions = DEFAULTS
) -> Predictions:
    """The run's class probabilities, as `cached_predictions`; any model has them."""
    task = Classification(trained_config(run, options.checkpoint), len(store.classes))
    return cached_predictions(task, run, store, split, views, options)


def trained_config(run: RunDir, checkpoint: str = "last") -> RunConfig:
    """The configuration that is saved with the run's weights."""
    return bundle.load_metadata(find_weights(run.path, checkpoint)).config


def check_classifies(runs: Sequence[RunDir], checkpoint: str = "last") -> None:
    """CommandError for a run whose model was not trained to predict classes."""
    for run in runs:
        if not task_info(trained_config(run, checkpoint).training.loss).classifies:
            raise CommandError(
                f"{run.path} was not trained to predict classes: leave it out, or use alexnet predict"
            )


def check_run_classes(runs: Sequence[RunDir], store: Store, checkpoint: str = "last") -> None:
    """DataError, before any image is tested, where a run's classes are not the store's."""
    for run in runs:
        classes = bundle.load_metadata(find_weights(run.path, checkpoint)).classes
        if {each.wnid for each in classes} != {each.wnid for each in store.classes}:
            check_same_classes(store.classes, classes, f"classes of {store.path} and {run.path}")


def default_views_of(models: Sequence[Path], checkpoint: str = "last") -> ViewSet:
    """The default views of runs, exported files or an ensemble: those for which a single one was calibrated,
    else those of `uncalibrated_views_of`.
    """
    if len(models) == 1 and checkpoint == "last":
        members = members_of(models)
        place = RunDir.open(members[0], or_file=True) if len(members) == 1 else RunDir(models[0])
        calibration = (
            bundle.load_metadata(place.path).calibration if place.is_exported else read_calibration(place)
        )
        if calibration is not None:
            return calibration.views
    return uncalibrated_views_of(models, checkpoint)


def uncalibrated_views_of(models: Sequence[Path], checkpoint: str = "last") -> ViewSet:
    """The default views of models without a calibration: those of their task if all have the same, else
    crops.
    """
    members = [RunDir.open(each, or_file=True) for each in members_of(models)]
    found = [bundle.load_metadata(find_weights(each.path, checkpoint)) for each in members]
    names = {task_info(each.config.training.loss).default_views for each in found}
    if len(names) == 1 and (name := names.pop()):
        return ViewSet(name)
    return ViewSet(default_views(all(each.config.data.mirror for each in found)))


def with_origin(
    result: EvalResult, store: Store, runs: Sequence[RunDir], checkpoint: str = "last"
) -> EvalResult:
    """`result` with the runs that were tested, and on which store.

    `photos` are `whole` where more than their central square was tested. `left_out` lists the split's photos
    that `prepare` could not read, which are not tested. Mistakes get the files of the photos.
    """
    whole = store.manifest.shape == "whole" and is_whole(result.views)
    files = store.photo_files(result.split, [each.key for each in result.mistakes])
    return replace(
        result,
        photos="whole" if whole else "square",
        store=store.path.resolve().name,
        store_digest=store.digest,
        mistakes=tuple(replace(each, file=file) for each, file in zip(result.mistakes, files, strict=True)),
        left_out=tuple(
            f"{photo.key} ({photo.reason})"
            for photo in store.manifest.unreadable
            if photo.split == result.split
        ),
        runs=tuple(describe_run(run, checkpoint) for run in runs),
    )


def record(folder: Path, result: EvalResult) -> None:
    """Adds a result to the folder's `evaluation.json`; it replaces one for the same data and views.

    Another checkpoint, or another way of averaging, has a separate entry. Nothing is recorded for an exported
    file.
    """
    if folder.is_file():
        return
    kept = [old for old in read_results(folder) if _identity(old) != _identity(result)]
    entries = [with_checksum(each.to_dict()) for each in (*kept, result)]
    write_json(folder / EVALUATION_FILE, entries)


def _identity(result: EvalResult) -> tuple[object, ...]:
    return (
        *(result.store_digest, result.split, result.views, result.runs[0].checkpoint),
        *(result.mean, result.weights, result.weights_searched_on),
    )


def note_unsuited(folders: Sequence[RunDir], views: ViewSet, log: Callable[[str], None]) -> None:
    """Logs which runs are unfinished, and which were trained without mirroring but get mirrored views."""
    if not distributed.is_main():
        return
    for note in filter(None, map(unfinished_note, folders)):
        log(note)
    for folder in folders if views.name != "center" else ():
        if not folder.is_exported and not folder.config().data.mirror:
            log(
                f"note: {folder.path.name} was trained without mirroring, but half of the views {views.name} "
                "are mirrored; --views center has none"
            )


def _evaluate_run(run: RunDir, predictions: Predictions, test: _Test) -> EvalResult:
    """The errors of the class probabilities with the metrics of the run's task; recorded in its folder."""
    task = task_of(trained_config(run, test.checkpoint), len(test.store.classes))
    errors = replace(metrics.evaluate_predictions(predictions), classifies=task.info.classifies)
    result = with_origin(errors, test.store, [run], test.checkpoint)
    views, split = task.own_views(test.views), predictions.split
    if views is not None:
        with _bar(f"{task.suffix.strip('-')} of {run.path.name}", test, split) as advance:
            own = cached_predictions(task, run, test.store, split, views, _options(test, split, advance))
        result = task.add_metrics(result, own, test.store)
    if distributed.is_main():
        record(run.path, result)
    return result


def _class_predictions(run: RunDir, test: _Test, split: str) -> Predictions:
    with _bar(f"testing {run.path.name} on {describe_device(test.device)}", test, split) as advance:
        return class_predictions(run, test.store, split, test.views, _options(test, split, advance))


def _options(test: _Test, split: str, progress: Callable[[int], None]) -> InferenceOptions:
    announced = announcing(progress, len(test.store.split(split)), test.views, test.log)
    return InferenceOptions(test.checkpoint, test.device, test.batch_size, announced)


def announcing(
    progress: Callable[[int], None],
    images: int,
    views: ViewSet,
    log: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[int], None]:
    """`progress`, which after the first batches also logs how long the test takes, if that is long.

    The first batch includes start-up and is not counted.
    """
    started: float | None = None
    counted, decided = 0, not distributed.is_main()

    def advance(count: int) -> None:
        nonlocal started, counted, decided
        progress(count)
        if started is None:
            started = clock()
            return
        counted += count
        seconds = clock() - started
        if decided or seconds < TIMED_SECONDS:
            return
        decided = True
        whole = seconds * images / (counted * distributed.world_size())
        if whole > LONG_TEST_SECONDS:
            shorter = "" if views.name == "center" else "; --views center is faster"
            shorter = "; --views center takes a tenth of that" if views.name == "ten" else shorter
            what = f"{images:,} images with the views {views}"
            log(f"note: testing {what} takes about {duration(whole)}{shorter}")

    return advance


def _bar(title: str, test: _Test, split: str) -> AbstractContextManager[Callable[[int], None]]:
    """The main process's progress over its share of the images."""
    images = len(test.store.split(split)) // distributed.world_size()
    return (test.progress if distributed.is_main() else no_progress_bar)(title, images)


def _refuse_search(split: str, search_weights: str, weights: Sequence[float]) -> None:
    if search_weights and weights:
        raise CommandError("--weights and --search-weights exclude each other: use one of them")
    if search_weights == split:
        raise CommandError(
            f"errors on {split} would be optimistic with weights searched there: search on another split, "
            "such as --search-weights train"
        )


def check_request(
    folders: Sequence[RunDir], mean: str, weights: Sequence[float], search_weights: str
) -> None:
    """CommandError, before a model is loaded, if the runs cannot be tested or averaged in this way."""
    places = [folder.path.resolve() for folder in folders]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise CommandError(
            f"{twice.name} occurs twice: type each run once, and use --weights to let it count more"
        )
    if search_weights and len(folders) == 1:
        raise CommandError("--search-weights is for several runs, but there is only one")
    ensemble.check_averaging(len(folders), weights or None, mean)


def _note_trained_on(
    folders: Sequence[RunDir], split: str, checkpoint: str, log: Callable[[str], None]
) -> None:
    """Logs which runs were trained on the split: their errors there are training errors."""
    trained = [each for each in folders if split in trained_config(each, checkpoint).data.train_splits]
    if trained and split != "train" and distributed.is_main():
        names = " and ".join(each.path.name for each in trained)
        were = "was" if len(trained) == 1 else "were"
        log(f"note: {names} {were} trained on {split}: the error there is a training error")


def describe_run(run: RunDir, checkpoint: str) -> EvaluatedRun:
    """What is known about the training of a run or an exported file."""
    if run.is_exported:
        return _describe_exported(run)
    config, imported = run.config(), run.environment().imported is not None  # neither is known for these
    reached, epochs = position(run, checkpoint), config.schedule.epochs
    if reached.epoch is not None:
        epochs = reached.epoch
    elif log := read_metrics(run.metrics_file):
        epochs = log[-1]["epoch"]  # a pipeline's classifiers may have stopped early
    return EvaluatedRun(
        run=run.path.resolve().name,
        recipe=config.recipe,
        epochs=None if imported else epochs,
        updates=reached.step,
        seed=None if imported else config.training.seed,
        checkpoint=checkpoint,
    )


def _describe_exported(run: RunDir) -> EvaluatedRun:
    """The same, from the file's metadata."""
    metadata = bundle.load_metadata(run.path)
    config, known = metadata.config, metadata.provenance
    if known is None:  # a checkpoint's own file
        epochs, seed = config.schedule.epochs, config.training.seed
        return EvaluatedRun(model_name(run.path), config.recipe, epochs, seed, "last")
    return EvaluatedRun(
        run=model_name(run.path),
        recipe=config.recipe,
        epochs=known.epochs,
        updates=known.updates,
        seed=known.seed,
        checkpoint=known.checkpoint,
    )
