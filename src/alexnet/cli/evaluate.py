"""`alexnet evaluate RUN... --store STORE`: errors of runs, and of all of them averaged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.views import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, parse_scales

if TYPE_CHECKING:
    import torch

    from alexnet.data.store import Store
    from alexnet.runs.predictions import Predictions
    from alexnet.runs.run_dir import RunDir


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|FILE...",
            help="Several, or an ensemble's folder, are averaged too; FILE is exported.",
        ),
    ],
    store: Annotated[Path, typer.Option(help="Where the images are.")],
    split: Annotated[str, typer.Option(help="Which of the store's splits.")] = "val",
    views: Annotated[
        str,
        typer.Option(metavar=VIEWS_METAVAR, help=VIEWS_HELP),
    ] = "",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the result there too.")] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best", help="Best on the validation images flatters a little.")
    ] = "last",
    mean: Annotated[
        str, typer.Option(metavar="probabilities|logits", help="What is averaged over the runs.")
    ] = "probabilities",
    weights: Annotated[str, typer.Option(metavar="W,W,...", help="A weight for each run.")] = "",
    search_weights: Annotated[
        str, typer.Option(metavar="SPLIT", help="Search the weights on that split, such as train.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Squares (images x views) at once.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, errors in [0, 1].")] = False,
) -> None:
    """Test runs: top-1 and top-5 errors with 95 % intervals, by class, and what is confused.

    Probabilities are averaged over the views, and over the runs where there are several; they are kept in
    RUN/predictions and used again while they are fresh. Each run's errors go into RUN/evaluation.json, those
    of an ensemble's folder into its own. Nothing is kept of exported files.
    """
    from alexnet import distributed
    from alexnet.hardware import choose_device

    chosen = choose_device(device)
    averaging = Averaging(mean, _numbers(weights), search_weights, split)
    if out is not None:
        _refuse_unwritable(out)
    with distributed.running(chosen):
        test = Test(store, split, views, parse_scales(scales), checkpoint, chosen, batch, silent=as_json)
        result = evaluate(runs, test, averaging)
        if not distributed.is_main():
            return
    if out is not None:
        from alexnet.io import write_json

        write_json(out, result)
    typer.echo(json.dumps(result, indent=2) if as_json else _report(result), nl=as_json)


@dataclass(frozen=True)
class Test:
    """How each run is tested."""

    store: Path
    split: str
    views: str
    scales: tuple[int, ...]
    checkpoint: str
    device: torch.device
    batch: int
    silent: bool


@dataclass(frozen=True)
class Averaging:
    """How runs are averaged."""

    of: str
    weights: tuple[float, ...]
    search_on: str
    reported: str

    def __post_init__(self) -> None:
        from alexnet.errors import CommandError

        if self.search_on and self.weights:
            raise CommandError("--weights and --search-weights exclude each other: give one of them")
        if self.search_on == self.reported:
            raise CommandError(
                f"weights searched on {self.reported} would flatter its own errors: "
                "search on another split, such as --search-weights train"
            )


def evaluate(runs: list[Path], test: Test, averaging: Averaging) -> dict[str, Any]:
    """The entry of one run, or of the mean of several beside its `members`; each goes into its folder too."""
    from alexnet import distributed
    from alexnet.data.store import Store
    from alexnet.evaluation import metrics, run_evaluation
    from alexnet.runs.run_dir import RunDir, is_ensemble, members_of

    opened, folders = Store.open(test.store), [RunDir.open(run, or_file=True) for run in members_of(runs)]
    for split in filter(None, (test.split, averaging.search_on)):
        metrics.refuse_unlabeled(split, opened.split(split).labels)
    _refuse_senseless(folders, test, averaging)
    run_evaluation.same_question(folders, opened, test.checkpoint)
    for folder in folders:
        _note_unfinished(folder, test)
    test = replace(test, views=test.views or run_evaluation.default_views_of(folders, test.checkpoint))
    for folder in folders:
        _note_mirrored(folder, test)
    members = [_predictions(folder, opened, test, test.split) for folder in folders]
    entries = [
        run_evaluation.entry(metrics.evaluate(member), opened, [folder], test.checkpoint)
        for member, folder in zip(members, folders, strict=True)
    ]
    for folder, entry in zip(folders, entries, strict=True):
        entry |= _localization(folder, opened, test) | _detection(folder, opened, test)
        if distributed.is_main():
            run_evaluation.record(folder.path, entry)
    if len(folders) == 1 and not is_ensemble(runs[0]):
        return entries[0]
    result = _together(members, folders, opened, test, averaging)
    if len(runs) == 1 and distributed.is_main():
        run_evaluation.record(runs[0], result)
    return {**result, "members": entries}


def _refuse_unwritable(out: Path) -> None:
    """CommandError, before anything is tested, where the result could not be kept there."""
    from alexnet.errors import CommandError
    from alexnet.io import refuse_unwritable

    refuse_unwritable(out)
    if out.is_dir():
        raise CommandError(f"{out} is a folder: give --out another place")


def _refuse_senseless(folders: list[RunDir], test: Test, averaging: Averaging) -> None:
    """CommandError, before a net is loaded, where the runs can't be tested or averaged so."""
    from alexnet.errors import CommandError
    from alexnet.evaluation import ensemble
    from alexnet.evaluation.views import named

    if test.views:
        named(test.views)
    places = [folder.path.resolve() for folder in folders]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise CommandError(
            f"{twice.name} is named twice: give each run once, with --weights to let it count more"
        )
    if averaging.search_on and len(folders) == 1:
        raise CommandError("--search-weights is for several runs: there is one")
    ensemble.check_averaging(len(folders), averaging.weights or None, averaging.of)


def _note_unfinished(folder: RunDir, test: Test) -> None:
    """Says so on standard error where a run has not been trained to its end."""
    import sys

    from alexnet import distributed
    from alexnet.runs.provenance import training_progress

    reached = "" if folder.is_exported else training_progress(folder)
    if reached and not test.silent and distributed.is_main():
        sys.stderr.write(f"note: {folder.path.name} is unfinished, at {reached}\n")


def _note_mirrored(folder: RunDir, test: Test) -> None:
    """Says so on standard error where views are mirrored that the net was not trained with."""
    import sys

    from alexnet import distributed

    if folder.is_exported or test.views == "center" or test.silent or not distributed.is_main():
        return
    if not folder.config().data.mirror:
        sys.stderr.write(
            f"note: {folder.path.name} was trained without mirroring, and the views {test.views} mirror: "
            "--views center does not\n"
        )


def _together(
    members: list[Predictions], folders: list[RunDir], store: Store, test: Test, averaging: Averaging
) -> dict[str, Any]:
    """The entry of the members' mean, with how they were averaged and what each of them added."""
    from typing import cast

    from alexnet.evaluation import ensemble, metrics, run_evaluation

    of = cast(ensemble.Of, averaging.of)
    weights = averaging.weights or None
    if averaging.search_on:
        elsewhere = [_predictions(folder, store, test, averaging.search_on) for folder in folders]
        weights = ensemble.search_weights(elsewhere, of)
    mean = ensemble.mean(members, weights, of)
    return {
        **run_evaluation.entry(metrics.evaluate(mean), store, folders, test.checkpoint),
        "mean": of,
        "weights": weights,
        "weights_searched_on": averaging.search_on or None,
        "growth": [step.to_dict() for step in ensemble.growth(members, weights, of)],
    }


def _predictions(folder: RunDir, store: Store, test: Test, split: str) -> Predictions:
    """The run's probabilities for all images of a split, with a progress bar."""
    from alexnet import distributed
    from alexnet.cli.progress import progress_bar
    from alexnet.evaluation import run_evaluation
    from alexnet.hardware import describe_device

    images = len(store.split(split)) // distributed.world_size()
    silent = test.silent or not distributed.is_main()
    title = f"testing {folder.path.name} on {describe_device(test.device)}"
    with progress_bar(title, images, unit="images", silent=silent) as advance:
        options = test.checkpoint, test.device, test.batch, advance
        return run_evaluation.predictions_of(folder, store, split, test.views, *options, test.scales)


def _localization(folder: RunDir, store: Store, test: Test) -> dict[str, Any]:
    """`localization`: where the run says objects are, scored; nothing where it says no boxes."""
    from alexnet.cli.progress import progress_bar
    from alexnet.tasks import localization

    if test.views not in localization.VIEWS or not localization.says_boxes(folder, test.checkpoint):
        return {}
    images = len(store.split(test.split))
    with progress_bar(f"boxes of {folder.path.name}", images, unit="images", silent=test.silent) as advance:
        options = test.checkpoint, test.device, test.batch, advance, test.scales
        found = localization.boxes_of(folder, store, test.split, test.views, *options)
    return {"localization": localization.errors(found, store)}


def _detection(folder: RunDir, store: Store, test: Test) -> dict[str, Any]:
    """`detection`: the objects that the run finds, scored; nothing where it finds none."""
    from alexnet.cli.progress import progress_bar
    from alexnet.tasks import detection

    if not detection.detects(folder, test.checkpoint):
        return {}
    images = len(store.split(test.split))
    with progress_bar(f"objects of {folder.path.name}", images, unit="images", silent=test.silent) as advance:
        options = test.checkpoint, test.device, test.batch, advance, test.scales
        found = detection.detections_of(folder, store, test.split, *options)
    of_windows = detection.window_precision(folder, store, test.split, test.checkpoint, test.scales)
    return {"detection": {**detection.precision(found, store), "precision_of_windows": of_windows}}


def _numbers(text: str) -> tuple[float, ...]:
    from alexnet.errors import CommandError

    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError as error:
        raise CommandError(f"--weights {text} is not a list of numbers, such as 2,1,1") from error


def _report(result: dict[str, Any]) -> str:
    from alexnet.report.evaluation_tables import (
        classes_table,
        confusions_table,
        detection_table,
        errors_table,
        growth_table,
        localization_table,
    )
    from alexnet.runs.results import EvalResult

    written = json.loads(json.dumps(result))
    found = EvalResult.from_dict(written)
    members = [EvalResult.from_dict(each) for each in written.get("members", [])]
    tables = [errors_table([*members, found] if len(members) > 1 else [found])]
    tables += [localization_table(each) for each in members or [found] if each.localization]
    tables += [detection_table(each) for each in members or [found] if each.detection]
    if len(found.growth) > 1:
        tables.append(growth_table(found))
    if found.detection is None:  # one class per image means little in a scene of several objects
        tables += [classes_table(found), *([confusions_table(found)] if found.confusions else [])]
    return "\n".join(table.text() for table in tables)
