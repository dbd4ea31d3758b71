"""`alexnet report RUN... --out DIR`: one HTML page about runs, which works without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.output import write_lines
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError
from alexnet.hardware import choose_device
from alexnet.io import refuse_unwritable, write_whole
from alexnet.progress import ProgressBar
from alexnet.text import sized

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

PAGE, FIGURES = "report.html", "figures"


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|FILE...",
            help="Runs, ensembles, exported files, or folders that evaluate_model wrote in Python.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"The folder for {PAGE}.")],
    store: Annotated[
        Path | None,
        typer.Option(
            help="The store with the photos; by default the one used in training, if it still exists."
        ),
    ] = None,
    detailed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of runs for which the slowest figures are drawn: activations, saliency, nearest "
            "images.",
        ),
    ] = 3,
    figures: Annotated[
        bool, typer.Option("--figures", help=f"Also write each figure as PNG and SVG to DIR/{FIGURES}.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
) -> None:
    """Write one HTML page about runs: errors, curves, filters, predictions, neighbors, how to reproduce them.

    The page is one file that contains its figures. Predictions and features are read from the run
    directories, or computed and saved there. Runs trained on different data are refused.
    """

    page = write_report(runs, out, store, choose_device(device), detailed, figures)
    write_lines(f"{page}: {sized(page.stat().st_size)}")


def write_report(
    runs: list[Path],
    out: Path,
    store: Path | None,
    device: torch.device,
    detailed: int,
    figures: bool = False,
) -> Path:
    """Writes the page and returns its path; an older page is only replaced by a complete one. Errors as
    `build_report`.
    """
    from functools import partial
    from typing import cast

    from alexnet.data.store import Store
    from alexnet.report.build import build_report
    from alexnet.report.plots.output import KEPT_SUFFIXES, save

    if out.is_file():
        raise CommandError(f"{out} is a file: choose a folder with --out DIR")
    refuse_unwritable(out / PAGE)
    opened = None if store is None else Store.open(store)
    bars = cast(ProgressBar, partial(progress_bar, unit="images"))

    def keep(name: str, figure: Figure) -> None:
        for form in KEPT_SUFFIXES if figures else ():
            save(figure, out / FIGURES / f"{name}{form}")

    text = build_report(runs, opened, device, bars, detailed, keep)
    write_whole(out / PAGE, text.encode("utf-8", "replace"))
    return out / PAGE
