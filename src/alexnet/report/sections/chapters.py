"""A whole report: what runs have in common, then each of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from alexnet.data.store import Store
from alexnet.errors import AlexNetError
from alexnet.evaluation import run_evaluation
from alexnet.models.summary import Summary, summarize
from alexnet.report import boxes, run_details
from alexnet.report.comparison import Row, comparison, rows_of
from alexnet.report.evaluation_tables import detection_table, growth_table, localization_table
from alexnet.report.page import Chapter, Commands, Folded, Missing, Part, page
from alexnet.report.sections import trained
from alexnet.report.sections.shown import Keep, ProgressBar, Shown, drawn
from alexnet.report.sections.subject import Subject, refuse_different_data, subjects_of
from alexnet.runs.metrics_log import has_finished, training_seconds
from alexnet.runs.provenance import stale_note, training_progress
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.config import task_info

CLOSELY = 3
"""Runs that are looked into, which takes longest; of more only the first ones are."""


@contextmanager
def _silent(title: str, total: int) -> Generator[Callable[[int], None]]:
    yield lambda count: None


def report(
    paths: Sequence[Path],
    store: Store | None = None,
    device: torch.device | str = "cpu",
    progress_bar: ProgressBar = _silent,
    closely: int = CLOSELY,
    keep: Keep = lambda name, figure: None,
) -> str:
    """One HTML page about runs, exported files and ensembles, whose photos lie in `store`.

    Of the first `closely` runs it also shows what is inside; `keep` gets each figure. Without a store each
    run's own is used where its command says it lay. CommandError where a path is no run or named twice;
    DataError where they were trained on different data, or `store` has other classes.
    """
    with TemporaryDirectory() as copies:
        return _report(subjects_of(paths, Path(copies)), store, device, progress_bar, closely, keep)


def _report(
    subjects: Sequence[Subject],
    store: Store | None,
    device: torch.device | str,
    progress_bar: ProgressBar,
    closely: int,
    keep: Keep,
) -> str:
    refuse_different_data(subjects)
    with_weights = [each for each in subjects if each.weights]
    if store is not None:
        run_evaluation.check_classes([RunDir(each.typed) for each in with_weights], store)
    labels = trained.unlike_names([each.typed for each in subjects])
    near = [each for each in subjects if each.kind != "ensemble"][:closely]
    shown = [
        Shown(each, _store_for(each, subjects, store), device, progress_bar, keep, label, each in near)
        for each, label in zip(subjects, labels, strict=True)
    ]
    several = sum(_has_curves(each.subject) for each in shown) > 1
    chapters = [
        _errors(shown, keep),
        *_training(shown, keep),
        *(_one(each, several and _has_curves(each.subject)) for each in shown),
    ]
    return page(f"Report: {_named(labels)}", _lead(shown), chapters)


def _store_for(subject: Subject, subjects: Sequence[Subject], given: Store | None) -> Store | None:
    """The store given, or the one a run was trained on where that is another, or was not given."""
    if subject.kind == "ensemble":
        members = [each for each in subjects if each.typed in subject.members]
        return given or next(filter(None, (each.found_store() for each in members)), None)
    if given is not None and given.digest == subject.store_digest:
        return given
    return subject.found_store() or given


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 3 else f"{labels[0]}, {labels[1]} and {len(labels) - 2} more"


def _lead(shown: Sequence[Shown]) -> list[str]:
    """Data, classes and date."""
    stores = list(dict.fromkeys(filter(None, (each.subject.store_name for each in shown))))
    classes = next((each.subject.classes for each in shown if each.subject.classes), [])
    opened = next((each.store for each in shown if each.store is not None), None)
    data = [f"Data: {', '.join(stores) or 'not told'}"]
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


def _errors(shown: Sequence[Shown], keep: Keep) -> Chapter:
    """The table of errors beside what was published, the same as bars, and what has not been tested."""
    tested_ones = [each for each in shown if each.subject.entries]
    parts: list[Part] = []
    if tested_ones:
        rows: list[Row] = rows_of(each.subject.path for each in tested_ones)
        parts += [comparison(rows), *boxes.compared(rows), *_bars(tested_ones, rows, keep)]
    for each in tested_ones:
        for entry in each.subject.entries:
            parts += [growth_table(entry, each.label)] if len(entry.get("growth") or []) > 1 else []
            parts += [localization_table(entry)] if "localization" in entry else []
            parts += [detection_table(entry)] if "detection" in entry else []
    for each in shown:
        if each.subject.kind == "file" and each.subject.origin.get("errors"):
            parts.append(run_details.errors_told(each.subject.origin))
        elif not each.subject.entries:
            place = "STORE" if each.store is None else each.store.path
            typed = f"alexnet evaluate {each.subject.typed} --store {place}"
            said = "keeps no errors itself" if each.subject.kind == "file" else "has not been tested yet"
            parts.append(Missing(f"{each.label} {said}: type {typed} for its errors."))
    return Chapter("Errors", parts)


def _bars(tested_ones: Sequence[Shown], rows: Sequence[Row], keep: Keep) -> list[Part]:
    """The rows as bars, but for runs that learned boxes: these are not about errors of class names."""
    placing = [each for each in tested_ones if _learns_boxes(each.subject)]
    naming = [each for each in tested_ones if each not in placing]
    bars = rows_of(each.subject.path for each in naming) if placing else rows
    parts: list[Part] = []
    if placing:
        names = ", ".join(each.label for each in placing)
        parts.append(
            Missing(
                f"The errors of {names} above are of class names alone. It is boxes that were learned there: "
                "their errors and precisions have tables of their own, and no bars."
            )
        )
    return [*([drawn(lambda: trained.errors(bars), "bars of errors", keep)] if naming else []), *parts]


def _learns_boxes(subject: Subject) -> bool:
    return subject.config is not None and task_info(subject.config.training.loss).predicts_boxes


def _training(shown: Sequence[Shown], keep: Keep) -> list[Chapter]:
    """All runs' curves in one picture, and what their configurations differ in."""
    runs = [each for each in shown if each.subject.kind == "run"]
    if not runs:
        return []
    nets = [each.subject.path for each in runs if _has_curves(each.subject)]
    parts: list[Part] = []
    if nets:
        caption = (
            "Errors in training are of one central view, those of detectors of whole photos; the table's may "
            "be of more."
        )
        parts.append(drawn(lambda: trained.curves(nets), "curves", keep, caption))
    without = [each for each in runs if not _has_curves(each.subject)]
    parts += [Missing(f"{each.label} has no curves: {_why_no_curves(each.subject)}.") for each in without]
    if len(runs) > 1:
        configs = {each.label: each.subject.config for each in runs if each.subject.config is not None}
        parts.append(run_details.between_runs(configs))
    return [Chapter("Training", parts)]


def _has_curves(subject: Subject) -> bool:
    return any(line["event"] == "train" and "loss" in line for line in subject.log)


def _why_no_curves(subject: Subject) -> str:
    if subject.config is not None and subject.config.classic is not None:
        return "a classic pipeline is fitted stage by stage, not epoch by epoch"
    if "imported" in subject.environment:
        return "its weights were imported"
    return "nothing has been logged yet" if not subject.log else "its log tells no losses"


def _one(shown: Shown, curves: bool) -> Chapter:
    """All that is to be said of one; with its own curves, where it has some and others stand before."""
    subject = shown.subject
    parts: list[Part] = [_state(shown), *_tested(shown), *shown.without(), *_size(subject)]
    inner = [*([_curves(shown)] if curves else []), *shown.chapters(), *_facts(shown)]
    return Chapter(shown.label, parts, inner)


def _curves(shown: Shown) -> Chapter:
    picture = drawn(lambda: trained.curves([shown.subject.path]), "curves", shown.keep, of=shown.label)
    return Chapter("Curves", [picture])


def _tested(shown: Shown) -> list[Part]:
    """A sentence where the run has gone on since it was tested."""
    if shown.entry is None or shown.subject.kind != "run":
        return []
    said = stale_note(shown.subject.run, shown.entry)
    return [Missing(f"{said}: test it again for errors of what is shown here.")] if said else []


def _state(shown: Shown) -> str:
    """What it is and how far it got."""
    subject = shown.subject
    if subject.kind == "ensemble":
        names = ", ".join(path.name for path in subject.members) or "none yet"
        unfinished = "" if subject.is_whole else " Not all of its nets are trained to the end yet."
        return f"An ensemble's folder; its nets: {names}.{unfinished}"
    recipe = subject.config.recipe if subject.config is not None else "unknown"
    if subject.kind == "file":
        return f"An exported file of a net of the recipe {recipe}: it carries no log and no predictions."
    if "imported" in subject.environment:
        return f"Weights that another program trained, imported as {recipe}."
    reached = training_progress(subject.run)
    if reached:
        return (
            f"Of the recipe {recipe}, still in training or stopped: this is how it was at {reached}. "
            f"{_part_of_the_photos(subject)}If it was stopped, the command that trained it goes on with it "
            "when --resume is added."
        )
    seconds = training_seconds(subject.run.metrics_file)
    device = subject.environment.get("device", "")
    took = f"{seconds / 60:,.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    last, on = subject.log[-1], f" on {device}" if device else ""
    if subject.config is not None and subject.config.classic is not None:
        passes = f"{last['step']:,} codes of photos, at most {last['epoch']:,} passes of its classifiers"
        return f"Of the recipe {recipe}, fitted to its end: {passes}, {took}{on}."
    return (
        f"Of the recipe {recipe}, trained to its end: {last['epoch']:,} epochs, "
        f"{last['step']:,} updates, {took}{on}. {_part_of_the_photos(subject)}".rstrip()
    )


def _part_of_the_photos(subject: Subject) -> str:
    """A sentence, with a space behind it, where not all training images were used; else empty."""
    used = subject.config.data.max_images if subject.config is not None else 0
    return (
        f"It learned from {used:,} of the training images; the nearest are sought among all. " if used else ""
    )


def _size(subject: Subject) -> list[Part]:
    """Parameters and multiply-adds, in all and by layer."""
    if subject.config is None or not subject.classes:
        return []
    try:
        summary: Summary = summarize(subject.config, len(subject.classes))
    except AlexNetError as error:
        return [Missing(f"No count of its parameters: {error}.")]
    crop = subject.config.data.input_size
    rows = [
        (layer.name, layer.output_shape, layer.weights + layer.biases, layer.multiply_adds)
        for layer in summary.layers
    ]
    said = (
        f"{summary.parameters:,} parameters, {summary.multiply_adds:,} multiply-adds for one view of "
        f"{crop} x {crop} pixels."
    )
    parts = "Layer by layer" if subject.config.classic is None else "Channel by channel"
    return [said, Folded(parts, run_details.layers(rows))]


def _facts(shown: Shown) -> Iterable[Chapter]:
    """Configuration, environment, terms and commands."""
    subject = shown.subject
    if subject.config is not None:
        config = subject.config
        table = Folded(f"The whole configuration of {shown.label}", run_details.configuration(config))
        yield Chapter("Configuration", [run_details.differences(config), table])
    if subject.environment:
        yield Chapter("Environment", [run_details.environment(subject.environment)])
    if subject.weights:
        yield Chapter("Provenance and terms", [run_details.terms(subject.weights.terms, subject.origin)])
    if subject.kind == "run" and "imported" not in subject.environment:
        header = None if shown.store is None else shown.store.manifest
        side = subject.config.data.image_size if subject.config is not None else None
        lines = run_details.commands(subject.name, subject.command, subject.entries, header, side)
        form = "" if header is None else f" The photos came as {header.source.form}."
        said = [f"SOURCE is where the photos lay.{form}"] if any("SOURCE" in line for line in lines) else []
        again = [] if has_finished(subject.run.metrics_file) else ["Its training has not come to its end."]
        yield Chapter("Commands to make it again", [*said, Commands(lines), *again])
