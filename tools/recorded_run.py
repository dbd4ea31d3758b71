"""Recorded results: a run on a data set, or an ensemble of runs, and the files that are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config import RunConfig
from alexnet.experiments.spec import RunSpec

VIEWS = ("center", "ten")
"""Default views of tests."""
CENTER = VIEWS[:1]
"""Views for digits, which must not be mirrored, and for systems whose input is the whole square."""


@dataclass(frozen=True)
class Source:
    """A data set that recorded runs are trained on, or some of its classes."""

    name: str
    """Prefix of the names of its runs."""
    file: str
    """File or folder in the data folder of the command."""
    training_photos: int
    classes: int = 0
    """Number of classes (the first ones) that are kept; 0 is all."""
    scenes: int = 0
    """Side in pixels of scenes composed of the photos, `training_photos` of them; 0 is none."""
    encoding: str = ""
    """Encoding of the squares, if not the default of `prepare`."""

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `prepare` besides the side."""
        return (
            *(("--classes", str(self.classes)) if self.classes else ()),
            *(("--encoding", self.encoding) if self.encoding else ()),
        )


IMAGENETTE = Source("imagenette", "imagenette-224.tar", 9_469)
RAW_IMAGENETTE = replace(IMAGENETTE, encoding="raw")
"""For a GPU, which trains faster than cores decode."""
TINY_IMAGENET = Source("tiny-imagenet-30", "tiny-imagenet-30.tar", 15_000)
TINY_CLASSES = tuple(
    Source(f"tiny-imagenet-{classes}-classes", TINY_IMAGENET.file, 500 * classes, classes)
    for classes in (10, 20, 30)
)
TINY_WHOLE = Source("tiny-imagenet", "tiny-imagenet-200", 100_000)
"""All 200 classes: the folder that `alexnet fetch tiny-imagenet DATA` makes."""
TINY_SCENES = Source("tiny-imagenet-30-scenes", TINY_IMAGENET.file, 4_000, scenes=144)
MNIST = Source("mnist", "mnist", 60_000)


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """One run whose results are kept under `results/<name>/`."""

    name: str
    recipe: str
    source: Source
    side: int
    """Size of the stored photos."""
    overrides: tuple[str, ...] = ()
    """`key=value` changes of the recipe, without the seed."""
    seed: int = 0
    shows: str
    init_from: str = ""
    """The recorded run it is initialized from; empty is a random initialization."""
    views: tuple[str, ...] = VIEWS
    """Views of its tests, such as `dense@112,128`, with the scales after an @."""

    def spec(self, work: Path = Path()) -> RunSpec:
        """The run to train, with its store under `work`."""
        store = work / "stores" / self.store
        return RunSpec(self.name, self.recipe, store, self.overrides, self.seed, self.init_from, self.shows)

    def config(self) -> RunConfig:
        """The whole configuration."""
        return self.spec().config()

    @property
    def store(self) -> str:
        """Name of the store the run is trained and tested on."""
        return f"{self.photos}-scenes-{self.source.scenes}" if self.source.scenes else self.photos

    @property
    def photos(self) -> str:
        """Name of the store of its photos, which scenes are composed of."""
        classes = f"-{self.source.classes}-classes" if self.source.classes else ""
        return f"{self.source.file.removesuffix('.tar')}{classes}-{self.side}"

    @property
    def training_images(self) -> int:
        """Number of training images."""
        return self.config().data.max_images or self.source.training_photos

    @property
    def pictures(self) -> tuple[str, ...]:
        """File names of its pictures; only the first seed of a recipe has pictures."""
        config = self.config()
        if self.seed:
            return ()
        if config.classic is not None:
            return ("confusions.png",)
        mistakes = ("misread.png", "confusions.png") if self.source is MNIST else ()
        return (*_PICTURES[config.model.name], *mistakes)


_PICTURES = {
    **dict.fromkeys(("alexnet", "overfeat"), ("curves.png", "filters.png")),
    **dict.fromkeys(("lenet", "vgg", "overfeat-localizer", "overfeat-detector"), ("curves.png",)),
}
"""Pictures by model; first-layer filters of 5 x 5 gray pixels or of 3 x 3 show nothing."""


@dataclass(frozen=True)
class RecordedEnsemble:
    """Recorded runs whose probabilities are averaged; its results are kept in the same way."""

    name: str
    members: tuple[str, ...]
    shows: str
    views: tuple[str, ...] = VIEWS


Recorded = RecordedRun | RecordedEnsemble
