"""`alexnet submit RUN... --store STORE --devkit KIT --out FILE.txt`: predictions for a test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.options import SCALES_HELP, VIEWS_METAVAR, view_names, view_set
from alexnet.cli.output import write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError
from alexnet.hardware import choose_device, describe_device
from alexnet.runs.run_dir import RunDir, members_of

if TYPE_CHECKING:
    import torch

    from alexnet.data.sources.devkit import Devkit
    from alexnet.data.store import Store
    from alexnet.evaluation.submission import Ids, OfficialPhotos
    from alexnet.runs.predictions import Predictions
    from alexnet.runs.results import ViewSet


def command(
    devkit: Annotated[
        Path, typer.Option(metavar="KIT", help="ILSVRC2012_devkit_t12, as an archive or a folder.")
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Runs or ensembles; several are averaged."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="The store with the images.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.txt", help="The file to write.")] = None,
    split: Annotated[str, typer.Option(help="The split of the store.")] = "test",
    views: Annotated[
        str,
        typer.Option(
            metavar=VIEWS_METAVAR,
            help="Which views of each photo are averaged.",
            autocompletion=view_names,
        ),
    ] = "ten",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best", help="Which checkpoint of each run.")
    ] = "last",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Batch size, in crops (images x views).")] = 256,
    check: Annotated[Path | None, typer.Option(metavar="FILE.txt", help="Only check this file.")] = None,
) -> None:
    """Write predictions for a test set in the format of the ILSVRC evaluation server.

    The file has one line per photo, in the order of the official names, with five ILSVRC ids, the most
    probable first. Everything is checked before it is written. If the devkit has the labels (--split val),
    the top-5 error is printed. `alexnet submit --check FILE.txt --devkit KIT` checks an existing file from
    any program.
    """
    from alexnet import distributed
    from alexnet.data.sources.devkit import read_any_devkit, read_devkit
    from alexnet.data.store import Store
    from alexnet.evaluation import run_evaluation, submission

    if check is not None:
        write_lines(*_checked(check, read_any_devkit(devkit), split))
        return
    if not runs or store is None or out is None:
        raise CommandError("type RUN..., --store STORE and --out FILE.txt; or --check FILE.txt")
    opened, chosen = Store.open(store), choose_device(device)
    photos = submission.photos_of(opened.split(split))
    kit = read_devkit(devkit, photos.year)
    submission.ids_of([each.wnid for each in opened.classes], kit)  # before a model works for hours
    folders = [RunDir.open(run, or_file=True) for run in members_of(runs)]
    run_evaluation.check_classifies(folders, checkpoint)
    with distributed.running(chosen):
        test = _Test(opened, split, view_set(views, scales), checkpoint, chosen, batch)
        rows = _rows(folders, kit, photos, test)
        if not distributed.is_main():
            return
    submission.write_submission(out, rows, kit)
    write_lines(*_report(out, rows, kit, photos))
    unnamed = len(kit.wnids) - len(opened.classes)
    if unnamed:
        write_notes(f"the devkit has {unnamed:,} classes that the model was not trained on")


@dataclass(frozen=True)
class _Test:
    store: Store
    split: str
    views: ViewSet
    checkpoint: str
    device: torch.device
    batch_size: int


def _rows(folders: list[RunDir], kit: Devkit, photos: OfficialPhotos, test: _Test) -> Ids:
    from alexnet import distributed
    from alexnet.evaluation import ensemble, run_evaluation, submission
    from alexnet.evaluation.inference import InferenceOptions

    run_evaluation.check_run_classes(folders, test.store, test.checkpoint)
    images = len(photos.order) // distributed.world_size()
    members: list[Predictions] = []
    for folder in folders:
        title = f"testing {folder.path.name} on {describe_device(test.device)}"
        with progress_bar(title, images, unit="images", silent=not distributed.is_main()) as advance:
            options = InferenceOptions(test.checkpoint, test.device, test.batch_size, advance)
            made = run_evaluation.class_predictions(folder, test.store, test.split, test.views, options)
        members.append(made)
    return submission.guesses(ensemble.mean(members), kit)[photos.order]


def _report(out: Path, rows: Ids, kit: Devkit, photos: OfficialPhotos) -> list[str]:
    name = f"ILSVRC-{photos.year}'s {photos.split} set"
    whole = len(rows) == photos.official_count
    what = f"the whole of {name}" if whole else f"NOT the {photos.official_count:,} of {name}"
    line = f"{out}: {len(rows):,} lines of five ids, {what}"
    return [line, *_errors(out, rows, kit, photos.split)]


def _checked(path: Path, kit: Devkit, split: str) -> list[str]:
    from alexnet.evaluation import submission

    if not path.is_file():
        raise CommandError(f"no such file: {path}")
    rows = submission.parse_submission(path.read_text(encoding="utf-8", errors="replace"), kit, str(path))
    line = f"{path}: {len(rows):,} lines of five different ids of 1 to {len(kit.wnids):,}"
    official = submission.official_count(kit.year, split)
    if official and len(rows) != official:
        line += f", NOT the {official:,} of ILSVRC-{kit.year}'s {split} set"
    return [line, *_errors(path, rows, kit, split)]


def _errors(path: Path, rows: Ids, kit: Devkit, split: str) -> list[str]:
    """The top-5 error, if the devkit has the labels."""
    from alexnet.evaluation import submission

    truth = {"val": kit.val_wnids, "test": kit.test_wnids}.get(split)
    if not truth or len(rows) != len(truth):
        return []
    wrong = submission.count_missed(rows, truth, kit, str(path))
    counts = f"({wrong:,} of {len(rows):,})"
    return [f"top-5 error according to the devkit's labels: {100 * wrong / len(rows):.2f} % {counts}"]
