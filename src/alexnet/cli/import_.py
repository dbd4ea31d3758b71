"""`alexnet import FILE RUN --as torchvision|caffe`: makes a run directory from weights of another
framework."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import next_command, write_lines
from alexnet.errors import CommandError


class _Format(StrEnum):
    torchvision = "torchvision"
    caffe = "caffe"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or a .caffemodel.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A new run directory.")],
    source_format: Annotated[_Format, typer.Option("--as", help="The framework that wrote FILE.")],
    mean_file: Annotated[
        Path | None,
        typer.Option(
            "--mean",
            metavar="FILE",
            help="Caffe's mean image or color, .binaryproto or .npy; by default its mean color.",
        ),
    ] = None,
    variant: Annotated[
        str,
        typer.Option(
            metavar="caffe|caffenet", help="The model of a .caffemodel whose file does not name it."
        ),
    ] = "",
    classes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file with one wnid or wnid<TAB>name per line, if the classes are not ImageNet's "
            "1,000.",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW", help="Rename a layer of FILE to the model's name: fc8_flickr=fc8. Repeatable."
        ),
    ] = None,
) -> None:
    """Make a run directory from weights of torchvision (AlexNet, VGG) or Caffe (AlexNet).

    It works with every command that accepts a run: predict, evaluate, export, train --init-from. Code in FILE
    is never executed.
    """
    from alexnet.interop import caffe, torchvision
    from alexnet.interop.importers import parse_renames, read_class_list, refuse_taken, write_run
    from alexnet.runs.provenance import license_lines, provenance

    refuse_taken(run)
    if source_format == _Format.torchvision and (mean_file or variant):
        raise CommandError("--mean and --variant are for --as caffe: omit them")
    names = read_class_list(classes) if classes else []
    renames = parse_renames(rename or [])
    bundle = (
        caffe.read_caffe(file, mean_file, variant, names, renames)
        if source_format == _Format.caffe
        else torchvision.read_torchvision(file, names, renames)
    )
    made = write_run(run, bundle, file, source_format.value, sys.argv)
    write_lines(
        f"{run}: {bundle.config.recipe}, {len(bundle.classes):,} classes",
        *license_lines(bundle.terms, provenance(made)),
        next_command("predict", "PHOTO", "--model", run),
    )
