"""`alexnet fetch NAME DIR`: a public data set or published weights, verified and resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import names_to_fetch
from alexnet.cli.output import next_command, write_lines
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError
from alexnet.text import suggestion


def command(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=names_to_fetch,
            help="Photos: imagenette, mnist, tiny-imagenet, cifar-10, cifar-100, caltech-101. "
            "Weights: torchvision-alexnet, bvlc-alexnet, caffenet.",
        ),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder for the download; created if missing.")
    ],
    location: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL-or-DIR",
            help="Use this mirror or local folder instead of the publisher's site.",
        ),
    ] = None,
) -> None:
    """Download a public data set or published weights.

    Interrupted downloads are resumed, and every file is verified. Weights become the run directory DIR/NAME.
    """
    from alexnet.data.download import DATA_SETS
    from alexnet.interop.published_weights import PUBLISHED_WEIGHTS

    names = [*DATA_SETS, *PUBLISHED_WEIGHTS]
    if name not in names:
        raise CommandError(f"unknown data set or weights {name!r}; {suggestion(name, names)}")
    (_weights if name in PUBLISHED_WEIGHTS else _photos)(name, folder, location)


def _photos(name: str, folder: Path, location: str | None) -> None:
    from alexnet.data.download import fetch, size_bytes

    with progress_bar(f"fetching {name}", size_bytes(name), unit="bytes") as advance:
        fetched = fetch(name, folder, location, progress=advance)
    write_lines(f"{name} is in {fetched}; {next_command('prepare', fetched, 'STORE')}")


def _weights(name: str, folder: Path, location: str | None) -> None:
    from alexnet.interop.published_weights import PUBLISHED_WEIGHTS, fetch_weights
    from alexnet.runs.provenance import license_lines, provenance

    published = PUBLISHED_WEIGHTS[name]
    with progress_bar(f"fetching {name}", published.file.size_bytes, unit="bytes") as advance:
        run = fetch_weights(name, folder, location, advance, sys.argv)
    write_lines(
        *license_lines(published.terms, provenance(run)),
        next_command("predict", "PHOTO", "--model", run.path),
    )
