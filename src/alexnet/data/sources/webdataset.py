"""WebDataset: tars in which the files of a sample have one name and different endings.

`00000012.jpg` is the photo, `00000012.cls` its label, a number from 0 or the name of a class, and
`00000012.json`, if it has `wnid` and `name`, describes the class, as in what `alexnet convert` writes. Other
files of a sample are not read.
"""

from __future__ import annotations

import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class, class_name, in_label_order
from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import Example, Labels, Source, SourceSplit
from alexnet.data.sources.split_names import SPLITS, split_in
from alexnet.data.sources.tree import TarTree, open_tar
from alexnet.errors import DataError
from alexnet.json_reader import parse_json

_TAR, _LABEL, _FACTS = ".tar", ".cls", ".json"
_MOST_TEXT_BYTES = 2**16
"""Of a label or a description."""


@dataclass(frozen=True)
class _Sample:
    """The files of one sample, as numbers in a tar."""

    tar: int
    name: str
    photo: int
    label: str


@dataclass(frozen=True, eq=False)
class TarSplit:
    """A split in one or more tars."""

    trees: Sequence[TarTree]
    places: npt.NDArray[np.int64]
    """(N, 2) the tar and the number of the photo in it."""
    labels: Labels
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, index: int) -> str:
        """The tar and the name of the sample: `train-000000/00000012`."""
        return f"{self.trees[self.places[index, 0]].path.stem}/{self.names[index]}"

    def __getitem__(self, index: int) -> Example:
        """As for `SourceSplit`."""
        tar, photo = self.places[index].tolist()
        return Example(self.trees[tar].read(photo), int(self.labels[index]), self.key(index))


def read_tars(path: Path) -> Source | None:
    """The source of a tar, or of a folder with tars; None unless the first one has photos with labels beside
    them.

    The split is a word in the name of a tar, `train` without one. DataError for a photo without a label, and
    for a class with two descriptions.
    """
    paths = _tars_in(path) if path.is_dir() else [path]
    if not paths or not tarfile.is_tarfile(paths[0]):
        return None
    first = open_tar(paths[0])
    if not any(first.listing.name(file).endswith(_LABEL) for file in range(len(first.listing))):
        return None
    trees = [first, *map(open_tar, paths[1:])]
    samples: defaultdict[str, list[_Sample]] = defaultdict(list)
    described: dict[str, Class] = {}
    strays: list[str] = []
    for number, tree in enumerate(trees):
        split = split_in(tree.path.stem) or SPLITS[0]
        samples[split] += _read_samples(number, tree, described, strays)
    labels = in_label_order({sample.label for found in samples.values() for sample in found})
    _refuse_same_class(described, path)
    classes = [described.get(label) or Class(label, class_name(label)) for label in labels]
    places = {label: place for place, label in enumerate(labels)}
    splits: dict[str, SourceSplit] = {
        name: _split(trees, samples[name], places) for name in SPLITS if samples[name]
    }
    return Source("WebDataset tars", path, classes, splits, strays, PrepareSettings(exif=True))


def _refuse_same_class(described: Mapping[str, Class], path: Path) -> None:
    """DataError for two labels that are described as one class."""
    label_of: dict[str, str] = {}
    for label, kind in described.items():
        if (other := label_of.setdefault(kind.wnid, label)) != label:
            raise DataError(f"{path}: labels {other} and {label} are both described as {kind.wnid}")


def _tars_in(folder: Path) -> list[Path]:
    """The tars directly in a folder, sorted; none if folders are beside them, or it cannot be listed."""
    try:
        entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:  # the next reader reports it
        return []
    if any(each.is_dir() for each in entries):
        return []
    return [each for each in entries if each.suffix == _TAR and each.is_file()]


def _read_samples(
    number: int, tree: TarTree, described: dict[str, Class], strays: list[str]
) -> list[_Sample]:
    """The samples of one tar; adds descriptions of classes, and other files to the strays."""
    files: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for file in range(len(tree.listing)):
        path = tree.listing.path(file)
        folder, slash, name = path.rpartition("/")
        stem, dot, ending = name.partition(".")
        files[folder + slash + stem][(dot + ending).lower()] = file
    found: list[_Sample] = []
    for name, parts in files.items():
        photo = next((parts[suffix] for suffix in PHOTO_SUFFIXES if suffix in parts), None)
        if photo is None:
            strays.append(f"{tree.path.name}: {name} (no photo)")
            continue
        if _LABEL not in parts:
            raise DataError(
                f"{tree.path}: {tree.listing.path(photo)} has no label beside it ({name}{_LABEL})"
            )
        label = _text(tree, parts[_LABEL])
        if not label:
            raise DataError(f"{tree.path}: {name}{_LABEL} is empty")
        found.append(_Sample(number, name, photo, label))
        kind = _class_of(_text(tree, parts[_FACTS])) if _FACTS in parts else None
        if kind is not None and (before := described.setdefault(label, kind)) != kind:
            raise DataError(
                f"{tree.path}: class {label} is {before.name} ({before.wnid}) in one photo's description and "
                f"{kind.name} ({kind.wnid}) in that of {name}: these tars do not belong together"
            )
    return found


def _text(tree: TarTree, file: int) -> str:
    if tree.size(file) > _MOST_TEXT_BYTES:
        raise DataError(f"{tree.path}: {tree.listing.path(file)} is too large for a label or a description")
    return tree.text(file).strip()


def _class_of(text: str) -> Class | None:
    """The class that a description names; None for any other description."""
    try:
        facts = parse_json(text)
    except ValueError:
        return None
    if not isinstance(facts, Mapping):
        return None
    wnid, name = facts.get("wnid"), facts.get("name")
    return Class(wnid, name) if isinstance(wnid, str) and isinstance(name, str) and wnid else None


def _split(trees: Sequence[TarTree], samples: Sequence[_Sample], places: Mapping[str, int]) -> TarSplit:
    """A split, sorted by label, then by tar and position in it."""
    ordered = sorted(samples, key=lambda each: (places[each.label], each.tar, each.photo))
    return TarSplit(
        trees,
        np.array([(each.tar, each.photo) for each in ordered], np.int64),
        np.array([places[each.label] for each in ordered], np.int32),
        [each.name for each in ordered],
    )
