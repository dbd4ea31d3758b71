"""How `alexnet fit` chose a model, and labels to check."""

from __future__ import annotations

import numpy as np

from alexnet.data.findings import describe_findings
from alexnet.data.image_reader import read_square
from alexnet.data.store import Store
from alexnet.evaluation.prediction_cache import CENTER
from alexnet.fitting.splits import describe_untested
from alexnet.report.page import Part, Section
from alexnet.report.plots.predictions import draw_predictions
from alexnet.report.sections.evaluation import in_words
from alexnet.report.sections.model import Keep, drawn
from alexnet.report.sections.subjects import Drawn
from alexnet.report.tables import ABSENT, Table, percent
from alexnet.runs.fit_record import FEW_TESTED, Fit
from alexnet.runs.results import ViewSet
from alexnet.text import all_of, counted, shown_path

UNREADABLE_SHOWN = 25
"""Photos in the table of unreadable ones."""
SUSPECTS_SHOWN, SUSPECTS_DRAWN = 25, 8
"""Photos in the table of labels to check, and in the figure."""


def photos(fit: Fit, store: Store) -> Section:
    """What photos were used for, which could not be read, copies, and classes with few photos or none."""
    names = {"train": "for training", "val": "for the choice of the model", "test": "for the test"}
    counts = [f"{counted(fit.splits[name], 'photo')} {purpose}" for name, purpose in names.items()]
    findings = store.manifest.findings
    lines = [] if findings is None else describe_findings(findings, "alexnet fit")
    parts: list[Part] = [f"{fit.photos}: {', '.join(counts)}, of {counted(len(store.classes), 'class')}."]
    parts += [f"{line.strip()}." if line[:1] != " " else line.strip() for line in lines]
    parts += [f"{line}." for line in describe_untested(store)]
    if unreadable := store.manifest.unreadable:
        rows = [(f"{each.split}/{each.key}", each.reason) for each in unreadable[:UNREADABLE_SHOWN]]
        some = f", {len(rows)} of {len(unreadable):,}" if len(rows) < len(unreadable) else ""
        parts.append(Table(("photo", "reason"), rows, f"Left out because they cannot be read{some}"))
    return Section("Photos", parts)


def choice(fit: Fit, views: ViewSet) -> Section:
    """The candidates with their errors on the photos that choose, those that were not tried, the time, and
    the model's default views.
    """
    parts: list[Part] = [candidates_table(fit)]
    if fit.not_tried:
        rows = [(each.name, each.reason) for each in fit.not_tried]
        parts.append(Table(("candidate", "reason"), rows, "Not tried, or not to the end"))
    parts.append(f"It took {fit.used_minutes:.1f} of {fit.minutes:g} minutes, without this report.")
    named = "the center crop" if views == CENTER else f"the views {views}"
    parts.append(f"By default predict, serve and evaluate use {named}.")
    return Section("How the model was chosen", parts)


def labels_to_check(fit: Fit, store: Store, keep: Keep) -> list[Section]:
    """The photos whose labels are probably wrong, as pictures and as a table; none without any."""
    if not fit.suspects:
        return []
    table = suspects_table(fit, SUSPECTS_SHOWN)
    shown = [each for each in fit.suspects if each.reason == "prediction"][:SUSPECTS_DRAWN]
    if not shown:
        return [Section("Labels to check", [table])]

    def make() -> Drawn:
        squares = np.empty((len(shown), store.side, store.side, store.channels), np.uint8)
        for each, square in zip(shown, squares, strict=True):
            split = store.split(each.split)
            number = next(index for index in range(len(split)) if split.key(index) == each.key)
            read_square(split, number, square)
        labels = [each.label for each in shown]
        top = [
            [(each.predicted, each.probability or 0.0), (each.label, each.of_label or 0.0)] for each in shown
        ]
        alt_text = (
            f"{len(shown)} photos with bars of the predicted class and of the label. {in_words(labels, top)}."
        )
        return Drawn(draw_predictions(list(squares), labels, top, "Labels to check", "label"), alt_text)

    figure = drawn(make, "labels to check", keep)
    return [Section("Labels to check", [figure, table])]


def candidates_table(fit: Fit) -> Table:
    """A row for each candidate, and one for the average if several were chosen."""
    rows: list[tuple[str, ...]] = []
    for each in sorted(fit.candidates, key=lambda candidate: candidate.nll):
        low, high = fit.rate(each.errors).interval
        rows.append(
            (
                f"{each.name}{' *' if each.name in fit.chosen else ''}",
                each.title,
                ABSENT if each.photos is None else f"{each.photos:,}",
                f"{each.updates:,}" if each.updates else ABSENT,
                ABSENT if each.training_error is None else percent(each.training_error),
                percent(fit.rate(each.errors).error),
                f"{percent(low)} to {percent(high)}",
                f"{each.nll:.3f}",
                f"{each.seconds:,.0f}",
            )
        )
    if len(fit.chosen) > 1 and fit.errors is not None:
        rate = fit.rate(fit.errors)
        low, high = rate.interval
        errors = (percent(rate.error), f"{percent(low)} to {percent(high)}")
        rows.append(("average of *", "", ABSENT, ABSENT, ABSENT, *errors, ABSENT, ABSENT))
    measured = (
        "photos",
        "updates",
        "training error %",
        "held-out error %",
        "95 % interval",
        "loss",
        "seconds",
    )
    columns = ("candidate", "what it is", *measured)
    held_out = fit.splits["val"]
    notes = [
        f"On {held_out:,} photos held out of the training photos; * is chosen: the lowest loss, and what "
        "lowers it further in an average. The errors reported are those on the test photos.",
    ]
    if held_out < FEW_TESTED:
        notes.append("So few photos choose nearly at random, and say little about the error.")
    if fit.refit:
        runs = all_of(fit.refit)
        notes.append(f"Trained again after the choice, with these {held_out:,} photos added: {runs}.")
    return Table(columns, rows, "Candidates", frozenset(measured), notes).without_empty_columns()


def suspects_table(fit: Fit, most: int) -> Table:
    """Copies with different labels, and the most suspicious photos."""
    shown = fit.suspects[:most]
    rows = [
        (
            each.place,
            each.label,
            each.predicted,
            *(ABSENT if value is None else percent(value) for value in (each.probability, each.of_label)),
            shown_path(each.copy_of) if each.copy_of else ABSENT,
        )
        for each in shown
    ]
    numeric = ("probability %", "of its label %")
    copies = sum(each.reason == "copy" for each in shown)
    some = f", {len(shown)} of {len(fit.suspects):,}" if len(shown) < len(fit.suspects) else ""
    title = f"Labels to check{some}"
    notes = ["A copy, pixel by pixel, has the other label: one of the two is wrong."] if copies else []
    if copies < len(shown):
        notes.append("For models that were not trained on these photos, another class is far more probable.")
    columns = ("photo", "label", "other class", *numeric, "copy of")
    return Table(columns, rows, title, frozenset(numeric), notes).without_empty_columns()
