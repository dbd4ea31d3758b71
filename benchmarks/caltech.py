"""Classic systems on Caltech-101 by the protocol of the literature.

    python -m benchmarks.caltech PHOTOS --out DIR [--systems fisher,fisher-color,llc] [--divisions 3]

`PHOTOS` are the 102 class folders (`101_ObjectCategories`), the class of clutter included. For each division
30 photos of each class train and up to 50 of the others test; the result is the mean of the classes'
errors. Photos are stored whole, as squares of 224 pixels. DIR/caltech-101.json gets a row for each system and
division; what is there is not measured again.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import alexnet
from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.data.subset import rank_in_class
from alexnet.io import write_json
from alexnet.published.caltech import MOST_TEST_PHOTOS, TRAINING_PHOTOS
from alexnet.runs.run_dir import RunDir
from benchmarks.own_photos import labels_of, write_division

RESULTS = "caltech-101.json"
SIDE = 224
_SIFT: dict[str, Any] = {"descriptor": "root-sift", "step": 4, "patches": [16, 24, 32, 40]}
SYSTEMS: dict[str, list[dict[str, Any]]] = {
    "fisher": [_SIFT],
    "fisher-color": [_SIFT, {**_SIFT, "descriptor": "color"}],
    "llc": [
        {
            "descriptor": "hog",
            "step": 8,
            "patches": [16, 24, 32],
            "pca": 0,
            "encoding": "llc",
            "codebook_size": 2048,
            "pyramid": ["1x1", "2x2", "4x4"],
        }
    ],
}
"""The channels of each: Fisher vectors of 256 components; codes over 2,048 words, as Wang et al. 2010."""


@dataclass(frozen=True)
class Row:
    """One system, trained and tested on one division of the photos."""

    system: str
    division: int
    classes: int
    training_photos: int
    test_photos: int
    balanced_error: float
    """The mean of the errors of the classes."""
    minutes: float
    """Of training and testing, on the wall clock."""


def configuration(system: str, seed: int) -> RunConfig:
    """A pipeline with classifiers by least squares: 30 photos of each class are few."""
    settings = [f"data.image_size={SIDE}", f"data.input_size={SIDE}", f"training.seed={seed}"]
    channels = f"classic.channels={json.dumps(SYSTEMS[system])}"
    return override(recipes.get("sift-fv"), [*settings, channels, "classic.classifier=least-squares"])


def divided(photos: Path, folder: Path, seed: int) -> Store:
    """The store of one division, with the splits `train` and `val`."""
    source = open_source(photos, 0)
    labels = labels_of(source)
    rank = rank_in_class(np.random.default_rng(seed).random(len(labels)), labels)
    train = rank < TRAINING_PHOTOS
    test = ~train & (rank < TRAINING_PHOTOS + MOST_TEST_PHOTOS)
    write_division(source, folder / "photos", {"train": train, "test": test})
    settings: dict[str, Any] = {"side": SIDE, "resize": "warp", "encoding": "jpeg", "channels": 3}
    return alexnet.prepare(folder / "photos", folder / "store", **settings)


def measure(photos: Path, out: Path, system: str, division: int) -> Row:
    """Trains and tests the system; a run that was stopped is resumed."""
    start = time.monotonic()
    store = divided(photos, out / f"division-{division}", division)
    run = RunDir(out / f"{system}-{division}")
    config = configuration(system, division)
    alexnet.train(config, store, run.path, resume=run.config_file.is_file())
    (result,) = alexnet.evaluate(run.path, store, views="center")
    return Row(
        system=system,
        division=division,
        classes=len(store.classes),
        training_photos=len(store.split("train")),
        test_photos=len(store.split("val")),
        balanced_error=result.balanced.error,
        minutes=(time.monotonic() - start) / 60,
    )


def read(out: Path) -> list[Row]:
    """The rows measured so far."""
    file = out / RESULTS
    return [Row(**row) for row in json.loads(file.read_text())] if file.is_file() else []


def command(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="The class folders of Caltech-101.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"For {RESULTS} and all runs.")],
    systems: Annotated[str, typer.Option(help="Several with commas.")] = ",".join(SYSTEMS),
    divisions: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure classic systems on Caltech-101."""
    for division in range(divisions):
        for system in systems.split(","):
            if (system, division) in {(row.system, row.division) for row in read(out)}:
                continue
            row = measure(photos, out, system, division)
            write_json(out / RESULTS, [asdict(other) for other in [*read(out), row]])
            typer.echo(
                f"{system}, division {division}: mean accuracy of classes "
                f"{100 * (1 - row.balanced_error):.1f} %, "
                f"{row.minutes:.1f} minutes"
            )


if __name__ == "__main__":
    typer.run(command)
