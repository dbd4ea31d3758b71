"""`alexnet evaluate RUN... --store STORE|--photos PHOTOS`: errors of runs, and of their ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.options import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, view_names, view_set
from alexnet.cli.output import write_document, write_notes, write_tables
from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import with_source_options
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import CommandError
from alexnet.io import refuse_unwritable, write_json

if TYPE_CHECKING:
    from alexnet.data.sources import SourceOptions
    from alexnet.report.tables import Table
    from alexnet.runs.predictions import Predictions
    from alexnet.runs.results import EvalResult


@with_source_options
def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|FILE...",
            help="Runs, ensembles, exported files or hf:OWNER/NAME; several are also averaged.",
        ),
    ],
    store: Annotated[
        Path | None, typer.Option(help="The store with the images; by default the one used in training.")
    ] = None,
    photos: Annotated[
        str,
        typer.Option(
            metavar="PHOTOS",
            help="Labeled photos in any supported format, instead of a store; nothing is prepared or saved.",
        ),
    ] = "",
    split: Annotated[
        str, typer.Option(help="The split to test. By default val of a store; test for a fit.")
    ] = "",
    views: Annotated[
        str, typer.Option(metavar=VIEWS_METAVAR, help=VIEWS_HELP, autocompletion=view_names)
    ] = "",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write the result to this file.")
    ] = None,
    per_class: Annotated[
        bool,
        typer.Option("--per-class", help="List every class; by default, only the worst if there are many."),
    ] = False,
    confusion: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv|FILE.png", help="Also write the whole confusion matrix to this file."),
    ] = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            metavar="last|best", help="Which checkpoint; `best` is slightly optimistic on validation images."
        ),
    ] = "last",
    mean: Annotated[
        str, typer.Option(metavar="probabilities|logits", help="What is averaged over several runs.")
    ] = "probabilities",
    weights: Annotated[str, typer.Option(metavar="W,W,...", help="A weight for each run.")] = "",
    search_weights: Annotated[
        str, typer.Option(metavar="SPLIT", help="Search for the weights on this split, such as train.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Batch size, in crops (images x views).")] = 256,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; errors are fractions in [0, 1].")
    ] = False,
    *,
    options: SourceOptions,
    csv: Annotated[Path | None, csv_option("run, or with --per-class for each class")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Measure errors with 95 % intervals, recall and precision by class, confusions and confident mistakes.

    Probabilities are averaged over the views and, if there are several runs, over the runs. They are saved in
    RUN/predictions and reused as long as the run is unchanged. Errors are saved in RUN/evaluation.json, and
    those of an ensemble in its own directory. Nothing is saved for exported files, and with --photos. Options
    that choose how photos are read are for --photos.
    """
    from alexnet import distributed
    from alexnet.data.sources import SourceOptions
    from alexnet.evaluation.labeled_photos import photo_evaluations
    from alexnet.evaluation.run_evaluation import EvaluateOptions, evaluate_runs
    from alexnet.report.confusion_matrix import refuse_unwritable_matrix, write_confusion_matrix
    from alexnet.report.evaluation_tables import data_of, name_of
    from alexnet.report.plots.style import figure_title
    from alexnet.report.result_rows import CLASS_COLUMNS, RESULT_COLUMNS, class_rows, result_row

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    if out is not None:
        _refuse_unwritable(out)
    if confusion is not None:
        refuse_unwritable_matrix(confusion)

    def progress(title: str, images: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress_bar(title, images, unit="images", silent=as_json)

    if photos and store is not None:
        raise CommandError("--photos and --store exclude each other: use one of them")
    if options != SourceOptions() and not photos:
        raise CommandError("options that choose how photos are read need --photos PHOTOS")
    chosen = EvaluateOptions(
        split=split,
        views=view_set(views, scales),
        checkpoint=checkpoint,
        mean=mean,
        weights=_numbers(weights),
        search_weights=search_weights,
        device=device,
        batch_size=batch,
        progress=progress,
        log=lambda line: None if as_json else write_notes(line),
    )
    evaluations = (
        photo_evaluations(runs, photos, chosen, options) if photos else evaluate_runs(runs, store, chosen)
    )
    if not distributed.launched_as_main():
        return
    results, predictions = [each.result for each in evaluations], evaluations[-1].predictions
    values = _to_json(results)
    if out is not None:
        write_json(out, values)
    if confusion is not None:
        last = results[-1]
        if not last.classifies:
            raise CommandError(f"{name_of(last)} was not trained to predict classes: omit --confusion")
        title = figure_title(name_of(last), data_of(last), last.images)
        write_confusion_matrix(predictions, confusion, title)
    if tables and per_class:
        tables.write(CLASS_COLUMNS, class_rows(results), quiet=as_json)
    elif tables:
        tables.write(RESULT_COLUMNS, list(map(result_row, results)), quiet=as_json)
    if as_json:
        write_document(values)
    elif not tables:
        write_tables(evaluation_tables(results, predictions, per_class))


def _refuse_unwritable(out: Path) -> None:
    """CommandError, before anything is tested, if the result cannot be written there."""
    refuse_unwritable(out)
    if out.is_dir():
        raise CommandError(f"{out} is a folder: choose a file with --out FILE.json")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError as error:
        raise CommandError(f"--weights {text} is not a list of numbers, such as 2,1,1") from error


def _to_json(results: Sequence[EvalResult]) -> dict[str, Any]:
    """The only result, or that of the ensemble with its `members`."""
    *members, last = [result.to_dict() for result in results]
    return {**last, "members": members} if members else last


def evaluation_tables(
    results: Sequence[EvalResult], predictions: Predictions, per_class: bool = False
) -> list[Table]:
    """Errors of all results, and of the last one, with its predictions, what is known about its classes."""
    from alexnet.report.confusion_matrix import confusion_matrix_table
    from alexnet.report.evaluation_tables import (
        FEW_CLASSES,
        classes_table,
        confusions_table,
        detection_table,
        errors_table,
        growth_table,
        localization_table,
        measures_table,
        mistakes_table,
    )

    *members, found = results
    listed = results if len(members) > 1 else [found]
    classifiers = [each for each in listed if each.classifies]
    tables: list[Table] = [errors_table(classifiers)] if classifiers else []
    tables += [measures_table(each) for each in members or [found] if each.measures]
    tables += [localization_table(each) for each in members or [found] if each.localization]
    tables += [detection_table(each) for each in members or [found] if each.detection]
    if not found.classifies:
        return tables
    if len(found.growth) > 1:
        tables.append(growth_table(found))
    if found.detection is not None:  # one class per image means little in a scene of several objects
        return tables
    tables.append(classes_table(found, per_class))
    if len(found.per_class) <= FEW_CLASSES:
        tables.append(confusion_matrix_table(predictions))
    elif found.confusions:
        tables.append(confusions_table(found))
    return [*tables, *([mistakes_table(found)] if found.mistakes else [])]
