"""`alexnet export RUN OUT.safetensors|OUT.onnx`: a model with its metadata as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_lines


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run directory or an exported file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors or .onnx file.")],
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best", help="Which checkpoint to export.")
    ] = "last",
    license: Annotated[str, typer.Option(metavar="TEXT", help="License of the weights.")] = "",
    licence: Annotated[str, typer.Option(hidden=True)] = "",
    data_terms: Annotated[str, typer.Option(metavar="TEXT", help="Terms of the training photos.")] = "",
    precision: Annotated[
        str,
        typer.Option(metavar="float32|bfloat16", help="bfloat16 halves a .safetensors file."),
    ] = "float32",
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Allow a run that is not finished.")
    ] = False,
) -> None:
    """Write a model to one file, with its preprocessing, classes, configuration, errors and licenses.

    Use .safetensors for this program (predict, evaluate, train --init-from) and other readers of safetensors.
    Use .onnx for other programs; it is only written if ONNX Runtime reproduces the model's output.
    """
    from alexnet.interop.export import export
    from alexnet.runs.provenance import license_lines

    replaced = ", replaced" if out.exists() else ""
    bundle = export(run, out, checkpoint, license or licence, data_terms, unfinished, precision)
    write_lines(
        f"{out}{replaced}: {bundle.config.recipe}, {len(bundle.classes):,} classes",
        *license_lines(bundle.terms, bundle.provenance),
        f"next: alexnet predict PHOTO --model {out}",
    )
