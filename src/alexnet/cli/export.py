"""`alexnet export RUN OUT.safetensors|OUT.onnx`: a model with its metadata as one file, or as a web page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from alexnet.cli.output import write_lines
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from alexnet.interop.onnx import Takes
    from alexnet.models.bundle import ModelBundle
    from alexnet.web.responses import ViewsName


def command(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN|FILE", help="A run directory, an ensemble or fit, or an exported file."),
    ],
    out: Annotated[Path | None, typer.Argument(metavar="OUT", help="A .safetensors or .onnx file.")] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best", help="Which checkpoint to export.")
    ] = "last",
    license: Annotated[str, typer.Option(metavar="TEXT", help="License of the weights.")] = "",
    licence: Annotated[str, typer.Option(hidden=True)] = "",
    data_terms: Annotated[str, typer.Option(metavar="TEXT", help="Terms of the training photos.")] = "",
    precision: Annotated[
        str,
        typer.Option(
            metavar="float32|bfloat16|int8",
            help="bfloat16 halves a .safetensors file; int8 makes an .onnx file four times smaller.",
        ),
    ] = "float32",
    store: Annotated[
        Path | None,
        typer.Option(help="For int8: photos to calibrate with (train) and to measure the errors (val)."),
    ] = None,
    takes: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="crops|photo",
            help="What an .onnx file takes: resized crops, or one photo of any size.",
        ),
    ] = "crops",
    views: Annotated[
        str,
        typer.Option(metavar="center|ten", help="The crops that a graph makes of a photo. [default: center]"),
    ] = "",
    web: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a web page that classifies photos in the browser."),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --web: the npm package onnxruntime-web, to copy from. [default: the page loads it "
            "from a public server]",
        ),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Allow a run that is not finished.")
    ] = False,
) -> None:
    """Write a model to one file, with its preprocessing, classes, configuration, errors and licenses.

    Use .safetensors for this program (predict, evaluate, train --init-from) and other readers of safetensors.
    Use .onnx for other programs; it is only written if ONNX Runtime reproduces the model's output. Of an
    ensemble or a fit, an .onnx file has the average of its models. With --web it is the folder of a page that
    needs no server but one that delivers files.
    """
    from alexnet.data.store import Store
    from alexnet.interop.export import export
    from alexnet.interop.onnx import OnnxOptions
    from alexnet.runs.provenance import license_lines
    from alexnet.web.static_page import MODEL_FILE, WebPage

    if (out is None) == (web is None):
        raise CommandError("type the file to write, OUT.safetensors or OUT.onnx, or --web DIR")
    if runtime is not None and web is None:
        raise CommandError("--runtime is for a web page: add --web DIR")
    page = WebPage.begin(web, runtime) if web is not None else None
    target = out if page is None else page.folder / MODEL_FILE
    assert target is not None
    options = OnnxOptions(
        cast("Takes", takes if page is None else "photo"), views, Store.open(store) if store else None
    )
    replaced = ", replaced" if target.exists() else ""
    bundle = export(
        *(run, target, checkpoint, license or licence, data_terms, unfinished, precision, options),
        log=write_lines,
    )
    write_lines(
        f"{target}{replaced}: {_described(bundle)}, {len(bundle.classes):,} classes",
        *license_lines(bundle.terms, bundle.provenance),
    )
    if page is not None:
        write_lines(*page.write(bundle, cast("ViewsName", options.chosen_views)))
    elif options.takes == "crops":
        write_lines(f"next: alexnet predict PHOTO --model {target}")


def _described(bundle: ModelBundle) -> str:
    members = bundle.provenance.members if bundle.provenance is not None else ()
    named = ", ".join(each.run for each in members)
    return f"the average of {len(members)} models ({named})" if members else bundle.config.recipe
