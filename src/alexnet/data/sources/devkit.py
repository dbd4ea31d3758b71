"""The development kit of ILSVRC-2010 or 2012: which WNID each validation photo shows.

Its ground truth is a column of ILSVRC ids (1..1000, in an order of their own) for the photos sorted by
name, and `meta.mat` says which WNID an id is. Ids above 1000 are inner nodes of the tree of meanings and
never labels.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.data.sources.contract import Labels
from alexnet.data.sources.label_file import in_order
from alexnet.errors import CommandError, DataError

META = "meta.mat"


@dataclass(frozen=True)
class Devkit:
    """What the kit says about classes and validation photos."""

    path: Path
    """The folder or archive it was read from."""
    year: int
    """Of the challenge: 2010 or 2012."""
    wnids: list[str]
    """The leaf classes in the order of their ILSVRC ids, which are 1..K."""
    words: dict[str, str]
    """The synonyms of each of the leaf classes, by WNID."""
    truth: list[str]
    """The WNID of each validation photo, sorted by file name."""
    test_truth: list[str]
    """The same for the test photos, where the answers were published (2010); else empty."""

    def labels(self, photos: Sequence[str], wnids: Sequence[str], test: bool = False) -> Labels:
        """(len(photos),) the labels of all validation (or test) photos, given as sorted names."""
        truth = self.test_truth if test else self.truth
        return in_order(truth, photos, {wnid: label for label, wnid in enumerate(wnids)}, str(self.path))


def find(folder: Path, year: int = 2012) -> Devkit | None:
    """The development kit in or beside the photos of a folder: unpacked, or as its `.tar.gz`.

    The answers to the test photos, published later, may lie in the folder itself.
    """
    kits = sorted([*folder.glob(f"ILSVRC{year}_devkit*"), *folder.glob("devkit-1.0")])
    for place in (folder, folder / "data", *kits):
        if place.is_file() and place.name.endswith((".tar.gz", ".tgz", ".tar")):
            return _from_archive(place, folder, year)
        for data in (place, place / "data", place / place.name / "data"):
            if (data / META).is_file() and (data / _ground_truth(year)).is_file():
                return _devkit(place, _here(folder, year) | _here(data, year), year)
    return None


def read(path: Path, year: int = 2012) -> Devkit:
    """The kit at `path`: its archive, its folder, or a folder that holds either.

    CommandError where there is nothing, DataError where it is no kit of that year.
    """
    if not path.exists():
        raise CommandError(f"no such file or folder: {path}")
    kit = _from_archive(path, path.parent, year) if path.is_file() else find(path, year)
    if kit is None:
        archive = "ILSVRC2012_devkit_t12.tar.gz" if year == 2012 else f"ILSVRC{year}_devkit-1.0.tar.gz"
        raise DataError(f"{path} holds no development kit of ILSVRC-{year}: give {archive}, or what is in it")
    return kit


def read_any_year(path: Path) -> Devkit:
    """The kit of either year at `path`; errors as `read`."""
    try:
        return read(path)
    except DataError:
        try:
            return read(path, 2010)
        except DataError:
            return read(path)  # whose message is the likelier to help


def _ground_truth(year: int, split: str = "validation") -> str:
    return f"ILSVRC{year}_{split}_ground_truth.txt"


def _names(year: int) -> tuple[str, str, str]:
    return META, _ground_truth(year), _ground_truth(year, "test")


def _here(folder: Path, year: int) -> dict[str, bytes]:
    """The contents of those of the kit's files that lie in a folder, by name."""
    return {name: (folder / name).read_bytes() for name in _names(year) if (folder / name).is_file()}


def _from_archive(path: Path, folder: Path, year: int) -> Devkit:
    """Reads the archive through once; it is small."""
    wanted = _here(folder, year)
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                content = archive.extractfile(member) if name in _names(year) else None
                if content is not None:
                    wanted[name] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is not a whole archive ({error}): get it again") from error
    if not {META, _ground_truth(year)} <= set(wanted):
        raise DataError(f"{path} holds no {META} and {_ground_truth(year)}: is it the kit for tasks 1 and 2?")
    return _devkit(path, wanted, year)


def _devkit(path: Path, files: Mapping[str, bytes], year: int) -> Devkit:
    leaves = sorted(_leaves(path, files[META], year))
    wnids = {number: wnid for number, wnid, _ in leaves}
    if list(wnids) != list(range(1, len(leaves) + 1)) or len(set(wnids.values())) < len(leaves):
        raise DataError(f"{path}: {META} does not number its {len(leaves):,} classes from 1, each once")
    truths: list[list[str]] = []
    for name in (_ground_truth(year), _ground_truth(year, "test")):
        try:
            truths.append([wnids[int(line)] for line in files.get(name, b"").split()])
        except (ValueError, KeyError) as error:
            raise DataError(f"{path}: {name} holds {error}, which is no class of {META}") from error
    return Devkit(path, year, list(wnids.values()), {wnid: words for _, wnid, words in leaves}, *truths)


def _leaves(path: Path, meta: bytes, year: int) -> list[tuple[int, str, str]]:
    """(ILSVRC id, WNID, synonyms) of every class without children."""
    # Here because it takes a quarter of a second, and few need it.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        synsets: Any = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        rows = zip(
            *(synsets[name] for name in (f"ILSVRC{year}_ID", "WNID", "words", "num_children")), strict=True
        )
        return [
            (int(number), str(wnid), str(words)) for number, wnid, words, children in rows if children == 0
        ]
    except (MatReadError, KeyError, ValueError, TypeError, NotImplementedError, OSError, zlib.error) as error:
        raise DataError(f"{path}: {META} is not that of ILSVRC-{year} ({error})") from error
