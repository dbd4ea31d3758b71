"""`alexnet serve RUN... [--store STORE] [--port 8000]`: a page on this computer that names photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from alexnet.data.store import Store
    from alexnet.web.model import Model
    from alexnet.web.photos import StorePhotos


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
    from alexnet.data.store import Store
    from alexnet.hardware import choose_device, describe_device
    from alexnet.runs.run_dir import members_of
    from alexnet.web.app import make_app
    from alexnet.web.open_models import check_classes, open_models
    from alexnet.web.photos import StorePhotos
    from alexnet.web.server import listening, serve

    with listening(port) as listener:  # first: whether the port is free is known at once
        chosen = choose_device(device)
        opened = Store.open(store) if store else None
        photos = StorePhotos(opened) if opened else None
        members = members_of(runs)
        models = open_models(members, chosen)
        if opened and photos:
            check_classes(models, opened)
            for path, model in zip(members, models, strict=True):
                _offer_similar(path, model, opened, photos, chosen)
        names = ", ".join(model.name for model in models)

        def ready(url: str) -> None:
            sys.stdout.write(f"{names} on {describe_device(chosen)}: {url} (Ctrl-C ends it)\n")
            sys.stdout.flush()

        serve(make_app(models, photos), listener, ready)


def _offer_similar(path: Path, model: Model, store: Store, photos: StorePhotos, device: torch.device) -> None:
    """Lets the model find similar training images, where it has a last hidden layer and there are some."""
    from alexnet.analysis.features import last_hidden_layer
    from alexnet.cli.similar import similar_images
    from alexnet.errors import CommandError
    from alexnet.web.further import similar

    split = "train"
    try:
        layer = last_hidden_layer(model.classifier.model)
    except CommandError:
        return
    if split in store.splits:
        images = similar_images(path, model.classifier, store, split, layer, device)
        model.more["similar"] = similar(images, photos, split, layer)
