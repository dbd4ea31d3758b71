"""`alexnet submit RUN... --store STORE --devkit KIT --out FILE.txt`: a test set's answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.views import SCALES_HELP, VIEWS_METAVAR, parse_scales

if TYPE_CHECKING:
    import torch

    from alexnet.data.sources.devkit import Devkit
    from alexnet.data.store import Store
    from alexnet.evaluation.submission import Ids, Photos


def command(
    devkit: Annotated[Path, typer.Option(metavar="KIT", help="ILSVRC2012_devkit_t12: packed, or a folder.")],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Several, or an ensemble's folder, are averaged."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Where the images are.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.txt", help="The file to write.")] = None,
    split: Annotated[str, typer.Option(help="Which of the store's splits.")] = "test",
    views: Annotated[str, typer.Option(metavar=VIEWS_METAVAR, help="What the net sees of a photo.")] = "ten",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    checkpoint: Annotated[str, typer.Option(metavar="last|best", help="Of each run.")] = "last",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Squares (images x views) at once.")] = 256,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE.txt", help="Only look whether that file is right.")
    ] = None,
) -> None:
    """Write five ILSVRC ids a line, the most probable first, a line a photo in the order of official names.

    All is checked before it is written. Where the kit has the answers (--split val), the top-5 error is told.
    `alexnet submit --check FILE.txt --devkit KIT` looks at a file that is there, whoever wrote it.
    """
    from alexnet import distributed
    from alexnet.data.sources.devkit import read_any_devkit, read_devkit
    from alexnet.data.store import Store
    from alexnet.errors import CommandError
    from alexnet.evaluation import submission
    from alexnet.hardware import choose_device

    if check is not None:
        sys.stdout.write(_checked(check, read_any_devkit(devkit), split))
        return
    if not runs or store is None or out is None:
        raise CommandError("give RUN..., --store STORE and --out FILE.txt; or --check FILE.txt")
    test = (split, views, checkpoint, parse_scales(scales))
    opened, chosen = Store.open(store), choose_device(device)
    photos = submission.photos_of(opened.split(split))
    kit = read_devkit(devkit, photos.year)
    submission.ids_of([each.wnid for each in opened.classes], kit)  # before a net works for hours
    with distributed.running(chosen):
        rows = _rows(runs, opened, kit, photos, test, chosen, batch)
        if not distributed.is_main():
            return
    submission.write(out, rows, kit)
    sys.stdout.write(_report(out, rows, kit, photos))
    unnamed = len(kit.wnids) - len(opened.classes)
    if unnamed:
        sys.stderr.write(f"the kit has {unnamed:,} classes that the net does not know\n")


def _rows(
    runs: list[Path],
    store: Store,
    kit: Devkit,
    photos: Photos,
    test: tuple[str, str, str, tuple[int, ...]],
    device: torch.device,
    batch: int,
) -> Ids:
    from alexnet import distributed
    from alexnet.cli.progress import progress_bar
    from alexnet.evaluation import ensemble, run_evaluation, submission
    from alexnet.hardware import describe_device
    from alexnet.runs.run_dir import RunDir, members_of

    folders = [RunDir.open(run, or_file=True) for run in members_of(runs)]
    split, views, checkpoint, scales = test
    run_evaluation.same_question(folders, store, checkpoint)
    images = len(photos.order) // distributed.world_size()
    members = []
    for folder in folders:
        title = f"testing {folder.path.name} on {describe_device(device)}"
        with progress_bar(title, images, unit="images", silent=not distributed.is_main()) as advance:
            options = checkpoint, device, batch, advance, scales
            members.append(run_evaluation.predictions_of(folder, store, split, views, *options))
    return submission.guesses(ensemble.mean(members), kit)[photos.order]


def _report(out: Path, rows: Ids, kit: Devkit, photos: Photos) -> str:
    name = f"ILSVRC-{photos.year}'s {photos.split} set"
    whole = len(rows) == photos.official_count
    what = f"the whole of {name}" if whole else f"NOT the {photos.official_count:,} of {name}"
    said = f"{out}: {len(rows):,} lines of five ids, {what}\n"
    return said + _errors(out, rows, kit, photos.split)


def _checked(path: Path, kit: Devkit, split: str) -> str:
    from alexnet.errors import CommandError
    from alexnet.evaluation import submission

    if not path.is_file():
        raise CommandError(f"no such file: {path}")
    rows = submission.parse(path.read_text(encoding="utf-8", errors="replace"), kit, str(path))
    said = f"{path}: {len(rows):,} lines of five different ids of 1 to {len(kit.wnids):,}"
    official = submission.official_count(kit.year, split)
    if official and len(rows) != official:
        said += f", NOT the {official:,} of ILSVRC-{kit.year}'s {split} set"
    return f"{said}\n{_errors(path, rows, kit, split)}"


def _errors(path: Path, rows: Ids, kit: Devkit, split: str) -> str:
    """The top-5 error, where the kit has the answers."""
    from alexnet.evaluation import submission

    truth = {"val": kit.val_wnids, "test": kit.test_wnids}.get(split)
    if not truth or len(rows) != len(truth):
        return ""
    wrong = submission.count_errors(rows, truth, kit, str(path))
    return f"top-5 error by the kit's answers: {100 * wrong / len(rows):.2f} % ({wrong:,} of {len(rows):,})\n"
