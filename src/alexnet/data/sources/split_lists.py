"""Splits that files list: `train.txt` and `test.txt`, a column `split`, CUB-200's `train_test_split.txt`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alexnet.data.sources.label_file import PhotoTable, TextFile
from alexnet.data.sources.photo_index import PhotoIndex
from alexnet.data.sources.split_words import SPLIT_FOLDERS, SplitName
from alexnet.errors import DataError

_MIN_LISTED = 0.5
"""Fraction of the photos that must be listed for the lists to be the source's splits."""
_MIN_ONE_LIST = 0.01
"""The same for a single list, of which all other photos are the training photos."""


@dataclass(frozen=True)
class ListedSplits:
    """The photos of each split, and the files that list them."""

    photos: Mapping[SplitName, frozenset[int]]
    files: Mapping[SplitName, tuple[str, ...]]
    tables: tuple[PhotoTable, ...]
    """The files that were used."""


def find_lists(
    tables: Sequence[PhotoTable],
    texts: Sequence[TextFile],
    index: PhotoIndex,
    chosen: Mapping[SplitName, str],
    where: str,
) -> ListedSplits | None:
    """The splits that files list; None if there are no lists.

    `chosen` are files that the caller names. DataError for lists that overlap, or several of one split.
    """
    if chosen:
        return _checked(_named(tables, chosen, where), index, where)
    for table in tables:
        if len(set(table.splits.values())) > 1 and len(table.splits) >= _MIN_LISTED * len(index):
            splits = {
                split: frozenset(photo for photo, each in table.splits.items() if each == split)
                for split in dict.fromkeys(table.splits.values())
            }
            return ListedSplits(splits, dict.fromkeys(splits, (table.file,)), (table,))
    numbered = _numbered(texts, index)
    if numbered is not None:
        return numbered
    by_split: dict[SplitName, list[PhotoTable]] = {}
    for table in tables:
        if table.split is not None:
            by_split.setdefault(table.split, []).append(table)
    lists = {
        split: _one_list(split, by_split[split], by_split, where)
        for split in SPLIT_FOLDERS
        if split in by_split
    }
    listed = {photo for table in lists.values() for photo in table.photos}
    everything = any(len(table.photos) == len(index) for table in lists.values())
    if (
        not lists
        or everything
        or ("train" in lists and (len(lists) == 1 or len(listed) < _MIN_LISTED * len(index)))
    ):
        return None
    if "train" not in lists and len(listed) < _MIN_ONE_LIST * len(index):
        return None
    return _checked(lists, index, where)


def _named(
    tables: Sequence[PhotoTable], chosen: Mapping[SplitName, str], where: str
) -> dict[SplitName, PhotoTable]:
    by_file = {table.file: table for table in tables}
    for split, file in chosen.items():
        if file not in by_file:
            raise DataError(f"{where}: --splits {split}={file}: the file names no photo of the source")
    return {split: by_file[file] for split, file in chosen.items()}


def _checked(lists: Mapping[SplitName, PhotoTable], index: PhotoIndex, where: str) -> ListedSplits:
    photos = {split: frozenset(table.photos) for split, table in lists.items()}
    names = list(photos)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            both = photos[one] & photos[other]
            if both:
                example = index.path(min(both))
                raise DataError(
                    f"{where}: {lists[one].file} and {lists[other].file} both list {len(both):,} photos such "
                    f"as {example}: choose lists with --splits {one}=FILE,{other}=FILE"
                )
    if "train" not in photos:
        listed = frozenset[int]().union(*photos.values())
        photos = {"train": frozenset(range(len(index))) - listed, **photos}
    files = {split: (table.file,) for split, table in lists.items()}
    return ListedSplits(photos, files, tuple(lists.values()))


def _one_list(
    split: SplitName,
    found: Sequence[PhotoTable],
    by_split: Mapping[SplitName, Sequence[PhotoTable]],
    where: str,
) -> PhotoTable:
    """The list of a split; of several, one that is not the union of it and the validation photos."""
    sets = {frozenset(table.photos) for table in found}
    if len(sets) > 1 and split == "train" and "val" in by_split:
        held_out = {photo for table in by_split["val"] for photo in table.photos}
        found = [table for table in found if held_out.isdisjoint(table.photos)] or found
        sets = {frozenset(table.photos) for table in found}
    if len(sets) > 1:
        files = ", ".join(dict.fromkeys(table.file for table in found))
        raise DataError(
            f"{where}: {files} list different {split} photos: choose one list for each split with "
            "--splits train=FILE,val=FILE,test=FILE"
        )
    return max(found, key=lambda table: bool(table.labels))


def _numbered(texts: Sequence[TextFile], index: PhotoIndex) -> ListedSplits | None:
    """CUB-200's form: `images.txt` numbers the photos, `train_test_split.txt` has 1 for training photos."""
    pairs = {text.file: found for text in texts if (found := _pairs(text))}
    photos: dict[str, int] = {}
    source = ""
    for file, values in pairs.items():
        found = {number: index.find(path) for number, path in values.items()}
        known = {number: photo for number, photo in found.items() if photo is not None}
        if len(known) >= _MIN_LISTED * len(index) and len(set(known.values())) == len(known):
            photos, source = known, file
    for file, flags in pairs.items():
        name = file.rpartition("/")[2].lower()
        if not photos or not re.search(r"train.*test|split", name) or not set(flags.values()) <= {"0", "1"}:
            continue
        splits: dict[SplitName, frozenset[int]] = {
            "train": frozenset(photos[number] for number in photos if flags.get(number) == "1"),
            "test": frozenset(photos[number] for number in photos if flags.get(number) == "0"),
        }
        files = dict.fromkeys(splits, (source, file))
        return ListedSplits(splits, files, ()) if all(splits.values()) else None
    return None


def _pairs(text: TextFile) -> dict[str, str]:
    """Value by number, if each line of a file is a number, each once, and a value."""
    for way in text.ways:
        rows = [row.cells for row in way.rows]
        if all(len(cells) == 2 for cells in rows):
            found = dict(rows)
            return found if len(found) == len(rows) else {}
    return {}
