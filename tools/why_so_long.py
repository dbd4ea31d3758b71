"""Why did it take so long? LeNet of 1989, LeNet-5, AlexNet side by side; error by images and by classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from alexnet import published
from alexnet.report.tables import ABSENT, Table, with_interval
from alexnet.runs.metrics_log import last_training_error
from tools.growth import Measured, Quantity, draw_growth, short
from tools.results_io import evaluations

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
        *("LeNet, 1989", published.lenet.LENET_1989_PARAMETERS, published.lenet.LENET_1989_CONNECTIONS),
        *(
            published.lenet.LENET_1989_UNITS - 16 * 16,
            10,
            published.lenet.LENET_1989_TRAINING_IMAGES,
            16 * 16,
        ),
        published.lenet.LENET_1989_EPOCHS,
    ),
    Net(
        *("LeNet-5, 1998", published.lenet.LENET_5_PARAMETERS, published.lenet.LENET_5_CONNECTIONS),
        *(published.lenet.LENET_5_UNITS, 10, published.lenet.MNIST_TRAINING_IMAGES, 28 * 28),
        published.lenet.LENET_5_EPOCHS,
    ),
    Net(
        *("AlexNet, 2012", published.alexnet.ALEXNET_PARAMETERS),
        published.alexnet.ALEXNET_MULTIPLY_ADDS + published.alexnet.ALEXNET_UNITS,
        *(published.alexnet.ALEXNET_UNITS, 1_000, published.imagenet.IMAGENET_TRAINING_IMAGES, 3 * 256 * 256),
        published.alexnet.PAPER_EPOCHS,
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
        "twice. Bytes are those of the pixels as they were stored: 16 x 16 and 28 x 28 gray, 256 x 256 in "
        "color.",
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
        for machine in published.devices.MACHINES
    ]
    columns = ("year", "machine", "operations a second", *(net.name for net in NETS), "source")
    notes = ("At the machine's highest rate, which no program reaches: the least it could have taken.",)
    return Table(columns, rows, numeric=frozenset(columns[2:-1]), notes=notes)


def by_images(results: Path) -> Table:
    """AlexNet's error against the number of training photos of the same ten classes."""
    return _table(_sizes(results, IMAGES_OF), "training images")


def by_classes(results: Path) -> Table:
    """AlexNet's error against the number of classes, with as many photos of each."""
    return _table(_sizes(results, CLASSES_OF), "classes")


def picture(results: Path) -> tuple[Figure, str]:
    """What had to grow, and AlexNet's error by images and by classes; and in words what is seen."""
    grown = [Quantity(words, [getattr(net, name) for net in NETS]) for words, name in _GROWN.items()]
    sizes = {
        "training images of ten classes": _sizes(results, IMAGES_OF),
        "classes of 500 photos": _sizes(results, CLASSES_OF),
    }
    panels = [(words, [size.measured for size in found]) for words, found in sizes.items()]
    error = "top-1 error, center crop"
    figure = draw_growth([net.name for net in NETS], grown, panels, error, "Why did it take so long?")
    seen = [
        f"Of {'; '.join(net.name for net in NETS)}:",
        "; ".join(f"{each.name} {', '.join(map(short, each.values))}" for each in grown) + ".",
        f"AlexNet's {error}.",
    ]
    for words, panel in panels:
        errors = ", ".join(f"{each.number:,}: {each.error:.1%}" for each in panel)
        seen.append(f"By {words}: {errors or 'not recorded yet'}.")
    return figure, " ".join(" ".join(seen).split())


_GROWN = {
    "parameters": "parameters",
    "multiply-adds\nfor one image": "connections",
    "training images": "images",
    "bytes of\ntraining data": "data_bytes",
    "operations\nof training": "training_operations",
}


@dataclass(frozen=True)
class _Size:
    """One recorded net, of some number of images or classes."""

    number: int
    folder: Path

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """Its evaluations by views."""
        return evaluations(self.folder)

    @property
    def measured(self) -> Measured:
        """Its error with the central crop."""
        center = self.entries["center"]
        low, high = center["top1_interval"]
        return Measured(self.number, center["top1_error"], (low, high), self.training_error)

    @property
    def training_error(self) -> float | None:
        """In the end; of augmented images with dropout on."""
        return last_training_error(self.folder / "metrics.jsonl")


def _sizes(results: Path, pattern: str) -> list[_Size]:
    """Recorded results whose name has a number in place of the star, the smallest first."""
    before, after = pattern.split("*")
    folders = [path.parent for path in results.glob(f"{pattern}/evaluation.json")]
    made = [_Size(int(each.name.removeprefix(before).removesuffix(after)), each) for each in folders]
    return sorted(made, key=lambda size: size.number)


def _table(sizes: Sequence[_Size], what: str) -> Table:
    if not sizes:
        return Table((what,), [("not recorded yet",)])
    rows = [
        [
            f"{size.number:,}",
            *(
                with_interval(size.entries[views]["top1_error"], size.entries[views]["top1_interval"])
                for views in ("center", "ten")
            ),
            ABSENT if size.training_error is None else f"{100 * size.training_error:.1f}",
            ", ".join(str(run["seed"]) for run in size.entries["center"]["runs"]),
        ]
        for size in sizes
    ]
    columns = (what, "top-1 error %, center crop", "top-1 error %, ten crops", "training error %", "seed")
    return Table(columns, rows, numeric=frozenset(columns), notes=["One run each."])


_UNITS = (("years", 365.25 * 86_400), ("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


def _duration(seconds: float) -> str:
    """In the largest unit of which there is at least one."""
    name, size = next((each for each in _UNITS if seconds >= each[1]), ("seconds", 1))
    value = seconds / size
    return f"{value:,.0f} {name}" if value >= 100 else f"{value:.2g} {name}"
