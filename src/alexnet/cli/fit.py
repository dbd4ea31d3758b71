"""`alexnet fit PHOTOS --run RUN`: a tested classifier of your own photos, in the minutes given."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import write_document, write_lines, write_notes, write_tables
from alexnet.cli.progress import progress_bar
from alexnet.cli.report import write_report
from alexnet.cli.source_options import with_source_options, words_of
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.cli.train import training_bar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from alexnet.data.sources import SourceOptions
    from alexnet.fitting.fit import FitOptions, FitResult
    from alexnet.report.tables import Table
    from alexnet.runs.fit_record import Fit
    from alexnet.runs.results import EvalResult

_SUSPECTS_PRINTED = 5


@with_source_options
def command(
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS", help="Labeled photos in any supported format; a URL such as s3:// works, too."
        ),
    ],
    run: Annotated[Path, typer.Option(help="The directory to create: store, models, report.")],
    options: SourceOptions,
    minutes: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Time for everything in minutes, kept to within about a fifth; it takes half a minute at "
            "least.",
        ),
    ] = 10.0,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue an existing fit: with more minutes, or with added or corrected photos."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of weights, order and augmentation; by default that of an existing fit, or 0."
        ),
    ] = None,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help="Regular expression; photos whose paths have the same match stay in one split.",
        ),
    ] = "",
    networks_only: Annotated[
        bool,
        typer.Option(
            "--networks-only",
            help="Choose among networks, without sift-fv, so that ONNX and --web can be exported.",
        ),
    ] = False,
    drop_duplicates: Annotated[
        bool,
        typer.Option("--drop-duplicates", help="Keep one of each set of copies; decodes all photos twice."),
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    csv: Annotated[Path | None, csv_option("candidate")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Train a classifier of your photos: prepare, train several models, choose among them, test, report.

    Of each class, photos are held out to choose with, and others for the errors that are reported, unless the
    photos come in such splits. RUN is then a model for `predict`, `serve`, `evaluate` and `report`.
    """
    from alexnet.fitting.fit import FitOptions, fit_photos
    from alexnet.hardware import choose_device
    from alexnet.runs.run_dir import FIT_STORE
    from alexnet.stopping import Stopping

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()

    def bar(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress_bar(title, total, unit="photos")

    chosen = FitOptions(
        minutes=minutes,
        seed=seed,
        group_by=group_by,
        networks_only=networks_only,
        drop_duplicates=drop_duplicates,
        source=options,
        resume=resume,
        device=device,
        workers=workers,
        progress=bar,
        fetch_progress=partial(progress_bar, unit="bytes"),
        training_progress=training_bar,
        log=write_notes if as_json else write_lines,
    )
    with Stopping("finished work is kept, run the same command with --resume to continue"):
        made = fit_photos(photos, run, chosen)
    page = write_report([run], run, run / FIT_STORE, choose_device(device), detailed=0)
    if tables:
        tables.write(_COLUMNS, _rows(made.fit), quiet=as_json)
    if as_json:
        values = {
            "fit": made.fit.to_dict(),
            "evaluations": [each.result.to_dict() for each in made.evaluations],
        }
        write_document(values)
        return
    if not tables:
        write_tables(_tables(made))
    write_lines("", *_lines(run, made, chosen), f"report: {page}")


_COLUMNS = {
    "candidate": str,
    "title": str,
    "recipe": str,
    "photos": int,
    "chosen": bool,
    "seconds": float,
    "epochs": int,
    "updates": int,
    "training_error": float,
    "errors": int,
    "nll": float,
}


def _rows(fit: Fit) -> list[dict[str, Any]]:
    return [
        {**asdict(each), "candidate": each.name, "chosen": each.name in fit.chosen} for each in fit.candidates
    ]


def _tables(made: FitResult) -> list[Table]:
    """Candidates, errors, confusions and labels to check."""
    from alexnet.cli.evaluate import evaluation_tables
    from alexnet.report.sections.fit import candidates_table, suspects_table

    tables = [candidates_table(made.fit)]
    tables += evaluation_tables([each.result for each in made.evaluations], made.evaluations[-1].predictions)
    return tables + ([suspects_table(made.fit, _SUSPECTS_PRINTED)] if made.fit.suspects else [])


def _lines(run: Path, made: FitResult, options: FitOptions) -> list[str]:
    """What was chosen, and what to type next."""
    from alexnet.fitting.fit import MODEL_FILE
    from alexnet.runs.run_dir import FIT_STORE
    from alexnet.text import percentage

    fit, last = made.fit, made.evaluations[-1]
    alone = ""
    if len(fit.members) > 1:
        wrong = percentage(made.evaluations[0].result.top1.error)
        alone = f" ({fit.members[0]} alone, which misclassifies {wrong}; the average is the directory {run})"
    earlier = f", {fit.used_minutes:.1f} with earlier calls" if fit.used_minutes > made.minutes else ""
    same = ["--group-by", options.group_by] if options.group_by else []
    same += ["--drop-duplicates"] if options.drop_duplicates else []
    same += words_of(options.source)
    commands = [
        ["predict", "PHOTO...", "--model", str(run)],
        ["evaluate", str(run), "--photos", "OTHER-PHOTOS"],
        ["serve", str(run), "--store", str(run / FIT_STORE)],
        ["fit", fit.photos, "--run", str(run), *same, "--resume", "--minutes", "30"],
    ]
    return [
        _in_a_sentence(fit, last.result),
        f"{made.minutes:.1f} minutes{earlier}. Next:",
        *(f"  alexnet {shlex.join(words)}" for words in commands),
        f"model as one file: {run / MODEL_FILE}{alone}",
    ]


def _in_a_sentence(fit: Fit, result: EvalResult) -> str:
    """What was chosen, and its error on the test photos with the interval."""
    from alexnet.runs.fit_record import FEW_TESTED, REFIT
    from alexnet.text import all_of, counted, percentage

    low, high = result.top1.interval
    model = f"{'the average of ' if len(fit.chosen) > 1 else ''}{all_of(fit.chosen)}"
    photos = fit.splits["train"] + fit.splits["val"]
    names = all_of([each.removesuffix(REFIT) for each in fit.refit])
    which = (
        ""
        if len(fit.refit) == len(fit.chosen)
        else f"of which {names} {'was' if len(fit.refit) == 1 else 'were'} "
    )
    again = f", {which}retrained on {photos:,} photos" if fit.refit else ""
    if result.images < FEW_TESTED:
        return (
            f"Chosen: {model}{again}. {result.top1_errors} of {counted(result.images, 'test photo')} "
            f"{'is' if result.top1_errors == 1 else 'are'} misclassified: so few photos say little about the "
            "error."
        )
    return (
        f"Chosen: {model}{again}. Of {counted(result.images, 'test photo')}, "
        f"{percentage(result.top1.error)} are misclassified "
        f"(95 % interval: {percentage(low)} to {percentage(high)})."
    )
