"""`python -m benchmarks.loading`: what it costs to compare weights with their digest when they are loaded.

The file is an `alexnet-2012` of 1,000 classes with random weights, 244 MB, in the page cache. It is loaded
with both digests, with the SHA-256 alone, and without one, when only its values are checked to be finite.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
import typer
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet import recipes
from alexnet.checksum import CHECKSUM
from alexnet.data.classes import imagenet_classes
from alexnet.models import bundle
from alexnet.models.registry import build_run
from alexnet.runs.checkpoints import TENSORS_XXH3
from alexnet.runs.run_dir import PRETRAINED, located
from benchmarks.timing import Measurement, as_csv

RECIPE = "alexnet-2012"
DROPPED = {
    "without a digest": (TENSORS_XXH3, bundle.TENSORS_DIGEST, CHECKSUM),
    "XXH3": (),
    "SHA-256": (TENSORS_XXH3,),
}
"""The texts that each file has not."""


def measure(rounds: int = 15) -> list[Measurement]:
    """CPU and wall seconds of a load, medians of alternating rounds; ratios to the file without a digest."""
    seconds: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Path(folder))
        for number in range(rounds + 1):
            for name, path in files.items():
                os.utime(path)  # a file that was replaced is compared again
                wall, cpu = time.perf_counter(), time.process_time()
                bundle.load(path, "cpu")
                if number:
                    seconds["CPU", name].append(time.process_time() - cpu)
                    seconds["wall", name].append(time.perf_counter() - wall)
    medians = {each: statistics.median(values) for each, values in seconds.items()}
    peer = next(iter(DROPPED))
    return [
        Measurement("loading", f"{name}, {clock}", value, "s", peer, value / medians[clock, peer])
        for (clock, name), value in medians.items()
    ]


def _files(folder: Path) -> dict[str, Path]:
    config, classes = recipes.get(RECIPE), imagenet_classes()
    torch.manual_seed(0)
    model = build_run(config, len(classes))
    net = replace(bundle.load(located(Path(PRETRAINED)), "cpu"), model=model, config=config, classes=classes)
    whole = folder / "net.safetensors"
    bundle.save(whole, net)
    with safe_open(whole, "pt") as opened:
        texts = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    found: dict[str, Path] = {}
    for number, (name, dropped) in enumerate(DROPPED.items()):
        found[name] = folder / f"{number}.safetensors"
        save_file(tensors, found[name], {key: text for key, text in texts.items() if key not in dropped})
    return found


def command() -> None:
    """Measure how long weights take to load, with and without a comparison with their digests; prints CSV."""
    typer.echo(as_csv(measure()), nl=False)


if __name__ == "__main__":
    typer.run(command)
