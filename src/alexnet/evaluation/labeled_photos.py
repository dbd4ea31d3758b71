"""`alexnet.evaluate_photos`: errors of models on labeled photos that are in no store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class, check_same_classes
from alexnet.data.decode import UnreadableImage
from alexnet.data.inspect import describe_overview, overview
from alexnet.data.remote import local_source
from alexnet.data.sources import Source, SourceOptions, open_source
from alexnet.data.sources.base import SplitOrigin, existing_file, path_of
from alexnet.errors import AlexNetError, CommandError, DataError
from alexnet.evaluation import ensemble, metrics
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.run_evaluation import (
    EvaluateOptions,
    Evaluation,
    check_classifies,
    check_request,
    default_views_of,
    describe_run,
    note_unsuited,
)
from alexnet.evaluation.views import is_whole, parse_views, with_default
from alexnet.hardware import choose_device, describe_device
from alexnet.models import bundle
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import EvalResult, ViewSet
from alexnet.runs.run_dir import RunDir, find_weights, members_of
from alexnet.text import counted, first_few

ALL = "all"
"""Name of the split of photos that come without splits."""
_DEFAULTS, _AS_FOUND = EvaluateOptions(), SourceOptions()


def evaluate_photos(
    models: str | Path | Sequence[str | Path],
    photos: str | Path,
    *,
    split: str = "",
    views: str | ViewSet = "",
    source_options: SourceOptions = _AS_FOUND,
) -> list[EvalResult]:
    """The errors of models on labeled photos, in any form that `prepare` reads; nothing is prepared or saved.

    Each photo is read as `Predictor.predict` reads it. Their classes must be among the models', by WNID or
    name; not all of them need photos. `models` are run directories, ensembles, fits or exported files; of
    several, the last result is that of their mean. `split` is needed if the photos come in several.
    Photos that cannot be read are in `left_out`.

    DataError for classes that the models do not know or that differ between models, and for a file that
    cannot be opened; CommandError for an unknown split, photos without labels, or a model that does not
    predict classes; otherwise errors as `open_source`.
    """
    options = replace(_DEFAULTS, split=split, views=views)
    return [each.result for each in photo_evaluations(models, photos, options, source_options)]


def photo_evaluations(
    models: str | Path | Sequence[str | Path],
    photos: str | Path,
    options: EvaluateOptions,
    source_options: SourceOptions = _AS_FOUND,
) -> list[Evaluation]:
    """As `evaluate_photos`, with the predictions of each model and their mean."""
    listed = [Path(models)] if isinstance(models, str | Path) else list(map(Path, models))
    if options.search_weights:
        raise CommandError("weights are searched on a split of a store: type --store STORE, without --photos")
    folders = [RunDir.open(each, or_file=True) for each in members_of(listed)]
    check_request(folders, options.mean, options.weights, "")
    check_classifies(folders, options.checkpoint)
    source = open_source(local_source(photos, log=options.log), 0, source_options)
    source = _with_one_split(source, options.split)
    classes = _classes_of(folders, options.checkpoint)
    labels = _labels_in(classes, source)
    for line in describe_overview(overview(source)):
        options.log(line)
    views = with_default(parse_views(options.views), default_views_of(listed, options.checkpoint))
    note_unsuited(folders, views, options.log)
    device = choose_device(options.device)
    evaluations: list[Evaluation] = []
    for folder in folders:
        weights = find_weights(folder.path, options.checkpoint)
        predictor = Predictor(bundle.load(weights, device), options.batch_size)
        made, left_out = _predictions(predictor, source, labels, views, options, folder.path.name)
        result = replace(_result(made, source, left_out), runs=(describe_run(folder, options.checkpoint),))
        evaluations.append(Evaluation(result, made))
    if len(folders) == 1:
        return evaluations
    of, weights = cast(ensemble.Of, options.mean), tuple(options.weights) or None
    members = [each.predictions for each in evaluations]
    together = ensemble.mean(members, weights, of)
    result = replace(
        _result(together, source, evaluations[0].result.left_out),
        runs=tuple(run for each in evaluations for run in each.result.runs),
        mean=of,
        weights=weights,
        growth=tuple(ensemble.growth(members, weights, of)),
    )
    return [*evaluations, Evaluation(result, together)]


def _with_one_split(source: Source, wanted: str) -> Source:
    """The source with only the split to test: `wanted`, by its own name, or the only labeled one."""
    names: dict[str, str] = {}
    for name in source.splits:
        origin = source.origins.get(name)
        names[(origin.published_as if origin is not None else "") or name] = name
    labeled = [each for each, name in names.items() if not (source.splits[name].labels == NO_LABEL).any()]
    if wanted and wanted not in names:
        raise CommandError(f"{source.path} has no split {wanted!r}; choose from: {', '.join(names)}")
    if not wanted and len(labeled) > 1:
        raise CommandError(
            f"{source.path} has the splits {', '.join(labeled)}: choose the one to test with --split"
        )
    if not wanted and not labeled:
        raise CommandError(f"{source.path} has no labeled photos: alexnet predict classifies photos")
    name = names[wanted or labeled[0]]
    if not len(source.splits[name]):
        raise DataError(f"{source.path} has no photos in its split {wanted or labeled[0]}")
    metrics.refuse_unlabeled(wanted or name, source.splits[name].labels)
    shown = wanted or (labeled[0] if len(names) > 1 else ALL)
    origin = replace(source.origins.get(name, SplitOrigin()), published_as="")
    return replace(source, splits={shown: source.splits[name]}, origins={shown: origin})


def _classes_of(folders: Sequence[RunDir], checkpoint: str) -> list[Class]:
    """The classes of the models; DataError if they differ."""
    first, *others = [bundle.load_metadata(find_weights(each.path, checkpoint)).classes for each in folders]
    for folder, other in zip(folders[1:], others, strict=True):
        check_same_classes(first, other, f"classes of {folders[0].path} and {folder.path}")
    return first


def _labels_in(classes: Sequence[Class], source: Source) -> npt.NDArray[np.int64]:
    """(classes of the source,) the model's label of each, by WNID, else by name."""
    by_wnid = {each.wnid: label for label, each in enumerate(classes)}
    by_name = {each.name.casefold(): label for label, each in enumerate(classes)}
    found = [by_wnid.get(each.wnid, by_name.get(each.name.casefold())) for each in source.classes]
    unknown = [each.name for each, label in zip(source.classes, found, strict=True) if label is None]
    if unknown:
        known = first_few([each.name for each in classes], 10)
        raise DataError(
            f"{source.path} has {counted(len(unknown), 'class')} that the model does not know: "
            f"{first_few(unknown, 5)}. Its classes are: {known}"
        )
    return np.array(found, np.int64)


def _predictions(
    predictor: Predictor,
    source: Source,
    labels: npt.NDArray[np.int64],
    views: ViewSet,
    options: EvaluateOptions,
    name: str,
) -> tuple[Predictions, tuple[str, ...]]:
    """The probabilities of all photos that can be read, and the others with the reason."""
    ((split_name, split),) = source.splits.items()
    start, device = time.perf_counter(), describe_device(predictor.device)
    read: list[int] = []
    unreadable: dict[int, UnreadableImage] = {}

    def files() -> Iterator[bytes]:
        """Only those of one pass are in memory at a time."""
        for index in range(len(split)):
            try:
                file = split[index].image
            except UnreadableImage as error:
                unreadable[index] = error
                continue
            read.append(index)
            yield file

    rows: dict[int, npt.NDArray[np.float32]] = {}
    with options.progress(f"testing {name} on {device}", len(split)) as advance:
        for number, row in enumerate(predictor.rows(files(), views)):
            advance(1)
            if isinstance(row, UnreadableImage):
                unreadable[read[number]] = row
            elif isinstance(row, AlexNetError):
                raise row
            else:
                rows[read[number]] = row
    left_out = tuple(f"{split.key(index)} ({unreadable[index]})" for index in sorted(unreadable))
    if not rows:
        raise DataError(f"none of the {len(split):,} photos of {source.path} can be read: {left_out[0]}")
    numbers = list(rows)
    made = Predictions(
        split=split_name,
        views=views,
        keys=np.array([split.key(index) for index in numbers]),
        classes=np.array([each.wnid for each in predictor.classes]),
        names=np.array([each.name for each in predictor.classes]),
        probabilities=np.stack([rows[index] for index in numbers]),
        labels=labels[split.labels[numbers]],
        seconds=time.perf_counter() - start,
        device=device,
    )
    return made, left_out


def _result(made: Predictions, source: Source, left_out: tuple[str, ...]) -> EvalResult:
    (split,), found = source.splits.values(), metrics.evaluate_predictions(made)
    wrong = {each.key for each in found.mistakes}
    files = {
        key: existing_file(source.path, path_of(split, index))
        for index in range(len(split))
        if (key := split.key(index)) in wrong
    }
    return replace(
        found,
        mistakes=tuple(replace(each, file=files[each.key]) for each in found.mistakes),
        store=source.path.resolve().name,
        photos="whole" if is_whole(made.views) else "square",
        left_out=left_out,
    )
