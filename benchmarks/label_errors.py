"""How many planted wrong labels the lists of `alexnet fit` find: by `linear`'s features, and by `sift-fv`.

    python -m benchmarks.label_errors PHOTOS... --out DIR [--photos 1000] [--seeds 3]

For each seed at most `--photos` photos, the same fraction of each class, are divided into splits as `fit`
divides them, and 5 % of them get the label of another class at random. Then the two models are trained as
`fit` trains them, `sift-fv` after the choice with the validation photos added, and each makes its list.
DIR/label-errors.json gets a row for each; what is there is not measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

import alexnet
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.data.subset import rank_in_class
from alexnet.evaluation.prediction_cache import CENTER
from alexnet.evaluation.run_evaluation import class_predictions
from alexnet.fitting import label_errors
from alexnet.fitting.candidates import FISHER, LINEAR, PhotoCounts, every_candidate
from alexnet.fitting.fit import usual_side
from alexnet.fitting.label_errors import fisher_probabilities, linear_probabilities, ranking, suspicious
from alexnet.fitting.splits import TEST, TRAIN, VALIDATION, with_three_splits
from alexnet.io import write_json
from alexnet.runs.metrics_log import last_layer_strength
from alexnet.runs.run_dir import PRETRAINED, RunDir
from alexnet.training.last_layer import DEFAULT_STRENGTH
from alexnet.training.run import train
from benchmarks.own_photos import labels_of

RESULTS, WRONG = "label-errors.json", "wrong-"
"""`WRONG` begins the names of the files whose label is wrong."""
PLANTED = 0.05
"""Fraction of the photos whose labels are wrong."""


@dataclass(frozen=True)
class Row:
    """One list, made once."""

    photos: str
    seed: int
    model: str
    number: int
    """Of photos."""
    planted: int
    """Wrong labels."""
    found: int
    """Planted ones among the first photos of the ranking, as many as were planted."""
    listed: int
    """Photos that `fit` would list, of the first ones."""
    found_listed: int
    """Planted ones among these."""


def measure(photos: Path, out: Path, most: int, seed: int) -> Iterator[Row]:
    """A row for each of the two models."""
    folder = out / f"{photos.name}-{seed}"
    planted = plant(photos, folder / "photos", most, seed)
    source = with_three_splits(open_source(folder / "photos", 0))
    side = usual_side(source)
    store = alexnet.prepare(source, folder / "store", side=side, resize="crop", encoding="jpeg", channels=3)
    known = PhotoCounts(len(store.split(TRAIN)), len(store.classes), store.side)
    for each in every_candidate(known, 1, seed):
        if each.name not in (LINEAR, FISHER):
            continue
        run, config = RunDir(folder / each.name), each.config
        if each.name == FISHER:
            config = replace(config, data=replace(config.data, train_splits=(TRAIN, VALIDATION)))
        train(
            config,
            store,
            run.path,
            init_from=Path(PRETRAINED) if each.init_from else None,
            resume=run.config_file.is_file(),
            device="cpu",
            weights_only=True,
        )
        probabilities = _probabilities(each.name, run, store, seed)
        names = list(chain.from_iterable(store.split(split).keys() for split in store.splits))
        is_wrong = np.array([Path(key).name.startswith(WRONG) for key in names])
        listed = suspicious(probabilities, label_errors.labels_of(store))
        first = ranking(probabilities, label_errors.labels_of(store))[:planted]
        counts = [int(is_wrong[numbers].sum()) for numbers in (first, listed)]
        yield Row(photos.name, seed, each.name, len(names), planted, counts[0], len(listed), counts[1])


def plant(photos: Path, folder: Path, most: int, seed: int) -> int:
    """Writes some photos to class folders, a few of them to a wrong one; returns the number of these."""
    source, random = open_source(photos, 0), np.random.default_rng(seed)
    labels, names = labels_of(source), [each.name for each in source.classes]
    wanted = np.ceil(min(1.0, most / len(labels)) * np.bincount(labels))
    chosen = np.flatnonzero(rank_in_class(random.random(len(labels)), labels) < wanted[labels])
    planted = random.permutation(chosen)[: round(PLANTED * len(chosen))]
    written = labels.copy()
    written[planted] = (labels[planted] + random.integers(1, len(names), len(planted))) % len(names)
    all_photos = [(split, index) for split in source.splits.values() for index in range(len(split))]
    for number in chosen.tolist():
        split, index = all_photos[number]
        name = f"{WRONG if written[number] != labels[number] else ''}{number:06d}.jpg"
        target = folder / names[written[number]] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(split[index].image)
    return len(planted)


def _probabilities(name: str, run: RunDir, store: Store, seed: int) -> npt.NDArray[np.float64]:
    """(N, K) of all photos, by models that were not trained on them."""
    if name == LINEAR:
        strength = last_layer_strength(run.metrics_file) or DEFAULT_STRENGTH
        return linear_probabilities(alexnet.load(run.path, "cpu").bundle, store, strength, seed)
    found = fisher_probabilities(run, store, {TEST: class_predictions(run, store, TEST, CENTER)})
    assert found is not None
    return found


def read(out: Path) -> list[Row]:
    """The rows measured so far."""
    file = out / RESULTS
    return [Row(**row) for row in json.loads(file.read_text())] if file.is_file() else []


def command(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Sets in class folders.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"For {RESULTS} and all runs.")],
    number: Annotated[int, typer.Option("--photos", min=100, help="Photos of each set, at most.")] = 1000,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Plant wrong labels, and count those that the two lists find."""
    for seed in range(seeds):
        for each in photos:
            if (each.name, seed) in {(row.photos, row.seed) for row in read(out)}:
                typer.echo(f"{each.name}, seed {seed}: measured before, in {out / RESULTS}")
                continue
            rows = list(measure(each, out, number, seed))
            write_json(out / RESULTS, [asdict(other) for other in [*read(out), *rows]])
            for row in rows:
                typer.echo(
                    f"{row.photos}, {row.number:,} photos, seed {row.seed}, {row.model}: {row.found} of "
                    f"{row.planted} wrong labels among the first {row.planted}; {row.found_listed} of the "
                    f"{row.listed} listed"
                )


if __name__ == "__main__":
    typer.run(command)
