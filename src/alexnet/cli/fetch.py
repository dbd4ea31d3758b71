"""`alexnet fetch NAME DIR`: a public data set, checked and resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="imagenette, mnist, tiny-imagenet or caltech-101.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it; made if it is not there.")],
    location: Annotated[
        str | None,
        typer.Option("--from", metavar="URL-or-DIR", help="Get its files from here, not from the publisher."),
    ] = None,
) -> None:
    """Get a public data set: half a download is continued, and every file is checked."""
    from alexnet.cli.progress import progress_bar
    from alexnet.data.fetch import fetch, size_bytes

    with progress_bar(f"fetching {name}", size_bytes(name), unit="bytes") as advance:
        place = fetch(name, folder, location, progress=advance)
    sys.stdout.write(f"{name} is in {place}; next: alexnet prepare {place} STORE\n")
