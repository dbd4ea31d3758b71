"""`alexnet serve RUN... [--store STORE] [--port 8000]`: a page on this computer that names photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, ensembles or exported files."),
    ],
    store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Photos to try, and to find similar ones in.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
) -> None:
    """Show in a browser what nets say of photos that are dropped, pasted, chosen or taken with the camera.

    Answers on this computer only (127.0.0.1), also programs: see /api/openapi.json. Of several runs the page
    lets one choose. Photos are never written to a disk. Ctrl-C ends it.
    """
    from alexnet.cli.device import choose_device, describe_device
    from alexnet.data.store import Store
    from alexnet.web.app import make_app
    from alexnet.web.open_models import check_classes, open_models
    from alexnet.web.photos import StorePhotos
    from alexnet.web.server import serve

    chosen = choose_device(device)
    opened = Store.open(store) if store else None
    models = open_models(runs, chosen)
    if opened:
        check_classes(models, opened)
    names = ", ".join(model.name for model in models)

    def ready(url: str) -> None:
        sys.stdout.write(f"{names} on {describe_device(chosen)}: {url} (Ctrl-C ends it)\n")
        sys.stdout.flush()

    serve(make_app(models, StorePhotos(opened) if opened else None), port, ready)
