"""`alexnet serve RUN... [--store STORE] [--port 8000]`: a web demo and a JSON API on this computer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.hardware import choose_device, describe_device
from alexnet.runs.run_dir import PRETRAINED, RunDir


def command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN...",
            help="Run directories, ensembles, exported files or models of the Hugging Face Hub "
            "(hf:OWNER/NAME). By default `pretrained`, the model that comes with alexnet.",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="A store with photos to try and to find similar ones in."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8000,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
) -> None:
    """Start a web demo that classifies photos, and a JSON API.

    Open the printed address in a browser, and drop, paste, choose or take a photo. Only this computer is
    served (127.0.0.1). Programs can use the JSON API, described at /api/openapi.json. With several runs, the
    page offers a choice. An ensemble or a fit is the average of its models, and these follow. Photos are
    never written to a disk. Ctrl-C stops the server.
    """
    from alexnet.data.store import Store
    from alexnet.runs.provenance import unfinished_note
    from alexnet.web.app import make_app
    from alexnet.web.photos import StorePhotos
    from alexnet.web.served_model import add_similar, check_model_classes, open_models, served_paths
    from alexnet.web.server import listening, serve

    with listening(port) as listener:  # first: a port that is taken is reported at once
        chosen = choose_device(device)
        opened = Store.open(store) if store else None
        given = runs or [Path(PRETRAINED)]
        models, paths = open_models(given, chosen), served_paths(given)
        if opened:
            check_model_classes(models, opened)
            for path, model in zip(paths, models, strict=True):
                add_similar(model, path, opened, chosen, partial(progress_bar, unit="images"))
        for note in filter(None, (unfinished_note(RunDir(path)) for path in paths)):
            write_notes(note)
        names = ", ".join(model.name for model in models)

        def ready(url: str) -> None:
            write_lines(
                f"{names} on {describe_device(chosen)}: {url} (Ctrl-C stops it)",
                f"for programs: curl --data-binary @photo.jpg {url}/api/classify",
            )

        serve(make_app(models, StorePhotos(opened) if opened else None), listener, ready)
