"""The development kit of ILSVRC-2010 or 2012: which WNID each validation photo has.

Its ground truth is a column of ILSVRC ids (1..1000, in an order of their own) for the photos sorted by name,
and `meta.mat` maps the ids to WNIDs. Ids above 1000 are inner nodes of the WordNet tree and never labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.data.sources.base import Labels
from alexnet.data.sources.matlab import read_vectors
from alexnet.data.sources.tree import archived_files, read_file
from alexnet.errors import CommandError, DataError
from alexnet.json_reader import reason_of
from alexnet.text import counted

_META_FILE = "meta.mat"
_MAX_FILE_BYTES = 100_000_000
"""Of each file of a kit."""


@dataclass(frozen=True)
class Devkit:
    """The classes and the ground truth of a development kit."""

    path: Path
    """The folder or archive it was read from."""
    year: int
    """Of the challenge: 2010 or 2012."""
    wnids: list[str]
    """The leaf classes in the order of their ILSVRC ids, 1..K."""
    synonyms: dict[str, str]
    """WordNet's synonyms of each leaf class, by WNID."""
    val_wnids: list[str]
    """The WNID of each validation photo, sorted by file name."""
    test_wnids: list[str]
    """The same for the test photos where they were published (2010); else empty."""

    def labels(self, photos: Sequence[str], wnids: Sequence[str], test: bool = False) -> Labels:
        """(len(photos),) labels of all validation (or test) photos, given as sorted names."""
        truth = self.test_wnids if test else self.val_wnids
        return _labels_in_order(
            truth, photos, {wnid: label for label, wnid in enumerate(wnids)}, str(self.path)
        )


def find_devkit(folder: Path, year: int = 2012) -> Devkit | None:
    """The development kit in or beside the photos of a folder, unpacked or as its `.tar.gz`.

    The ground truth of the test photos, published later, may be in the folder itself.
    """
    kits = sorted([*folder.glob(f"ILSVRC{year}_devkit*"), *folder.glob("devkit-1.0")])
    for place in (folder, folder / "data", *kits):
        if place.is_file() and place.name.endswith((".tar.gz", ".tgz", ".tar")):
            return _from_archive(place, folder, year)
        for data in (place, place / "data", place / place.name / "data"):
            if (data / _META_FILE).is_file() and (data / _ground_truth(year)).is_file():
                return _parse(place, _files_in(folder, year) | _files_in(data, year), year)
    return None


def read_devkit(path: Path, year: int = 2012) -> Devkit:
    """The kit at `path`: its archive, its folder, or a folder that holds either.

    CommandError if nothing is there, DataError if it is not a kit of that year.
    """
    if not path.exists():
        raise CommandError(f"no such file or folder: {path}")
    kit = _from_archive(path, path.parent, year) if path.is_file() else find_devkit(path, year)
    if kit is None:
        archive = "ILSVRC2012_devkit_t12.tar.gz" if year == 2012 else f"ILSVRC{year}_devkit-1.0.tar.gz"
        raise DataError(
            f"{path} holds no development kit of ILSVRC-{year}: give {archive}, or its unpacked folder"
        )
    return kit


def read_any_devkit(path: Path) -> Devkit:
    """The kit of either year at `path`; errors as for `read_devkit`."""
    try:
        return read_devkit(path)
    except DataError:
        try:
            return read_devkit(path, 2010)
        except DataError:
            return read_devkit(path)  # its message is the more likely one to help


class OfficialName(NamedTuple):
    """The parts of an official file name such as `ILSVRC2012_test_00000001.JPEG`."""

    year: int
    split: str
    """`val` or `test`."""
    number: int
    """From 1."""

    def __str__(self) -> str:
        return f"ILSVRC{self.year}_{self.split}_{self.number:08d}.JPEG"


_OFFICIAL_NAME = re.compile(r"ILSVRC(20\d\d)_(val|test)_(\d{8})(?:_n\d{8})?\.JPEG")
"""Hugging Face's files have the WNID after the number of a validation photo."""


def official_name(path: str) -> OfficialName | None:
    """The parts of the file name at the end of a path; None if it is not an official one."""
    found = _OFFICIAL_NAME.fullmatch(path.rpartition("/")[2])
    return OfficialName(int(found[1]), found[2], int(found[3])) if found else None


def _ground_truth(year: int, split: str = "validation") -> str:
    return f"ILSVRC{year}_{split}_ground_truth.txt"


def _names(year: int) -> tuple[str, str, str]:
    return _META_FILE, _ground_truth(year), _ground_truth(year, "test")


def _files_in(folder: Path, year: int) -> dict[str, bytes]:
    """The contents of the kit's files in a folder, by name."""
    return {name: read_file(folder / name) for name in _names(year) if (folder / name).is_file()}


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _from_archive(path: Path, folder: Path, year: int) -> Devkit:
    """Reads the whole archive once; it is small."""
    files = _files_in(folder, year)
    for name, content in archived_files(path, lambda name: _base(name) in _names(year), _MAX_FILE_BYTES):
        files[_base(name)] = content
    if not {_META_FILE, _ground_truth(year)} <= set(files):
        raise DataError(
            f"{path} holds no {_META_FILE} and {_ground_truth(year)}: is it the kit for tasks 1 and 2?"
        )
    return _parse(path, files, year)


def _parse(path: Path, files: Mapping[str, bytes], year: int) -> Devkit:
    leaves = sorted(_leaves(path, files[_META_FILE], year))
    wnids = {number: wnid for number, wnid, _ in leaves}
    if list(wnids) != list(range(1, len(leaves) + 1)) or len(set(wnids.values())) < len(leaves):
        raise DataError(f"{path}: {_META_FILE} does not number its {len(leaves):,} classes from 1, each once")
    by_text = {str(number): wnid for number, wnid in wnids.items()}
    truths: list[list[str]] = []
    for name in (_ground_truth(year), _ground_truth(year, "test")):
        words = files.get(name, b"").decode("ascii", "replace").split()
        unknown = next((word for word in words if word.lstrip("0") not in by_text), None)
        if unknown is not None:
            raise DataError(f"{path}: {name} holds {unknown[:40]!r}, which is not a class of {_META_FILE}")
        truths.append([by_text[word.lstrip("0")] for word in words])
    return Devkit(path, year, list(wnids.values()), {wnid: words for _, wnid, words in leaves}, *truths)


def _leaves(path: Path, meta: bytes, year: int) -> list[tuple[int, str, str]]:
    """(ILSVRC id, WNID, synonyms) of every class without children."""
    found = read_vectors(meta, f"{path}: {_META_FILE}")
    try:
        return [
            (int(each[f"ILSVRC{year}_ID"]), str(each["WNID"]), str(each["words"]))
            for each in found["synsets"]
            if each["num_children"] == 0
        ]
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{path}: {_META_FILE} is not that of ILSVRC-{year} ({reason_of(error)})") from error


def _labels_in_order(
    words: Sequence[str], photos: Sequence[str], label_of: Mapping[str, int], where: str
) -> Labels:
    """(len(photos),) labels from one word for each photo in sorted order; DataError if they do not fit."""
    if len(words) != len(photos):
        raise DataError(
            f"{where} has {counted(len(words), 'label')} for {counted(len(photos), 'photo')}: "
            "it must name the photos"
        )
    unknown = sorted({word for word in words if word not in label_of})
    if unknown:
        raise DataError(f"{where}: label {unknown[0]!r} is not one of the {counted(len(label_of), 'class')}")
    return np.array([label_of[word] for word in words], dtype=np.int32)
