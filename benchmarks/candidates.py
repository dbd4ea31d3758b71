"""Which candidate of `alexnet fit` has the lowest error at which number of photos per class.

    python -m benchmarks.candidates PHOTOS... --out DIR [--per-class 5,20,100,500] [--seeds 3]
        [--seen 30000]

For each seed the photos are divided into test photos and others, of which `--per-class` are kept, as in
`benchmarks.own_photos`. Each candidate is trained on them, those that gain from time on `--seen` photos, each
photo once an epoch, and tested once with the center crop; so are averages of candidates. Nothing depends on
the speed of the machine but the minutes. DIR/candidates.json gets a row for each; what is there is not
measured again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

import alexnet
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import mean_nll
from alexnet.evaluation.prediction_cache import CENTER
from alexnet.evaluation.run_evaluation import class_predictions
from alexnet.fitting.candidates import (
    FINE_TUNED,
    FISHER,
    LINEAR,
    LINEAR_LARGE,
    PhotoCounts,
    every_candidate,
)
from alexnet.fitting.choice import wrong_predictions
from alexnet.fitting.fit import usual_side
from alexnet.io import write_json
from alexnet.runs.metrics_log import training_end
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import position
from alexnet.runs.results import wilson_interval
from alexnet.runs.run_dir import PRETRAINED, RunDir
from alexnet.training.run import train
from benchmarks.own_photos import divide

RESULTS = "candidates.json"
AVERAGES = (
    (LINEAR, LINEAR_LARGE),
    (LINEAR, FINE_TUNED),
    (LINEAR, FISHER),
    (FINE_TUNED, FISHER),
    (LINEAR, LINEAR_LARGE, FINE_TUNED),
    (LINEAR, FINE_TUNED, FISHER),
)
"""Averages of probabilities that are tested, too."""


@dataclass(frozen=True)
class Row:
    """One candidate or average, trained and tested once."""

    photos: str
    per_class: int
    """Training photos of each class; 0 for all."""
    seed: int
    candidate: str
    """Of an average, the names with ` + ` between."""
    classes: int
    training_photos: int
    test_photos: int
    errors: int
    """Wrong among the test photos."""
    nll: float
    """Mean of -ln(probability of the true class) on them."""
    updates: int
    training_error: float | None
    """At the end, on augmented images; None if there is none."""
    minutes: float | None
    """Of training, on the wall clock; None if it was begun by an earlier call."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Whose photos it is about."""
        return self.photos, self.per_class, self.seed


def measure(photos: Path, out: Path, per_class: int, seed: int, seen: int) -> Iterator[Row]:
    """A row for each candidate and average."""
    folder = out / f"{photos.name}-{per_class or 'all'}-{seed}"
    division = divide(open_source(photos, 0), folder / "photos", per_class, seed)
    side = usual_side(open_source(division.folder, 0))
    store = alexnet.prepare(
        division.folder, folder / "store", side=side, resize="crop", encoding="jpeg", channels=3
    )
    known = PhotoCounts(len(store.split("train")), len(store.classes), store.side)
    made: dict[str, Predictions] = {}
    spent: dict[str, float | None] = {}

    def row(
        name: str, predictions: Predictions, used: float | None, updates: int, error: float | None
    ) -> Row:
        return Row(
            photos=photos.name,
            per_class=per_class,
            seed=seed,
            candidate=name,
            classes=known.classes,
            training_photos=known.train,
            test_photos=len(predictions.labels),
            errors=wrong_predictions(predictions),
            nll=mean_nll(predictions.probabilities, predictions.labels),
            updates=updates,
            training_error=error,
            minutes=used,
        )

    for each in every_candidate(known, seen, seed):
        place, start = RunDir(folder / each.name), time.monotonic()
        begun = place.config_file.is_file()
        source = Path(PRETRAINED) if each.init_from == PRETRAINED else folder / each.init_from
        train(
            each.config,
            store,
            place.path,
            init_from=source if each.init_from else None,
            resume=begun,
            device="cpu",
            weights_only=True,
        )
        spent[each.name] = None if begun else (time.monotonic() - start) / 60
        made[each.name] = _tested(place, store)
        end = training_end(place.metrics_file)
        updates = 0 if each.config.classic is not None else position(place).step or 0
        yield row(each.name, made[each.name], spent[each.name], updates, end and end.error)
    for names in (each for each in AVERAGES if set(each) <= set(made)):
        mean = ensemble.mean([made[name] for name in names])
        yield row(" + ".join(names), mean, None, 0, None)


def _tested(run: RunDir, store: Store) -> Predictions:
    return class_predictions(run, store, "val", CENTER)


def read(out: Path) -> list[Row]:
    """The rows measured so far."""
    file = out / RESULTS
    return [Row(**row) for row in json.loads(file.read_text())] if file.is_file() else []


def command(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Sets of labeled photos.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"For {RESULTS} and all runs.")],
    per_class: Annotated[
        str, typer.Option(help="Training photos of each class, 0 for all; several with commas.")
    ] = "5,20,100,500",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    seen: Annotated[int, typer.Option(min=1, help="Photos in training of what gains from time.")] = 30_000,
) -> None:
    """Measure each candidate of `alexnet fit` on sets of photos."""
    for seed in range(seeds):
        for each in photos:
            for count in map(int, per_class.split(",")):
                if (each.name, count, seed) in {row.key for row in read(out)}:
                    continue
                rows = list(measure(each, out, count, seed, seen))
                write_json(out / RESULTS, [asdict(other) for other in [*read(out), *rows]])
                for row in rows:
                    low, high = wilson_interval(row.errors, row.test_photos)
                    what = f"{row.photos}, {row.per_class or 'all'} per class, seed {row.seed}"
                    typer.echo(
                        f"{what}, {row.candidate}: "
                        f"{100 * row.errors / row.test_photos:.1f} % ({100 * low:.1f} to {100 * high:.1f}), "
                        f"{row.updates:,} updates"
                    )


if __name__ == "__main__":
    typer.run(command)
