"""Why did it take so long? LeNet of 1989, LeNet-5, AlexNet side by side; error by images and by classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from alexnet import published
from alexnet.report.evidence import evaluations
from alexnet.report.tables import ABSENT, Table, with_interval

TRAINING_PASSES, OPERATIONS = 3, 2
"""Forward, and backward twice; a multiplication and an addition each."""


@dataclass(frozen=True)
class Net:
    """A net and its training as published."""

    name: str
    parameters: int
    connections: int
    """Multiply-adds for one image, those with biases too: as the papers of the LeNets count."""
    units: int
    """Without the input's."""
    classes: int
    images: int
    image_bytes: int
    """Of an image of the training set, a byte for each value."""
    epochs: int

    @property
    def data_bytes(self) -> int:
        """Of the training set."""
        return self.images * self.image_bytes

    @property
    def training_operations(self) -> int:
        """Multiplications and additions of the whole training."""
        return TRAINING_PASSES * OPERATIONS * self.connections * self.images * self.epochs


NETS = (
    Net(
        *("LeNet, 1989", published.LENET_1989_PARAMETERS, published.LENET_1989_CONNECTIONS),
        *(published.LENET_1989_UNITS - 16 * 16, 10, published.LENET_1989_TRAINING_IMAGES, 16 * 16),
        published.LENET_1989_EPOCHS,
    ),
    Net(
        *("LeNet-5, 1998", published.LENET_5_PARAMETERS, published.LENET_5_CONNECTIONS),
        *(published.LENET_5_UNITS, 10, published.MNIST_TRAINING_IMAGES, 28 * 28),
        published.LENET_5_EPOCHS,
    ),
    Net(
        *("AlexNet, 2012", published.ALEXNET_PARAMETERS),
        published.ALEXNET_MULTIPLY_ADDS + published.ALEXNET_UNITS,
        *(published.ALEXNET_UNITS, 1_000, published.IMAGENET_TRAINING_IMAGES, 3 * 256 * 256),
        published.PAPER_EPOCHS,
    ),
)
IMAGES_OF = "imagenette-*-images-alexnet-2012"
CLASSES_OF = "tiny-imagenet-*-classes-alexnet-2012"
"""Recorded results by the number of training images, and of classes."""


def nets(results: Path) -> Table:
    """What each net is, what it learned from, and how much arithmetic that was."""
    whole = ("parameters", "connections", "units", "classes", "images", "data_bytes", "epochs")
    called = (
        *("parameters", "connections, each a multiply-add", "units", "classes", "training images"),
        *("bytes of training data", "passes through them"),
    )
    values = [[getattr(net, name) for net in NETS] for name in whole]
    rows = [
        [what, *(f"{value:,}" for value in row), f"{row[2] / row[0]:,.0f}"]
        for what, row in zip(called, values, strict=True)
    ]
    operations = [net.training_operations for net in NETS]
    times = f"{operations[2] / operations[0]:,.0f}"
    rows.append(["operations of training", *(f"{each:.2g}" for each in operations), times])
    columns = ("what", *(net.name for net in NETS), "times 1989")
    notes = (
        "Operations are 3 passes x 2 x connections x images x passes through them: forward, and backward "
        "twice. Bytes are those of the pixels as the nets saw them, AlexNet's of 256 x 256 in colour.",
    )
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def machines(results: Path) -> Table:
    """How long each training would take at the highest rate of each year's machine."""
    rows = [
        [
            str(machine.year),
            machine.name,
            f"{machine.operations_per_second:.2g}",
            *(_duration(net.training_operations / machine.operations_per_second) for net in NETS),
            machine.source,
        ]
        for machine in published.MACHINES
    ]
    columns = ("year", "machine", "operations a second", *(net.name for net in NETS), "source")
    notes = ("At the machine's highest rate, which no program reaches: the least it could have taken.",)
    return Table(columns, rows, numeric=frozenset(columns[2:-1]), notes=notes)


def by_images(results: Path) -> Table:
    """AlexNet's error against the number of training photos of the same ten classes."""
    return _by(results, IMAGES_OF, "training images", "images")


def by_classes(results: Path) -> Table:
    """AlexNet's error against the number of classes, with as many photos of each."""
    return _by(results, CLASSES_OF, "classes", "classes")


def _by(results: Path, pattern: str, what: str, word: str) -> Table:
    found: list[tuple[int, Path]] = []
    for path in results.glob(f"{pattern}/evaluation.json"):
        parts = path.parent.name.split("-")
        found.append((int(parts[parts.index(word) - 1]), path.parent))
    if not found:
        return Table((what,), [("not recorded yet",)])
    rows = [_measured(number, folder) for number, folder in sorted(found)]
    columns = (what, "top-1 error %, centre crop", "top-1 error %, ten crops", "training error %", "seed")
    return Table(columns, rows, numeric=frozenset(columns), notes=["One run each."])


def _measured(number: int, folder: Path) -> list[str]:
    entries = evaluations(folder)
    errors = [(entries[views]["top1_error"], entries[views]["top1_interval"]) for views in ("centre", "ten")]
    cells = [with_interval(*each) for each in errors]
    seeds = ", ".join(str(run["seed"]) for run in entries["centre"]["runs"])
    return [f"{number:,}", *cells, _training_error(folder / "metrics.jsonl"), seeds]


def _training_error(metrics: Path) -> str:
    """Of the last logged line; of augmented images with dropout on."""
    lines = map(json.loads, metrics.read_text().splitlines()) if metrics.is_file() else ()
    errors = [line["error"] for line in lines if line["event"] == "train"]
    return f"{100 * errors[-1]:.1f}" if errors else ABSENT


_UNITS = (("years", 365.25 * 86_400), ("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


def _duration(seconds: float) -> str:
    """In the largest unit of which there is at least one."""
    name, size = next((each for each in _UNITS if seconds >= each[1]), ("seconds", 1))
    value = seconds / size
    return f"{value:,.0f} {name}" if value >= 100 else f"{value:.2g} {name}"
