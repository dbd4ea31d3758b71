"""`alexnet fetch NAME DIR`: a public data set or published weights, checked and resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="Photos: imagenette, mnist, tiny-imagenet, caltech-101. "
            "Trained nets: torchvision-alexnet, bvlc-alexnet, caffenet."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it; made if it is not there.")],
    location: Annotated[
        str | None,
        typer.Option("--from", metavar="URL-or-DIR", help="Get its files from here, not from the publisher."),
    ] = None,
) -> None:
    """Get a public data set or a trained net: half a download is continued, and every file is checked.

    A net becomes the run folder DIR/NAME, ready to predict.
    """
    from alexnet.data.download import DATA_SETS
    from alexnet.errors import CommandError
    from alexnet.interop.hub import PUBLISHED_WEIGHTS

    names = [*DATA_SETS, *PUBLISHED_WEIGHTS]
    if name not in names:
        raise CommandError(f"nothing to fetch is called {name!r}: choose from {', '.join(names)}")
    (_weights if name in PUBLISHED_WEIGHTS else _photos)(name, folder, location)


def _photos(name: str, folder: Path, location: str | None) -> None:
    from alexnet.cli.progress import progress_bar
    from alexnet.data.download import fetch, size_bytes

    with progress_bar(f"fetching {name}", size_bytes(name), unit="bytes") as advance:
        place = fetch(name, folder, location, progress=advance)
    sys.stdout.write(f"{name} is in {place}; next: alexnet prepare {place} STORE\n")


def _weights(name: str, folder: Path, location: str | None) -> None:
    from alexnet.cli.progress import progress_bar
    from alexnet.cli.terms import terms_text
    from alexnet.interop.hub import PUBLISHED_WEIGHTS, fetch_weights
    from alexnet.runs.provenance import provenance

    published = PUBLISHED_WEIGHTS[name]
    with progress_bar(f"fetching {name}", published.file.size_bytes, unit="bytes") as advance:
        run = fetch_weights(name, folder, location, advance, sys.argv)
    sys.stdout.write(terms_text(published.terms, provenance(run)))
    sys.stdout.write(f"next: alexnet predict PHOTO --model {run.path}\n")
