"""`alexnet export RUN OUT.safetensors|OUT.onnx`, or `--hub DIR`: a model with its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_lines, write_notes
from alexnet.errors import CommandError


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|FILE", help="A run directory, a fit or an exported file.")
    ],
    out: Annotated[Path | None, typer.Argument(metavar="OUT", help="A .safetensors or .onnx file.")] = None,
    hub: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Instead of OUT: a folder to upload to the Hugging Face Hub, with a model card.",
        ),
    ] = None,
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
    Use .onnx for other programs; it is only written if ONNX Runtime reproduces the model's output. The folder
    of --hub holds a .safetensors file, its description as JSON and a model card. Of a fit that averages
    several models, the best one is exported.
    """
    from alexnet.fitting.record import Fit
    from alexnet.interop.export import export
    from alexnet.interop.model_repository import export_repository
    from alexnet.runs.hugging_face import CARD_FILE
    from alexnet.runs.provenance import license_lines
    from alexnet.runs.run_dir import is_fit

    if is_fit(run) and len(averaged := Fit.read(run).members) > 1:
        write_notes(
            f"note: {run} averages {', '.join(averaged)}; {averaged[0]}, the best of them, is exported"
        )
    options = (checkpoint, license or licence, data_terms, unfinished, precision)
    if out is not None and hub is None:
        place = f"{out}{', replaced' if out.exists() else ''}"
        bundle = export(run, out, *options)
        then = [f"next: alexnet predict PHOTO --model {out}"]
    elif hub is not None and out is None:
        place = str(hub)
        bundle = export_repository(run, hub, *options)
        then = [
            f"next: choose a license in {hub / CARD_FILE}, then type: hf upload OWNER/NAME {hub}",
            "then, on any computer: alexnet predict PHOTO --model hf:OWNER/NAME",
        ]
    else:
        raise CommandError(
            "type either OUT, a .safetensors or .onnx file, or --hub DIR, a folder for the Hub"
        )
    write_lines(
        f"{place}: {bundle.config.recipe}, {len(bundle.classes):,} classes",
        *license_lines(bundle.terms, bundle.provenance),
        *then,
    )
