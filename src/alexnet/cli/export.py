"""`alexnet export RUN OUT.safetensors|OUT.onnx`, `--hub DIR` or `--web DIR`: a model with its metadata."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from alexnet.cli.output import next_command, write_lines, write_notes
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from alexnet.interop.onnx import OnnxOptions, Takes
    from alexnet.models.bundle import ModelBundle
    from alexnet.web.responses import ViewsName


def command(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN|FILE", help="A run directory, an ensemble or fit, or an exported file."),
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
    Use .onnx for other programs; it is only written if ONNX Runtime reproduces the model's output. The folder
    of --hub holds a .safetensors file, its description as JSON and a model card; that of --web is a page that
    needs no server but one that delivers files. Of an ensemble or a fit, .onnx and --web have the average of
    its models; of a fit, .safetensors and --hub have the best of them.
    """
    from alexnet.data.store import Store
    from alexnet.interop.onnx import OnnxOptions

    if [out, hub, web].count(None) != 2:
        raise CommandError(
            "type exactly one of OUT (a .safetensors or .onnx file), --hub DIR (a folder for the Hub) and "
            "--web DIR"
        )
    if runtime is not None and web is None:
        raise CommandError("--runtime is for a web page: add --web DIR")
    given = _Given(run, checkpoint, license or licence, data_terms, unfinished, precision)
    graph = OnnxOptions(
        cast("Takes", takes if web is None else "photo"), views, Store.open(store) if store else None
    )
    if out is not None:
        _to_file(given, out, graph)
    elif web is not None:
        _to_page(given, web, runtime, graph)
    elif hub is not None:
        if graph != OnnxOptions():
            raise CommandError("--hub writes a .safetensors file: omit --input, --views and --store")
        _to_hub(given, hub)


class _Given(NamedTuple):
    """The arguments of `export` besides the file."""

    run: Path
    checkpoint: str
    license: str
    data_terms: str
    unfinished: bool
    precision: str

    @property
    def options(self) -> tuple[str, str, str, bool, str]:
        """All but the first."""
        return self[1:]


def _to_file(given: _Given, out: Path, graph: OnnxOptions) -> None:
    from alexnet.interop.export import export

    if out.suffix == ".safetensors":
        _note_average(given.run)
    place = f"{out}{', replaced' if out.exists() else ''}"
    bundle = export(given.run, out, *given.options, graph, log=write_lines)
    _write(place, bundle)
    if graph.takes == "crops":
        write_lines(next_command("predict", "PHOTO", "--model", out))


def _to_page(given: _Given, folder: Path, runtime: Path | None, graph: OnnxOptions) -> None:
    from alexnet.interop.export import export
    from alexnet.web.static_page import MODEL_FILE, WebPage

    page = WebPage.begin(folder, runtime)
    target = page.folder / MODEL_FILE
    place = f"{target}{', replaced' if target.exists() else ''}"
    bundle = export(given.run, target, *given.options, graph, log=write_lines)
    _write(place, bundle)
    write_lines(*page.write(bundle, cast("ViewsName", graph.chosen_views)))


def _to_hub(given: _Given, folder: Path) -> None:
    from alexnet.interop.model_repository import export_repository
    from alexnet.runs.hugging_face import CARD_FILE

    _note_average(given.run)
    bundle = export_repository(given.run, folder, *given.options)
    _write(str(folder), bundle)
    upload = shlex.join(["hf", "upload", "OWNER/NAME", str(folder)])
    write_lines(
        f"next: choose a license in {folder / CARD_FILE}, then type: {upload}",
        "then, on any computer: alexnet predict PHOTO --model hf:OWNER/NAME",
    )


def _note_average(run: Path) -> None:
    """A note if a file of weights can have only one of the models that a fit averages."""
    from alexnet.runs.fit_record import Fit
    from alexnet.runs.run_dir import is_fit

    if is_fit(run) and len(averaged := Fit.read(run).members) > 1:
        write_notes(
            f"note: {run} averages {', '.join(averaged)}; {averaged[0]}, the best of them, is exported"
        )


def _write(place: str, bundle: ModelBundle) -> None:
    from alexnet.runs.provenance import license_lines

    write_lines(
        f"{place}: {_described(bundle)}, {len(bundle.classes):,} classes",
        *license_lines(bundle.terms, bundle.provenance),
    )


def _described(bundle: ModelBundle) -> str:
    members = bundle.provenance.members if bundle.provenance is not None else ()
    named = ", ".join(each.run for each in members)
    return f"the average of {len(members)} models ({named})" if members else bundle.config.recipe
