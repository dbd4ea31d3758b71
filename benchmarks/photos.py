"""Photos for the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alexnet.data.sources import Source, open_source
from alexnet.data.synthetic import synthesize

SYNTHETIC_PER_CLASS = 60


@contextmanager
def photos_or_synthetic(path: Path | None) -> Generator[Source, None, None]:
    """The source at `path`, or a few hundred synthetic photos that are removed afterwards."""
    if path is not None:
        yield open_source(path, val_fraction=0)
        return
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        synthesize(photos, train_per_class=SYNTHETIC_PER_CLASS, val_per_class=1, layout="folder")
        yield open_source(photos)
