"""The ILSVRC-2012 development kit: which WNID each validation photo shows.

Its ground truth is a column of ILSVRC ids (1..1000, in an order of their own) for the photos sorted by
name, and `meta.mat` says which WNID an id is. Ids above 1000 are inner nodes of the tree of meanings and
never labels.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.data.sources.contract import Labels
from alexnet.data.sources.label_file import in_order
from alexnet.errors import DataError

META = "meta.mat"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


@dataclass(frozen=True)
class Devkit:
    """What the kit says about classes and validation photos."""

    path: Path
    """The folder or archive it was read from."""
    words: dict[str, str]
    """The synonyms of each of the leaf classes, by WNID."""
    truth: list[str]
    """The WNID of each validation photo, sorted by file name."""

    def labels(self, photos: Sequence[str], wnids: Sequence[str]) -> Labels:
        """(len(photos),) the labels of all validation photos, given as sorted names."""
        return in_order(self.truth, photos, {wnid: label for label, wnid in enumerate(wnids)}, str(self.path))


def find(folder: Path) -> Devkit | None:
    """The development kit in or beside the photos of a folder: unpacked, or as its `.tar.gz`."""
    for place in (folder, folder / "data", *sorted(folder.glob("ILSVRC2012_devkit*"))):
        if place.is_file() and place.name.endswith((".tar.gz", ".tgz", ".tar")):
            return _from_archive(place)
        for data in (place, place / "data", place / place.name / "data"):
            if (data / META).is_file() and (data / GROUND_TRUTH).is_file():
                return _devkit(place, (data / META).read_bytes(), (data / GROUND_TRUTH).read_bytes())
    return None


def _from_archive(path: Path) -> Devkit:
    """Reads the archive through once; it is small."""
    wanted: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                content = archive.extractfile(member) if name in (META, GROUND_TRUTH) else None
                if content is not None:
                    wanted[name] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is not a whole archive ({error}): get it again") from error
    if len(wanted) < 2:
        raise DataError(f"{path} holds no {META} and {GROUND_TRUTH}: is it the kit for tasks 1 and 2?")
    return _devkit(path, wanted[META], wanted[GROUND_TRUTH])


def _devkit(path: Path, meta: bytes, ground_truth: bytes) -> Devkit:
    leaves = _leaves(path, meta)
    wnids = {number: wnid for number, wnid, _ in leaves}
    try:
        truth = [wnids[int(line)] for line in ground_truth.split()]
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: {GROUND_TRUTH} holds {error}, which is no class of {META}") from error
    return Devkit(path, {wnid: words for _, wnid, words in leaves}, truth)


def _leaves(path: Path, meta: bytes) -> list[tuple[int, str, str]]:
    """(ILSVRC id, WNID, synonyms) of every class without children."""
    # Here because it takes a quarter of a second, and few need it.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        synsets: Any = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        rows = zip(
            *(synsets[name] for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")), strict=True
        )
        return [
            (int(number), str(wnid), str(words)) for number, wnid, words, children in rows if children == 0
        ]
    except (MatReadError, KeyError, ValueError, TypeError, NotImplementedError, OSError, zlib.error) as error:
        raise DataError(f"{path}: {META} is not that of ILSVRC-2012 ({error})") from error
