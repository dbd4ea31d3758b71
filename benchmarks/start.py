"""Seconds from the start of a command to its end, compared with an import of torch by the same Python."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from alexnet.data.sources import Source
from benchmarks.decode import first_photos
from benchmarks.timing import Measurement, median_seconds

PEER = "import torch"


def measure(source: Source) -> list[Measurement]:
    """One row for `alexnet predict` of one photo with the network that comes with the package, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "photo.jpg")
        photo.write_bytes(first_photos(source)[0])
        predict = ("-m", "alexnet", "predict", str(photo), "--device", "cpu")
        seconds = median_seconds({"predict": partial(_run, *predict), PEER: partial(_run, "-c", PEER)})
    ratio = seconds["predict"] / seconds[PEER]
    return [
        Measurement("start", "alexnet predict, one photo", seconds["predict"], "s", PEER, ratio),
        Measurement("start", PEER, seconds[PEER], "s"),
    ]


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
