"""The confusion matrix of predictions: a table for a terminal, and a CSV file or a figure."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from alexnet.errors import CommandError
from alexnet.evaluation.metrics import confusion_matrix
from alexnet.io import refuse_unwritable, write_whole
from alexnet.report.tables import Table
from alexnet.runs.predictions import Predictions

SUFFIXES = (".csv", ".png")
"""Forms in which `write_confusion_matrix` writes it."""
_NAME_CHARACTERS = 24
"""Longer names are cut in a terminal."""


def refuse_unwritable_matrix(path: Path) -> None:
    """CommandError, before anything is tested, if no confusion matrix can be written to `path`."""
    if path.suffix not in SUFFIXES:
        raise CommandError(f"{path} has an unknown suffix: its name must end in {' or '.join(SUFFIXES)}")
    if path.is_dir():
        raise CommandError(f"{path} is a folder: choose a file with --confusion FILE.csv")
    refuse_unwritable(path)


def confusion_matrix_table(predictions: Predictions) -> Table:
    """A row for each true class and a numbered column for each predicted one; 0 is a dot."""
    counts = confusion_matrix(predictions)
    columns = [str(number) for number in range(1, len(counts) + 1)]
    rows = [
        (number, _cut(str(name)), *(f"{count:,}" if count else "." for count in row))
        for number, name, row in zip(columns, predictions.names, counts.tolist(), strict=True)
    ]
    title = "Confusion matrix: rows are true classes, columns are predicted classes by their numbers"
    return Table(("", "true class", *columns), rows, title, frozenset(("", *columns)))


def write_confusion_matrix(predictions: Predictions, path: Path, title: str = "") -> None:
    """Writes the whole matrix to a `.csv` or `.png` file, which is replaced; `title` is the figure's.

    The first column of a CSV file has the true classes, the others the numbers of images that were predicted
    to be of each class. Classes are WNIDs, with their names in a column of their own if these differ. Errors
    as `refuse_unwritable_matrix`.
    """
    refuse_unwritable_matrix(path)
    if path.suffix == ".csv":
        write_whole(path, _csv(predictions).encode())
        return
    from alexnet.report.plots.confusions import draw_confusion_matrix  # Matplotlib takes a second to load
    from alexnet.report.plots.output import save

    save(draw_confusion_matrix(confusion_matrix(predictions), predictions.names.tolist(), title), path)


def _csv(predictions: Predictions) -> str:
    wnids, names = predictions.classes.tolist(), predictions.names.tolist()
    named = wnids != names
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["true class", *(["name"] if named else []), *wnids])
    for wnid, name, counts in zip(wnids, names, confusion_matrix(predictions).tolist(), strict=True):
        rows.writerow([wnid, *([name] if named else []), *counts])
    return text.getvalue()


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 3]}..."
