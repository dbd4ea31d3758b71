"""`alexnet lecture --out DIR`: the figures of the lecture that are not about one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_lines
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for figures and numbers.")] = Path(
        "lecture"
    ),
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|FILE", help="An AlexNet trained with dropout; also draws dropout as model averaging."
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The store with the photos for --model, made by `alexnet prepare`.")
    ] = None,
    masks: Annotated[int, typer.Option(min=1, help="Largest number of dropout masks to average.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to draw the masks.")] = 3,
    photos: Annotated[int, typer.Option(min=1, help="Largest number of validation photos.")] = 2000,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
) -> None:
    """Draw the figures of a lecture on AlexNet that are not about one run.

    They are the bound and the lateral inhibition of response normalization, and the lowest errors of
    ILSVRC by year. With --model and --store also dropout as model averaging: the mean softmax of random
    masks beside all units, scaled. The figures of one run are in `alexnet report`, and its claims are
    tested by `alexnet claims`; docs/lecture.md goes through all of them.
    """
    from alexnet.io import refuse_unwritable
    from alexnet.report.plots.output import KEPT_SUFFIXES, save
    from alexnet.report.sections import lecture

    if (model is None) != (store is None):
        raise CommandError("dropout as model averaging needs both --model RUN and --store STORE")
    refuse_unwritable(out / "response-norm.png")
    drawn = {"response-norm": lecture.response_norm(), "contest": lecture.contest()}
    if model is not None and store is not None:
        from alexnet.data.store import Store
        from alexnet.experiments.model_averaging import average_masks
        from alexnet.models import bundle
        from alexnet.runs.run_dir import find_weights

        loaded, opened = bundle.load(find_weights(model), device, needs_weights=True), Store.open(store)
        count = seeds * min(photos, len(opened.split("val")))
        with progress_bar("masks", count, unit="photos") as advance:
            found = average_masks(
                loaded, opened, masks=masks, seeds=range(seeds), photos=photos, progress=advance
            )
        found.save(out)
        drawn["model-averaging"] = lecture.model_averaging(found)
    for name, each in drawn.items():
        for suffix in KEPT_SUFFIXES:
            save(each.figure, out / f"{name}{suffix}")
        write_lines(f"{out / name}.png: {each.alt_text}")
