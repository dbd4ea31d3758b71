"""`alexnet compose STORE SCENES`: scenes of several objects, from photos with one box each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_lines
from alexnet.cli.progress import progress_bar


def command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A prepared store with boxes.")],
    scenes: Annotated[Path, typer.Argument(metavar="SCENES", help="The store to create.")],
    train: Annotated[int, typer.Option(min=1, help="Number of training scenes.")] = 2000,
    val: Annotated[int, typer.Option(min=1, help="Number of validation scenes.")] = 400,
    side: Annotated[int, typer.Option(min=32, help="Size of a scene in pixels.")] = 144,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one per core.")
    ] = None,
) -> None:
    """Make scenes with up to four objects and their boxes from the photos of a store, to train a detector."""
    from alexnet.data.compositing import compose
    from alexnet.data.prepare import prepare
    from alexnet.data.store import Store
    from alexnet.stopping import Stopping

    source = compose(Store.open(store), {"train": train, "val": val}, side, seed)
    with (
        Stopping("finished work is kept, run the same command again to resume"),
        progress_bar("composing", train + val, unit="scenes") as advance,
    ):
        made = prepare(source, scenes, source.settings, workers, progress=advance)
    objects = sum(int(made.split(name).all_boxes()[0].sum()) for name in made.splits)
    counts = ", ".join(f"{len(made.split(name)):,} {name}" for name in made.splits)
    write_lines(f"{made.path}: {counts} scenes with {objects:,} objects of {len(made.classes)} classes")
