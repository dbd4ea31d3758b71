"""The development kit of ILSVRC-2010 or 2012: which WNID each validation photo shows.

Its ground truth is a column of ILSVRC ids (1..1000, in an order of their own) for the photos sorted by
name, and `meta.mat` says which WNID an id is. Ids above 1000 are inner nodes of the tree of meanings and
never labels.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from alexnet.data.classes import Class, classes_of, in_label_order, is_wnid
from alexnet.data.sources import label_file, voc
from alexnet.data.sources.base import Labels, Source, SourceSplit
from alexnet.data.sources.class_folders import class_split, read_classes
from alexnet.data.sources.files import (
    PhotoSplit,
    Tree,
    make_split,
    open_tar,
    open_tar_of_tars,
    photos_below,
    strays_of,
    unlabeled_split,
)
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


def read_devkit(path: Path, year: int = 2012) -> Devkit:
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
        return read_devkit(path)
    except DataError:
        try:
            return read_devkit(path, 2010)
        except DataError:
            return read_devkit(path)  # whose message is the likelier to help


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


_PREFIXES = {2012: "ILSVRC2012_img", 2010: "ILSVRC2010_images"}
_ENDS = {"train": "train", "val": "val", "test": "test", "newer test": "test_v10102019"}
"""How the archives' names end: the test photos of 2012 were given out a second time, seven years later."""


def read(folder: Path) -> Source | None:
    """The source, or None where the folder has neither archive; one of them alone is enough.

    The test photos have labels where their answers were published, as those of 2010 were, and lie beside.
    """
    for year, prefix in _PREFIXES.items():
        archives = {name: folder / f"{prefix}_{end}.tar" for name, end in _ENDS.items()}
        here = {name: archive for name, archive in archives.items() if archive.is_file()}
        if "newer test" in here:
            here["test"] = here.pop("newer test")
        if "train" in here or "val" in here:
            return _read(folder, year, here)
    return None


def _read(folder: Path, year: int, archives: dict[str, Path]) -> Source:
    kit = find(folder, year)
    splits: dict[str, PhotoSplit] = {}
    strays: list[str] = []
    used = {kit.path.name if kit else ""}
    classes: list[Class] = []
    if "train" in archives:
        tree = open_tar_of_tars(archives["train"])
        classes = read_classes(tree, "", kit.words if kit else None)
        splits["train"] = class_split(tree, "", classes)
        strays += _inside(tree, splits["train"])
    if "val" in archives:
        tree = open_tar(archives["val"])
        classes, splits["val"], labeled_by = _val(folder, tree, kit, classes)
        strays += _inside(tree, splits["val"])
        used.add(labeled_by)
    if "test" in archives:
        tree = open_tar(archives["test"])
        splits["test"] = _test(tree, kit, classes)
        strays += _inside(tree, splits["test"])
        if kit and kit.test_truth:
            used.add(f"ILSVRC{year}_test_ground_truth.txt")
    used |= {archives[name].name for name in splits}
    for name, split in splits.items():
        boxes = voc.find(folder, name, year)
        if boxes is not None:
            splits[name], alone = voc.with_boxes(split, boxes, classes)
            strays += alone
            used.add(boxes.name)
    strays += sorted(entry.name for entry in folder.iterdir() if entry.name not in used)
    return Source(f"official ILSVRC-{year} tars", folder, classes, dict(splits), strays)


def read_train(path: Path) -> Source | None:
    """The training photos alone, of a tar of one tar a class; None for any other tar."""
    with tarfile.open(path) as tar:
        first = tar.next()
    name = PurePosixPath(first.name if first else "")
    if name.suffix != ".tar" or not is_wnid(name.stem):
        return None
    tree = open_tar_of_tars(path)
    classes = read_classes(tree, "")
    split = class_split(tree, "", classes)
    return Source("official ILSVRC-2012 training tar", path, classes, {"train": split}, _inside(tree, split))


def _val(
    folder: Path, tree: Tree, kit: Devkit | None, classes: list[Class]
) -> tuple[list[Class], PhotoSplit, str]:
    """The classes (the kit's without training photos), the split, and the name of what labeled it."""
    photos, names = _photos(tree)
    labels, classes, source = _labels(tree.path, names, kit, classes)
    return classes, make_split(tree, photos, labels, "", classes), source


def _test(tree: Tree, kit: Devkit | None, classes: list[Class]) -> PhotoSplit:
    """The test photos, without labels unless the kit has the answers."""
    photos, names = _photos(tree)
    if kit and kit.test_truth:
        return make_split(tree, photos, kit.labels(names, [c.wnid for c in classes], test=True), "", classes)
    if not photos:
        raise DataError(f"{tree.path} holds no photo: get it again, or remove it")
    return unlabeled_split(tree, photos, tree.listing.path(photos[0]).rpartition("/")[0])


def _photos(tree: Tree) -> tuple[array[int], list[str]]:
    """The photos of a flat tar and their names, sorted by name."""
    photos = array("q", sorted(photos_below(tree, ""), key=tree.listing.name))
    return photos, [tree.listing.name(photo) for photo in photos]


def _labels(
    archive: Path, names: list[str], kit: Devkit | None, classes: list[Class]
) -> tuple[Labels, list[Class], str]:
    if kit:
        classes = classes or classes_of(in_label_order(kit.words), kit.words)
        return kit.labels(names, [c.wnid for c in classes]), classes, kit.path.name
    folder = archive.parent
    source = label_file.choose([entry.name for entry in folder.iterdir()], "val", folder)
    if source is None:
        wanted = f"the devkit (ILSVRC2012_devkit_t12.tar.gz), LOC_val_solution.csv or {label_file.FORMS}"
        raise DataError(f"{archive} has no labels: put one of these beside it: {wanted}")
    where = str(folder / source)
    text = (folder / source).read_text(encoding="utf-8-sig")
    classes = classes or label_file.classes_in(text, where)
    return label_file.read_labels(text, names, classes, where), classes, source


def _inside(tree: Tree, split: SourceSplit) -> list[str]:
    return [f"{tree.path.name}: {stray}" for stray in strays_of(tree, [split])]
