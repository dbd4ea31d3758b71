"""A whole report: the common part, then a section for each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from alexnet.data.store import Store
from alexnet.errors import AlexNetError
from alexnet.evaluation import run_evaluation
from alexnet.models.summary import summarize
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.report import run_details
from alexnet.report.comparison import (
    ComparisonRow,
    comparable_rows,
    comparison,
    comparison_rows,
    task_tables,
)
from alexnet.report.evaluation_tables import detection_table, growth_table, localization_table
from alexnet.report.page import Commands, Folded, Missing, Part, Section, page
from alexnet.report.sections import evaluation
from alexnet.report.sections.fit import choice, labels_to_check, photos
from alexnet.report.sections.model import Keep, ModelFigures, Options, drawn
from alexnet.report.sections.subjects import Subject, refuse_different_data, subjects_of
from alexnet.runs.fit_record import Fit
from alexnet.runs.metrics_log import has_finished, training_seconds
from alexnet.runs.provenance import stale_note, training_progress
from alexnet.runs.run_dir import FIT_STORE, RunDir, is_fit
from alexnet.tasks.config import task_info
from alexnet.text import counted

DETAILED = 3
"""Default number of models (the first ones) for which the slowest figures are made."""


def build_report(
    paths: Sequence[Path],
    store: Store | None = None,
    device: torch.device | str = "auto",
    progress_bar: ProgressBar = no_progress_bar,
    detailed: int = DETAILED,
    keep: Keep = lambda name, figure: None,
) -> str:
    """One HTML page about runs, exported files, ensembles and results of `alexnet.evaluate_model`, with
    photos from `store`.

    For the first `detailed` models it also shows what they compute; `keep` receives each figure. Without a
    store, that of each run is used if it still exists. CommandError if a path is not a run or occurs twice;
    DataError if they were trained on different data, or `store` has other classes.
    """
    options = Options(device, progress_bar, keep)
    with TemporaryDirectory() as copies:
        models, sections = _build(subjects_of(paths, Path(copies)), store, detailed, options)
        sections[1:1] = [each for path in paths if is_fit(path) for each in _fit_sections(path, keep)]
        return page(f"Report: {_named(evaluation.distinct_names(paths))}", _lead(models), sections)


def _build(
    subjects: Sequence[Subject], store: Store | None, detailed: int, options: Options
) -> tuple[list[ModelFigures], list[Section]]:
    """The models, and the sections: first the errors, then curves, then the models."""
    refuse_different_data(subjects)
    with_weights = [each for each in subjects if each.weights]
    if store is not None:
        run_evaluation.check_run_classes([RunDir(each.original) for each in with_weights], store)
    labels = evaluation.distinct_names([each.original for each in subjects])
    first = [each for each in subjects if each.kind != "ensemble"][:detailed]
    models = [
        ModelFigures(each, _store_for(each, subjects, store), options, label, each in first)
        for each, label in zip(subjects, labels, strict=True)
    ]
    several = sum(_has_curves(each.subject) for each in models) > 1
    sections = [
        _errors(models, options.keep),
        *_training(models, options.keep),
        *(_model(each, several and _has_curves(each.subject)) for each in models),
    ]
    return models, sections


def _fit_sections(path: Path, keep: Keep) -> list[Section]:
    fit, store = Fit.read(path), Store.open(path / FIT_STORE)
    views = run_evaluation.default_views_of([path])
    return [photos(fit, store), choice(fit, views), *labels_to_check(fit, store, keep)]


def _store_for(subject: Subject, subjects: Sequence[Subject], given: Store | None) -> Store | None:
    """The given store, or the store that a run was trained on if another or none was given."""
    if subject.kind == "ensemble":
        members = [each for each in subjects if each.original in subject.members]
        return given or next(filter(None, (each.found_store() for each in members)), None)
    if given is not None and given.digest == subject.store_digest:
        return given
    return subject.found_store() or given


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 3 else f"{labels[0]}, {labels[1]} and {len(labels) - 2} more"


def _lead(models: Sequence[ModelFigures]) -> list[str]:
    """Data, classes and date."""
    stores = list(dict.fromkeys(filter(None, (each.subject.store_name for each in models))))
    classes = next((each.subject.classes for each in models if each.subject.classes), [])
    opened = next((each.store for each in models if each.store is not None), None)
    data = [f"Data: {', '.join(stores) or 'unknown'}"]
    if classes:
        data.append(f"{len(classes):,} classes")
    if opened is not None:
        data += [f"{len(opened.split(name)):,} images in {name}" for name in opened.manifest.splits]
    names = ", ".join(each.name.partition(",")[0] for each in classes[:12])
    more = f" and {len(classes) - 12:,} more" if len(classes) > 12 else ""
    return [
        f"{', '.join(data)}.",
        *([f"Classes: {names}{more}."] if names else []),
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
    ]


def _errors(models: Sequence[ModelFigures], keep: Keep) -> Section:
    """Errors with published ones, as tables and bars, and which models have not been evaluated."""
    evaluated = [each for each in models if each.subject.results]
    parts: list[Part] = []
    if evaluated:
        rows = comparison_rows(each.subject.path for each in evaluated)
        theirs = comparable_rows(rows)
        parts += [comparison(rows, theirs), *task_tables(rows), *_bars(evaluated, rows, keep)]
    for each in evaluated:
        for result in each.subject.results:
            parts += (
                [growth_table(result, each.label)] if len(result.growth) > 1 and result.classifies else []
            )
            parts += [localization_table(result)] if result.localization else []
            parts += [detection_table(result)] if result.detection else []
    for each in models:
        origin = each.subject.origin
        if each.subject.kind == "file" and origin is not None and origin.errors:
            parts.append(run_details.exported_errors(origin.errors))
        elif not each.subject.results:
            place = "STORE" if each.store is None else each.store.path
            command = f"alexnet evaluate {each.subject.original} --store {place}"
            why = "contains no errors" if each.subject.kind == "file" else "has not been evaluated yet"
            parts.append(Missing(f"{each.label} {why}: type {command} for its errors."))
    return Section("Errors", parts)


def _bars(evaluated: Sequence[ModelFigures], rows: Sequence[ComparisonRow], keep: Keep) -> list[Part]:
    """The rows as bars, without models that predict boxes: they were not trained for the errors of classes
    alone.
    """
    box_models = [each for each in evaluated if _predicts_boxes(each.subject)]
    classifiers = [each for each in evaluated if each not in box_models and each.classifies]
    all_classify = len(classifiers) == len(evaluated)
    bars = rows if all_classify else comparison_rows(each.subject.path for each in classifiers)
    parts: list[Part] = []
    if box_models:
        names = ", ".join(each.label for each in box_models)
        parts.append(
            Missing(
                f"The errors of {names} above are those of classes alone. Their localization or detection "
                "errors are in separate tables, without bars."
            )
        )
    return [
        *([drawn(lambda: evaluation.error_bars(bars), "bars of errors", keep)] if classifiers else []),
        *parts,
    ]


def _predicts_boxes(subject: Subject) -> bool:
    return subject.config is not None and task_info(subject.config.training.loss).predicts_boxes


def _training(models: Sequence[ModelFigures], keep: Keep) -> list[Section]:
    """The training curves of all runs in one figure, and the differences of their configurations."""
    runs = [each for each in models if each.subject.kind == "run"]
    if not runs:
        return []
    with_curves = [each.subject.path for each in runs if _has_curves(each.subject)]
    parts: list[Part] = []
    if with_curves:
        caption = (
            "Errors during training are measured with one center view, those of detectors on whole photos; "
            "the table of errors may use more views."
        )
        parts.append(drawn(lambda: evaluation.curves(with_curves), "curves", keep, caption))
    without = [each for each in runs if not _has_curves(each.subject) and _has_epochs(each.subject)]
    parts += [Missing(f"{each.label} has no curves: {_why_no_curves(each.subject)}.") for each in without]
    if len(runs) > 1:
        configs = {each.label: each.subject.config for each in runs if each.subject.config is not None}
        parts.append(run_details.between_runs(configs))
    return [Section("Training", parts)] if parts else []


def _has_epochs(subject: Subject) -> bool:
    """Whether it is trained in epochs; a classic pipeline and a last layer alone are fitted in one step."""
    config = subject.config
    return config is None or (config.classic is None and config.schedule.epochs > 0)


def _has_curves(subject: Subject) -> bool:
    return any(line["event"] == "train" and "loss" in line for line in subject.log)


def _why_no_curves(subject: Subject) -> str:
    if subject.environment.imported is not None:
        return "its weights were imported"
    return "nothing has been logged yet" if not subject.log else "its log has no losses"


def _model(model: ModelFigures, curves: bool) -> Section:
    """The section of one model, with its own curves if other runs are drawn in the common figure."""
    subject = model.subject
    parts: list[Part] = [_state(model), *_stale(model), *model.missing(), *_size(subject)]
    inner = [*([_curves(model)] if curves else []), *model.sections(), *_facts(model)]
    return Section(model.label, parts, inner)


def _curves(model: ModelFigures) -> Section:
    figure = drawn(
        lambda: evaluation.curves([model.subject.path]), "curves", model.options.keep, of=model.label
    )
    return Section("Curves", [figure])


def _stale(model: ModelFigures) -> list[Part]:
    """A sentence if the run was trained further after it was evaluated."""
    if model.result is None or model.subject.kind != "run":
        return []
    note = stale_note(model.subject.run, model.result)
    return (
        [Missing(f"{note}: evaluate it again to get the errors of the model that is shown here.")]
        if note
        else []
    )


def _state(model: ModelFigures) -> str:
    """A description of the model and of how far it was trained."""
    subject = model.subject
    if subject.kind == "ensemble":
        names = ", ".join(path.name for path in subject.members) or "none yet"
        unfinished = "" if subject.is_whole else " Not all of its models are trained to the end yet."
        return f"An ensemble of the models {names}.{unfinished}"
    if subject.kind == "results":
        names = ", ".join(dict.fromkeys(run.run for each in subject.results for run in each.runs))
        return f"Results of the model {names}, which was tested with alexnet.evaluate_model."
    recipe = subject.config.recipe if subject.config is not None else "unknown"
    if subject.kind == "file":
        return f"An exported model of the recipe {recipe}; such a file has no log and no predictions."
    if subject.environment.imported is not None:
        return f"Weights trained by another program, imported as {recipe}."
    reached = training_progress(subject.run)
    if reached:
        return (
            f"Recipe {recipe}, still in training or stopped; shown as of {reached}. "
            f"{_part_of_the_photos(subject)}If it was stopped, resume it with the command that trained it "
            "and --resume."
        )
    seconds = training_seconds(subject.run.metrics_file)
    device = subject.environment.device
    took = f"{seconds / 60:,.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    last, on = subject.log[-1], f" on {device}" if device else ""
    if subject.config is not None and subject.config.classic is not None:
        work = f"{last['step']:,} encoded photos, at most {last['epoch']:,} epochs of its classifiers"
        return f"Recipe {recipe}, fitted to the end: {work}, {took}{on}."
    if not last["epoch"]:
        work = "logistic regression on the features below its last layer"
        return f"Recipe {recipe}, {work}, {took}{on}. {_part_of_the_photos(subject)}".rstrip()
    stopped = [line for line in subject.log if line["event"] == "early-stop" and line["step"] == last["step"]]
    end = (
        f"stopped early, {stopped[-1]['waited']} validations after its best one"
        if stopped
        else "trained to the end"
    )
    return (
        f"Recipe {recipe}, {end}: {counted(last['epoch'], 'epoch')}, "
        f"{counted(last['step'], 'update')}, {took}{on}. {_part_of_the_photos(subject)}".rstrip()
    )


def _part_of_the_photos(subject: Subject) -> str:
    """A sentence, with a space after it, if only a part of the training images was used; else empty."""
    used = subject.config.data.max_images if subject.config is not None else 0
    return (
        f"It was trained on {used:,} of the training images; nearest images are searched among all of them. "
        if used
        else ""
    )


def _size(subject: Subject) -> list[Part]:
    """Parameters and multiply-adds, in total and by layer."""
    if subject.config is None or not subject.classes:
        return []
    try:
        summary = summarize(subject.config, len(subject.classes))
    except AlexNetError as error:
        return [Missing(f"No count of its parameters: {error}.")]
    size = subject.config.data.input_size
    total = (
        f"{summary.parameters:,} parameters, {summary.multiply_adds:,} multiply-adds for one view of "
        f"{size} x {size} pixels."
    )
    parts = "By layer" if subject.config.classic is None else "By channel"
    return [total, Folded(parts, run_details.layers(summary))]


def _facts(model: ModelFigures) -> Iterable[Section]:
    """Configuration, environment, terms and commands."""
    subject, config, imported = model.subject, model.subject.config, model.subject.environment.imported
    if config is not None:
        table = Folded(f"All fields of {model.label}", run_details.configuration(config))
        yield Section("Configuration", [run_details.recipe_changes(config), table])
    facts = run_details.environment(subject.environment)
    if facts.rows:
        changes = run_details.uncommitted_changes(subject.environment)
        folded = [Folded("Uncommitted changes of the program", Commands(changes))] if changes else []
        yield Section("Environment", [facts, *folded])
    if subject.weights:
        yield Section("Provenance and terms", [run_details.terms(subject.weights.terms, subject.origin)])
    if subject.kind == "run" and imported is None:
        manifest = None if model.store is None else model.store.manifest
        lines = run_details.commands(
            subject.command,
            run=str(subject.original),
            store=subject.environment.store_path,
            store_digest=subject.store_digest,
            results=subject.results,
            manifest=manifest,
            image_size=None if config is None else config.data.image_size,
        )
        form = "" if manifest is None else f" The photos were read as {manifest.source.form}."
        note = (
            [f"SOURCE stands for the location of the photos.{form}"]
            if any("SOURCE" in line for line in lines)
            else []
        )
        again = [] if has_finished(subject.run.metrics_file) else ["Its training has not reached the end."]
        yield Section("Commands to reproduce this run", [*note, Commands(lines), *again])
