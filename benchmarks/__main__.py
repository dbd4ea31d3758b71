"""`python -m benchmarks [NAME]`: rates, with ratios to a peer and to the machine's limit, as CSV."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmarks.timing import Measurement


class _Name(StrEnum):
    decode = "decode"
    prepare = "prepare"
    loader = "loader"
    layers = "layers"
    step = "step"
    classic = "classic"
    serve = "serve"
    neighbors = "neighbors"
    start = "start"


def command(
    name: Annotated[
        _Name | None, typer.Argument(metavar="[NAME]", help="One benchmark; all by default.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="Photos for decode, prepare, loader, serve and start; synthetic by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Also write DIR/NAME.csv.")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:1; for layers, step and serve.")
    ] = "auto",
) -> None:
    """Measure images per second, bytes and errors, with ratios to a peer in the same run."""
    from alexnet.hardware import keep_freed_memory
    from benchmarks.timing import as_csv, write_csv

    keep_freed_memory()  # as the commands of alexnet do
    for each in [name] if name else list(_Name):
        rows = _measure(each, source, device)
        sys.stdout.write(as_csv(rows))
        sys.stdout.flush()
        if out:
            write_csv(out / f"{each.value}.csv", rows)


def _measure(name: _Name, source: Path | None, device: str) -> list[Measurement]:
    from alexnet.hardware import choose_device
    from benchmarks import classic, decode, layers, loader, neighbors, prepare, serve, start, step
    from benchmarks.photos import photos_or_synthetic

    chosen = choose_device(device)
    without_photos = {
        _Name.classic: classic.measure,
        _Name.neighbors: neighbors.measure,
        _Name.layers: partial(layers.measure, chosen),
        _Name.step: partial(step.measure, chosen),
    }
    if name in without_photos:
        return without_photos[name]()
    with_photos = {
        _Name.decode: decode.measure,
        _Name.prepare: prepare.measure,
        _Name.loader: loader.measure,
        _Name.serve: partial(serve.measure, device=chosen),
        _Name.start: start.measure,
    }
    with photos_or_synthetic(source) as photos:
        return with_photos[name](photos)


if __name__ == "__main__":
    typer.run(command)
