"""How `alexnet fit` chose a model, and labels to check."""

from __future__ import annotations

from alexnet.fitting.record import Fit
from alexnet.report.page import Part, Section
from alexnet.report.tables import ABSENT, Table, percent

SUSPECTS_SHOWN = 25


def choice(fit: Fit) -> Section:
    """The candidates with their errors on the photos that choose, and the suspicious photos."""
    parts: list[Part] = [candidates_table(fit)]
    if fit.suspects:
        parts.append(suspects_table(fit, SUSPECTS_SHOWN))
    return Section("How the model was chosen", parts)


def candidates_table(fit: Fit) -> Table:
    """A row for each candidate, and one for the average if several were chosen."""
    rows: list[tuple[str, ...]] = []
    for each in sorted(fit.candidates, key=lambda candidate: candidate.nll):
        low, high = fit.rate(each.errors).interval
        rows.append(
            (
                f"{each.name}{' *' if each.name in fit.chosen else ''}",
                each.title,
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
        rows.append(("average of *", "", ABSENT, ABSENT, *errors, ABSENT, ABSENT))
    measured = ("updates", "training error %", "held-out error %", "95 % interval", "loss", "seconds")
    columns = ("candidate", "what it is", *measured)
    notes = (
        f"On {fit.splits['val']:,} photos held out of the training photos; * is chosen: the lowest loss, and "
        "what lowers it further in an average. The errors reported are those on the test photos.",
    )
    return Table(columns, rows, "Candidates", frozenset(measured), notes).without_empty_columns()


def suspects_table(fit: Fit, most: int) -> Table:
    """The most suspicious photos."""
    shown = fit.suspects[:most]
    rows = [
        (
            f"{each.split}/{each.key}",
            each.label,
            each.predicted,
            percent(each.probability),
            percent(each.of_label),
        )
        for each in shown
    ]
    numeric = ("probability %", "of its label %")
    title = f"Labels to check, {len(shown)} of {len(fit.suspects):,}"
    notes = ("These photos look like another class to models that were not trained on them.",)
    return Table(("photo", "label", "predicted class", *numeric), rows, title, frozenset(numeric), notes)
