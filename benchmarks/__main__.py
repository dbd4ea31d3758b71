"""`python -m benchmarks [NAME]`: rates beside a peer's and the machine's limit, in one run, as CSV."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alexnet.evaluation.predictor import Predictor
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


def command(
    name: Annotated[_Name | None, typer.Argument(metavar="[NAME]", help="One; all by default.")] = None,
    source: Annotated[
        Path | None, typer.Option(help="Photos for decode, prepare, loader and serve; made up by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Also keep each as DIR/NAME.csv.")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:1; for layers, step and serve.")
    ] = "auto",
) -> None:
    """Measure images per second, bytes and errors; each row is a ratio to a peer in the same run."""
    from benchmarks.timing import as_csv, write_csv

    for each in [name] if name else list(_Name):
        rows = _measure(each, source, device)
        sys.stdout.write(as_csv(rows))
        sys.stdout.flush()
        if out:
            write_csv(out / f"{each.value}.csv", rows)


def _measure(name: _Name, source: Path | None, device: str) -> list[Measurement]:
    from alexnet.hardware import choose_device
    from benchmarks import classic, decode, layers, loader, neighbors, prepare, step
    from benchmarks.photos import photos_or_made_up

    if name in (_Name.classic, _Name.neighbors):
        return {_Name.classic: classic, _Name.neighbors: neighbors}[name].measure()
    if name in (_Name.layers, _Name.step):
        return {_Name.layers: layers, _Name.step: step}[name].measure(choose_device(device))
    with photos_or_made_up(source) as photos:
        if name is _Name.serve:
            from benchmarks import serve

            return serve.measure(photos, _serving, choose_device(device))
        return {_Name.decode: decode, _Name.prepare: prepare, _Name.loader: loader}[name].measure(photos)


def _serving(classifier: Predictor) -> AbstractContextManager[str]:
    from alexnet.web.app import make_app
    from alexnet.web.model import Model
    from alexnet.web.server import serving

    return serving(make_app([Model("net", classifier)]))


if __name__ == "__main__":
    typer.run(command)
