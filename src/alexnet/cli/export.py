"""`alexnet export RUN OUT.safetensors|OUT.onnx`: a net as one file that says all of itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run folder, or an exported file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file .safetensors or .onnx.")],
    checkpoint: Annotated[str, typer.Option(metavar="last|best", help="Which of the run's.")] = "last",
    license: Annotated[str, typer.Option(metavar="TEXT", help="Of the weights.")] = "",
    data_terms: Annotated[str, typer.Option(metavar="TEXT", help="Of the photos it was trained on.")] = "",
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Also a run that did not end.")] = False,
) -> None:
    """Write a net with its preprocessing, classes, configuration, errors and terms into one file.

    .safetensors is for this program (predict, evaluate, train --init-from) and any reader of safetensors;
    .onnx is for other programs, and is written only if ONNX Runtime answers as the net does.
    """
    from alexnet.cli.terms import terms_text
    from alexnet.interop.export import export

    net = export(run, out, checkpoint, license, data_terms, unfinished)
    sys.stdout.write(f"{out}: {net.config.recipe}, {len(net.classes):,} classes\n")
    sys.stdout.write(terms_text(net.terms, net.provenance))
    if out.suffix == ".safetensors":
        sys.stdout.write(f"next: alexnet predict PHOTO --model {out}\n")
