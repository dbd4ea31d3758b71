"""The photos that decode, prepare and loader are measured on."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alexnet.data.sources import Source, open_source
from alexnet.data.synthetic import synthesize

MADE_UP_PER_CLASS = 60


@contextmanager
def photos_or_made_up(path: Path | None) -> Generator[Source, None, None]:
    """The source at `path`, or some hundred made-up photos that are removed afterwards."""
    if path is not None:
        yield open_source(path, val_fraction=0)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "photos"
        synthesize(made, train_per_class=MADE_UP_PER_CLASS, val_per_class=1, layout="folder")
        yield open_source(made)
