"""`alexnet fit` against what people write themselves, on photos of one's own.

    python -m benchmarks.own_photos PHOTOS --out DIR [--per-class 20] [--seeds 3] [--minutes 10]

For each seed the photos are divided into test photos and others, of which `--per-class` are kept. All
methods get the same photos and are tested on the same ones, each once:

- `fit`: `alexnet fit`, which holds photos out of the training photos for its choice;
- `hog`: histograms of oriented gradients and logistic regression (Dalal and Triggs 2005);
- `tutorial-net`: three convolutions and two fully connected layers, as in introductions to deep learning,
  trained for the CPU seconds that `fit` used;
- `alexnet-modern`: the recipe, for the same minutes.

DIR/results.json gets a row for each; rows that are there are not measured again.
"""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import typer
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import alexnet
from alexnet import recipes
from alexnet.config import override
from alexnet.data.classes import NO_LABEL
from alexnet.data.decode import decode
from alexnet.data.sources import Source, open_source
from alexnet.data.sources.base import SourceSplit
from alexnet.data.subset import rank_in_class
from alexnet.fitting.fit import FitOptions, fit_photos
from alexnet.io import write_json
from alexnet.runs.results import wilson_interval

TEST_FRACTION = 0.3
MOST_TEST_PHOTOS = 2000
RESULTS = "results.json"
SIDE = 64
"""Pixels of the squares that HOG and the tutorial's network get."""

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One method, measured once."""

    photos: str
    per_class: int
    """Photos of each class that were given, 0 for all."""
    seed: int
    method: str
    training_photos: int
    test_photos: int
    classes: int
    errors: int
    """Wrong among the test photos."""
    minutes: float
    """Of the wall clock."""
    cpu_minutes: float
    note: str = ""

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What it measures."""
        return self.photos, self.per_class, self.seed, self.method


@dataclass(frozen=True)
class Division:
    """The photos of one seed, as files in folders `train/CLASS` and `test/CLASS`."""

    folder: Path
    train: Sequence[Path]
    train_labels: Labels
    test: Sequence[Path]
    test_labels: Labels
    classes: Sequence[str]


def divide(source: Source, folder: Path, per_class: int, seed: int) -> Division:
    """Writes the photos of one seed as folders; the same seed gives the same photos."""
    labels = labels_of(source)
    random = np.random.default_rng(seed).random(len(labels))
    rank, counts = rank_in_class(random, labels), np.bincount(labels)
    share = min(TEST_FRACTION, MOST_TEST_PHOTOS / len(labels))
    in_test = rank < np.maximum(1, np.round(share * counts))[labels]
    tested = np.round(share * counts)[labels]
    in_train = ~in_test & ((rank < np.maximum(1, tested) + per_class) if per_class else True)
    written = write_division(source, folder, {"train": in_train, "test": in_test})
    names = [each.name for each in source.classes]
    return Division(folder, written["train"], labels[in_train], written["test"], labels[in_test], names)


def write_division(
    source: Source, folder: Path, chosen: Mapping[str, npt.NDArray[np.bool_]]
) -> dict[str, list[Path]]:
    """Writes photos of `source` to `folder`/SPLIT/CLASS, and returns their files in order.

    `chosen` are (N,) for each split, over the labeled photos of all splits of the source.
    """
    photos = _labeled(source)
    written: dict[str, list[Path]] = {}
    for name, is_chosen in chosen.items():
        written[name] = []
        for number in np.flatnonzero(is_chosen):
            split, index = photos[number]
            example = split[index]
            file = f"{number:06d}{_suffix(example.image)}"
            target = folder / name / source.classes[example.label].name / file
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(example.image)
            written[name].append(target)
    return written


def _labeled(source: Source) -> list[tuple[SourceSplit, int]]:
    photos = [(split, index) for split in source.splits.values() for index in range(len(split))]
    return [(split, index) for split, index in photos if split.labels[index] != NO_LABEL]


def labels_of(source: Source) -> Labels:
    """(N,) of the labeled photos of all splits."""
    return np.array([split.labels[index] for split, index in _labeled(source)], np.int64)


def _suffix(image: bytes) -> str:
    return ".png" if image.startswith(b"\x89PNG") else ".jpg"


def squares(files: Sequence[Path]) -> Pixels:
    """(N, SIDE, SIDE, 3) the whole photos, squeezed, as the tutorials do it."""
    images = (Image.fromarray(decode(file.read_bytes(), exif=True)) for file in files)
    return np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in images])


def hog(pixels: Pixels) -> npt.NDArray[np.float32]:
    """(N, 1764) histograms of 9 orientations in cells of 8 pixels, normalized in blocks of 2 x 2 cells.

    Source: Dalal and Triggs 2005.
    """
    gray = pixels.astype(np.float32).mean(-1)
    down, right = np.gradient(gray, axis=(1, 2))
    strength, angle = np.hypot(down, right), np.mod(np.arctan2(down, right), np.pi)
    position = angle / np.pi * 9 - 0.5
    first = np.floor(position).astype(int)
    share = position - first
    cells = np.zeros((len(gray), 8, 8, 9), np.float32)
    for offset, weight in ((0, 1 - share), (1, share)):
        for orientation in range(9):
            votes = strength * weight * ((first + offset) % 9 == orientation)
            cells[..., orientation] += votes.reshape(-1, 8, 8, 8, 8).sum((2, 4))
    blocks = np.stack([cells[:, y : y + 7, x : x + 7] for y in (0, 1) for x in (0, 1)], axis=-1).reshape(
        len(gray), 49, -1
    )
    blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-3
    blocks = np.minimum(blocks, 0.2)
    blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-3
    return blocks.reshape(len(gray), -1)


def hog_logistic(division: Division, seed: int) -> Labels:
    """Predictions of logistic regression on HOG; its penalty is chosen by cross-validation."""
    folds = int(min(3, np.bincount(division.train_labels).min()))
    model = make_pipeline(
        StandardScaler(),
        GridSearchCV(LogisticRegression(max_iter=200), {"C": [1e-5, 1e-4, 1e-3, 1e-2]}, cv=max(2, folds)),
    )
    model.fit(hog(squares(division.train)), division.train_labels)
    return model.predict(hog(squares(division.test)))


class TutorialNet(nn.Sequential):
    """Three convolutions of 16, 32 and 64 maps, each with pooling, and two fully connected layers."""

    def __init__(self, classes: int) -> None:
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        hidden = 64 * (SIDE // 8) ** 2
        layers += [nn.Dropout(0.2), nn.Flatten(), nn.Linear(hidden, 128), nn.ReLU(), nn.Linear(128, classes)]
        super().__init__(*layers)


def tutorial_net(division: Division, seed: int, cpu_seconds: float) -> Labels:
    """Predictions of `TutorialNet` after that many CPU seconds: Adam, batches of 32, mirrored photos.

    One tenth of the photos is held out, and the weights with the lowest error on them are used.
    """
    torch.manual_seed(seed)
    images = torch.from_numpy(squares(division.train)).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(division.train_labels)
    order = torch.randperm(len(labels))
    held, kept = order[: len(order) // 10], order[len(order) // 10 :]
    model = TutorialNet(len(division.classes))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    best, lowest = model.state_dict(), float("inf")
    start = _cpu_seconds()
    while _cpu_seconds() - start < cpu_seconds:
        model.train()
        for batch in kept[torch.randperm(len(kept))].split(32):
            inputs = images[batch]
            mirrored = torch.rand(len(batch)) < 0.5
            inputs[mirrored] = inputs[mirrored].flip(3)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels[batch]).backward()
            optimizer.step()
            if _cpu_seconds() - start >= cpu_seconds:
                break
        error = float((_predict(model, images[held]) != labels[held]).float().mean()) if len(held) else 0.0
        if error <= lowest:
            best, lowest = {name: value.clone() for name, value in model.state_dict().items()}, error
    model.load_state_dict(best)
    tested = torch.from_numpy(squares(division.test)).permute(0, 3, 1, 2).float() / 255
    return _predict(model, tested).numpy()


@torch.no_grad()
def _predict(model: nn.Module, images: Tensor) -> Tensor:
    model.eval()
    return torch.cat([model(part).argmax(1) for part in images.split(256)])


def modern(division: Division, folder: Path, seed: int, minutes: float) -> Labels:
    """Predictions of `alexnet-modern` at 128 pixels, trained for about `minutes`, as the README has it.

    Its training shows no validation photos but the test photos' error; the last weights are used.
    """
    store = alexnet.prepare(division.folder, folder / "store", side=128)
    config = override(
        recipes.get("alexnet-modern"),
        [
            *("data.image_size=128", "data.input_size=112", "training.batch_size=32"),
            *(f"training.seed={seed}", f"schedule.minutes={minutes:g}"),
            *("schedule.epochs=30", "training.evaluate_every_epochs=30"),
        ],
    )
    alexnet.train(config, store, folder / "run")
    return alexnet.load(folder / "run").probabilities(list(division.test)).argmax(1)


def fit(division: Division, folder: Path, seed: int, minutes: float) -> tuple[Labels, str]:
    """Predictions of `alexnet fit`, and what it chose."""
    made = fit_photos(division.folder, folder / "run", FitOptions(minutes=minutes, seed=seed)).fit
    held_out = ", ".join(f"{each.name} {each.errors / made.splits['val']:.3f}" for each in made.candidates)
    predicted = alexnet.load(folder / "run").probabilities(list(division.test)).argmax(1)
    return predicted, f"chose {' and '.join(made.chosen)}; held-out errors: {held_out}"


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(photos: Path, out: Path, per_class: int, seed: int, minutes: float) -> Iterator[Row]:
    """A row for each method that has none in DIR/results.json yet, which is measured from its beginning."""
    source = open_source(photos, 0)
    folder = out / f"{photos.name}-{per_class or 'all'}-{seed}"
    division = divide(source, folder / "photos", per_class, seed)
    done = {row.key for row in read(out)}
    spent = next(
        (row.cpu_minutes for row in read(out) if row.key == _key(photos, per_class, seed, "fit")), 0.0
    )

    def timed(method: str, predict: Callable[[], tuple[Labels, str]]) -> Iterator[Row]:
        nonlocal spent
        if _key(photos, per_class, seed, method) in done:
            return
        shutil.rmtree(folder / method, ignore_errors=True)  # of a call that was stopped
        start, cpu = time.monotonic(), _cpu_seconds()
        predicted, note = predict()
        used = (_cpu_seconds() - cpu) / 60
        spent = used if method == "fit" else spent
        yield Row(
            photos=photos.name,
            per_class=per_class,
            seed=seed,
            method=method,
            training_photos=len(division.train),
            test_photos=len(division.test),
            classes=len(division.classes),
            errors=int((predicted != division.test_labels).sum()),
            minutes=(time.monotonic() - start) / 60,
            cpu_minutes=used,
            note=note,
        )

    yield from timed("fit", lambda: fit(division, folder / "fit", seed, minutes))
    yield from timed("hog", lambda: (hog_logistic(division, seed), ""))
    yield from timed("tutorial-net", lambda: (tutorial_net(division, seed, 60 * spent), ""))
    yield from timed(
        "alexnet-modern", lambda: (modern(division, folder / "alexnet-modern", seed, minutes), "")
    )


def _key(photos: Path, per_class: int, seed: int, method: str) -> tuple[str, int, int, str]:
    return photos.name, per_class, seed, method


def read(out: Path) -> list[Row]:
    """The rows measured so far."""
    file = out / RESULTS
    return [Row(**row) for row in json.loads(file.read_text())] if file.is_file() else []


def command(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Sets of labeled photos.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help=f"For {RESULTS} and all runs.")],
    per_class: Annotated[
        str, typer.Option(help="Photos of each class, 0 for all; several with commas.")
    ] = "20,0",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    minutes: Annotated[float, typer.Option(min=0.1)] = 10.0,
) -> None:
    """Measure `alexnet fit` and three rivals on sets of photos."""
    for seed in range(seeds):
        for each in photos:
            for count in map(int, per_class.split(",")):
                for row in measure(each, out, count, seed, minutes):
                    write_json(out / RESULTS, [asdict(other) for other in [*read(out), row]])
                    low, high = wilson_interval(row.errors, row.test_photos)
                    typer.echo(
                        f"{row.photos}, {row.per_class or 'all'} per class, seed {row.seed}, {row.method}: "
                        f"{100 * row.errors / row.test_photos:.1f} % ({100 * low:.1f} to {100 * high:.1f}), "
                        f"{row.minutes:.1f} minutes, {row.cpu_minutes:.1f} of CPU; {row.note}"
                    )


if __name__ == "__main__":
    typer.run(command)
