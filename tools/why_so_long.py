"""docs/why-so-long.md: LeNet of 1989, LeNet-5 and AlexNet compared; AlexNet's error by images and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullLocator, PercentFormatter

from alexnet.published import alexnet, lenet
from alexnet.published.devices import MACHINES
from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES
from alexnet.report.evaluation_tables import TRAINING_COLUMNS, TRAINING_NOTE
from alexnet.report.plots.style import COLORS
from alexnet.report.tables import Table, rate
from alexnet.runs.metrics_log import training_end
from alexnet.runs.results import EvalResult
from tools.results_io import NOT_RECORDED, by_views, training

TRAINING_PASSES, OPERATIONS = 3, 2
"""Passes: forward, and backward twice; operations of a connection: a multiplication and an addition."""


@dataclass(frozen=True)
class Net:
    """A network and its training as published."""

    name: str
    parameters: int
    connections: int
    """Multiply-adds for one image, including those with biases, as counted in the papers on LeNet."""
    units: int
    """Number of units, without those of the input."""
    classes: int
    images: int
    image_bytes: int
    """Bytes of a training image, with a byte per value."""
    epochs: int

    @property
    def data_bytes(self) -> int:
        """Bytes of the training set."""
        return self.images * self.image_bytes

    @property
    def training_operations(self) -> int:
        """Multiplications and additions of the whole training."""
        return TRAINING_PASSES * OPERATIONS * self.connections * self.images * self.epochs


NETS = (
    Net(
        "LeNet, 1989",
        parameters=lenet.LENET_1989_PARAMETERS,
        connections=lenet.LENET_1989_CONNECTIONS,
        units=lenet.LENET_1989_UNITS - 16 * 16,
        classes=10,
        images=lenet.LENET_1989_TRAINING_IMAGES,
        image_bytes=16 * 16,
        epochs=lenet.LENET_1989_EPOCHS,
    ),
    Net(
        "LeNet-5, 1998",
        parameters=lenet.LENET_5_PARAMETERS,
        connections=lenet.LENET_5_CONNECTIONS,
        units=lenet.LENET_5_UNITS,
        classes=10,
        images=lenet.MNIST_TRAINING_IMAGES,
        image_bytes=28 * 28,
        epochs=lenet.LENET_5_EPOCHS,
    ),
    Net(
        "AlexNet, 2012",
        parameters=alexnet.ALEXNET_PARAMETERS,
        connections=alexnet.ALEXNET_MULTIPLY_ADDS + alexnet.ALEXNET_UNITS,
        units=alexnet.ALEXNET_UNITS,
        classes=1_000,
        images=IMAGENET_TRAINING_IMAGES,
        image_bytes=3 * 256 * 256,
        epochs=alexnet.PAPER_EPOCHS,
    ),
)
IMAGES_OF = "imagenette-*-images-alexnet-2012"
CLASSES_OF = "tiny-imagenet-*-classes-alexnet-2012"
"""Recorded results by the number of training images, and by that of classes."""


def nets(results: Path) -> Table:
    """The size of each network, its training data, and the arithmetic of its training."""
    whole = ("parameters", "connections", "units", "classes", "images", "data_bytes", "epochs")
    called = (
        *("parameters", "connections, each a multiply-add", "units", "classes", "training images"),
        *("bytes of training data", "epochs"),
    )
    values = [[getattr(net, name) for net in NETS] for name in whole]
    rows = [
        [what, *(f"{value:,}" for value in row), f"{row[2] / row[0]:,.0f}"]
        for what, row in zip(called, values, strict=True)
    ]
    operations = [net.training_operations for net in NETS]
    times = f"{operations[2] / operations[0]:,.0f}"
    rows.append(["operations of training", *(f"{each:.2g}" for each in operations), times])
    columns = ("what", *(net.name for net in NETS), "growth since 1989")
    notes = (
        "Operations are 3 passes x 2 x connections x images x epochs: one forward pass, and a backward "
        "pass that costs two. Bytes are those of the stored pixels: 16 x 16 and 28 x 28 gray, 256 x 256 in "
        "color.",
    )
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def machines(results: Path) -> Table:
    """The time of each training at the peak rate of each year's machine."""
    rows = [
        [
            str(machine.year),
            machine.name,
            f"{machine.operations_per_second:.2g}",
            *(_duration(net.training_operations / machine.operations_per_second) for net in NETS),
            machine.source,
        ]
        for machine in MACHINES
    ]
    columns = ("year", "machine", "operations per second", *(net.name for net in NETS), "source")
    notes = ("At the machine's peak rate, which no program reaches: a lower bound.",)
    return Table(columns, rows, numeric=frozenset(columns[2:-1]), notes=notes)


def by_images(results: Path) -> Table:
    """AlexNet's error by the number of training photos of the same ten classes."""
    return _table(_sizes(results, IMAGES_OF), "training images")


def by_classes(results: Path) -> Table:
    """AlexNet's error by the number of classes, with the same number of photos per class."""
    return _table(_sizes(results, CLASSES_OF), "classes")


def picture(results: Path) -> tuple[Figure, str]:
    """The growth since 1989, and AlexNet's error by images and by classes, with a description."""
    grown = [Quantity(words, [getattr(net, name) for net in NETS]) for words, name in _GROWN.items()]
    sizes = {
        "training images of ten classes": _sizes(results, IMAGES_OF),
        "classes of 500 photos": _sizes(results, CLASSES_OF),
    }
    panels = [(words, [size.measured for size in found]) for words, found in sizes.items()]
    error = "top-1 error, center crop"
    figure = draw_growth([net.name for net in NETS], grown, panels, error, "Why did it take so long?")
    words_of = [
        f"{'; '.join(net.name for net in NETS)}:",
        "; ".join(f"{each.name} {', '.join(map(short, each.values))}" for each in grown) + ".",
        f"AlexNet: {error}.",
    ]
    for words, panel in panels:
        errors = ", ".join(f"{each.number:,}: {each.error:.1%}" for each in panel)
        words_of.append(f"By {words}: {errors or NOT_RECORDED}.")
    return figure, " ".join(" ".join(words_of).split())


_GROWN = {
    "parameters": "parameters",
    "multiply-adds\nfor one image": "connections",
    "training images": "images",
    "bytes of\ntraining data": "data_bytes",
    "operations\nof training": "training_operations",
}


@dataclass(frozen=True)
class _Size:
    """One recorded model, trained on some number of images or classes."""

    number: int
    folder: Path
    results: dict[str, EvalResult]
    """By views."""

    @property
    def measured(self) -> Measured:
        """Its errors with the center crop."""
        top1 = self.results["center"].top1
        return Measured(self.number, top1.error, top1.interval, self.training_error)

    @property
    def training_error(self) -> float | None:
        """Training error of the last updates, on augmented images with dropout."""
        end = training_end(self.folder / "metrics.jsonl")
        return end and end.error


def _sizes(results: Path, pattern: str) -> list[_Size]:
    """Recorded results whose name has a number in place of the star, in ascending order."""
    before, after = pattern.split("*")
    made = [
        _Size(int(folder.name.removeprefix(before).removesuffix(after)), folder, by_views(folder))
        for folder in (path.parent for path in results.glob(f"{pattern}/evaluation.json"))
    ]
    return sorted(made, key=lambda size: size.number)


def _table(sizes: Sequence[_Size], what: str) -> Table:
    if not sizes:
        return Table((what,), [(NOT_RECORDED,)])
    rows = [
        [
            f"{size.number:,}",
            *(rate(size.results[views].top1) for views in ("center", "ten")),
            *training(size.folder),
            ", ".join(str(run.seed) for run in size.results["center"].runs),
        ]
        for size in sizes
    ]
    columns = (what, "top-1 error %, center crop", "top-1 error %, ten crops", *TRAINING_COLUMNS, "seed")
    return Table(columns, rows, numeric=frozenset(columns), notes=["One run each.", TRAINING_NOTE])


_UNITS = (("years", 365.25 * 86_400), ("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


def _duration(seconds: float) -> str:
    """A duration in the largest unit of which there is at least one."""
    name, size = next((each for each in _UNITS if seconds >= each[1]), ("seconds", 1))
    value = seconds / size
    return f"{value:,.0f} {name}" if value >= 100 else f"{value:.2g} {name}"


_MARKERS = ("o", "s", "D", "^", "v", "P")


@dataclass(frozen=True)
class Quantity:
    """Something that was counted for each network."""

    name: str
    values: Sequence[int]
    """One for each network."""


@dataclass(frozen=True)
class Measured:
    """The errors of one model, as fractions."""

    number: int
    """Number of training images, or of classes."""
    error: float
    interval: tuple[float, float]
    """95 %."""
    training_error: float | None = None


def draw_growth(
    nets: Sequence[str],
    quantities: Sequence[Quantity],
    measured: Sequence[tuple[str, Sequence[Measured]]],
    error: str,
    title: str = "",
) -> Figure:
    """Draws, on the left, a row for each quantity with a mark for each network, on one logarithmic scale; on
    the right, errors.

    `measured` are panels, each with the label of its horizontal axis; `error` names the errors, `title` is
    the figure's.
    """
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    grid = figure.add_gridspec(len(measured), 2, width_ratios=(1.7, 1))
    _draw_quantities(figure.add_subplot(grid[:, 0]), nets, quantities)
    for place, (against, found) in enumerate(measured):
        _draw_errors(figure.add_subplot(grid[place, 1]), found, error, against)
    figure.suptitle(title, fontsize=12, wrap=True)
    return figure


def _draw_quantities(axes: Axes, nets: Sequence[str], quantities: Sequence[Quantity]) -> None:
    for place, quantity in enumerate(quantities):
        ends = min(quantity.values), max(quantity.values)
        axes.plot(ends, [place, place], color="#bbbbbb", linewidth=1.5, zorder=1)
        for number, value in enumerate(quantity.values):
            label = nets[number] if place == 0 else None
            axes.plot(
                [value],
                [place],
                _MARKERS[number % len(_MARKERS)],
                color=COLORS[number % len(COLORS)],
                markersize=8,
                label=label,
            )
            axes.annotate(
                short(value), (value, place), (0, 9), textcoords="offset points", ha="center", fontsize=9
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_LETTERS)
    axes.set_xlabel(_LETTERS_ARE, fontsize=9.5)
    axes.margins(x=0.08)
    axes.set_ylim(len(quantities) - 0.5, -0.8)
    axes.set_yticks(range(len(quantities)), [quantity.name for quantity in quantities])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title("Growth since 1989", loc="left", fontsize=11, pad=24)
    axes.legend(
        frameon=False, ncols=len(nets), loc="lower left", bbox_to_anchor=(-0.01, 0.985), borderaxespad=0
    )


def short(value: float) -> str:
    """Two digits and the letter for thousand, million and so on: `60k`, `1.3M`, `500P`."""
    return _LETTERS(float(f"{value:.2g}"))


_LETTERS = EngFormatter(sep="")
_LETTERS_ARE = (
    "k thousand, M million, G billion, T 10\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}, "
    "P 10\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT FIVE}"
)


def _draw_errors(axes: Axes, found: Sequence[Measured], error: str, against: str) -> None:
    numbers = [each.number for each in found]
    errors = [each.error for each in found]
    below = [max(each.error - each.interval[0], 0.0) for each in found]
    above = [max(each.interval[1] - each.error, 0.0) for each in found]
    if found:
        axes.errorbar(
            *(numbers, errors),
            yerr=[below, above],
            color=COLORS[2],
            marker="D",
            capsize=4,
            label="validation",
        )
        seen = [(each.number, each.training_error) for each in found if each.training_error is not None]
        axes.plot(*zip(*seen, strict=True), color=COLORS[2], linestyle=":", marker=".", label="training")
        axes.legend(frameon=False, fontsize=8.5)
    else:
        axes.text(0.5, 0.5, NOT_RECORDED, ha="center", va="center", transform=axes.transAxes)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.margins(x=0.1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_xlabel(against, fontsize=9.5)
    axes.set_title(f"AlexNet: {error}", loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
