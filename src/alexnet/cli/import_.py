"""`alexnet import FILE RUN --as torchvision|caffe`: another program's net becomes a run folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class _Form(StrEnum):
    torchvision = "torchvision"
    caffe = "caffe"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or a .caffemodel.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A new run folder.")],
    form: Annotated[_Form, typer.Option("--as", help="The program that wrote FILE.")],
    mean: Annotated[
        Path | None,
        typer.Option(metavar="FILE.binaryproto", help="Caffe's mean image; else a mean color."),
    ] = None,
    variant: Annotated[
        str, typer.Option(metavar="caffe|caffenet", help="For a caffemodel that does not say which.")
    ] = "",
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="wnid or wnid<TAB>name a line, where not ImageNet's 1,000."),
    ] = None,
) -> None:
    """Make a run folder of weights that torchvision (AlexNet, VGG) or Caffe (AlexNet) trained.

    Whatever takes a run takes it: predict, evaluate, export, train --init-from. FILE is read without running
    anything that is in it.
    """
    from alexnet.cli.terms import terms_text
    from alexnet.errors import CommandError
    from alexnet.interop import caffe, torchvision
    from alexnet.interop.importers import read_classes, refuse_taken, write_run
    from alexnet.runs.provenance import provenance

    refuse_taken(run)
    if form == _Form.torchvision and (mean or variant):
        raise CommandError("--mean and --variant are for --as caffe: leave them out")
    names = read_classes(classes) if classes else []
    net = caffe.read(file, mean, variant, names) if form == _Form.caffe else torchvision.read(file, names)
    made = write_run(run, net, file, form.value, sys.argv)
    sys.stdout.write(f"{run}: {net.config.recipe}, {len(net.classes):,} classes\n")
    sys.stdout.write(terms_text(net.terms, provenance(made)))
    sys.stdout.write(f"next: alexnet predict PHOTO --model {run}\n")
