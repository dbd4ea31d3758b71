"""`alexnet report RUN... --out DIR`: one HTML page about runs, which works without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

PAGE, FIGURES = "report.html", "figures"


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|FILE...", help="Folders of runs or ensembles, or exported files."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"The folder that gets {PAGE}.")],
    store: Annotated[
        Path | None,
        typer.Option(help="Their photos; by default the store they were trained on, if it is still there."),
    ] = None,
    detailed: Annotated[
        int,
        typer.Option(min=0, help="Runs with activations, saliency and nearest images, which take longest."),
    ] = 3,
    figures: Annotated[
        bool, typer.Option("--figures", help=f"Also keep each figure as PNG and SVG in DIR/{FIGURES}.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
) -> None:
    """Write one page about runs: errors, curves, filters, predictions, neighbors, and how to reproduce them.

    The page is one file with its figures inside. Predictions and features are read from the runs, or computed
    and kept there. Runs on different data are refused.
    """
    from alexnet.hardware import choose_device

    page = write_report(runs, out, store, choose_device(device), detailed, figures)
    typer.echo(f"{page}: {page.stat().st_size / 1e6:.1f} MB")


def write_report(
    runs: list[Path],
    out: Path,
    store: Path | None,
    device: torch.device,
    detailed: int,
    figures: bool = False,
) -> Path:
    """The page's path; an older page is replaced by a complete one only. Errors as `build_report`."""
    from functools import partial
    from typing import cast

    from alexnet.cli.progress import progress_bar
    from alexnet.data.store import Store
    from alexnet.errors import CommandError
    from alexnet.io import refuse_unwritable, write_whole
    from alexnet.report.build import build_report
    from alexnet.report.plots.output import FORMS, save
    from alexnet.report.sections.model import ProgressBar

    if out.is_file():
        raise CommandError(f"{out} is a file: give --out a folder")
    refuse_unwritable(out / PAGE)
    opened = None if store is None else Store.open(store)
    bars = cast(ProgressBar, partial(progress_bar, unit="images"))

    def keep(name: str, figure: Figure) -> None:
        for form in FORMS if figures else ():
            save(figure, out / FIGURES / f"{name}{form}")

    text = build_report(runs, opened, device, bars, detailed, keep)
    write_whole(out / PAGE, text.encode("utf-8", "replace"))
    return out / PAGE
