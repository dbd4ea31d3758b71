"""What folder names may mean: which folders are splits, and at which depth the class folders are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alexnet.data.classes import is_wnid
from alexnet.data.sources.base import INNERMOST, LeftOut, SourceOptions
from alexnet.data.sources.photo_files import PhotoIndex, Survey
from alexnet.data.sources.photo_table import PhotoTable, read_table
from alexnet.data.sources.split_names import (
    SPLITS,
    SplitName,
    is_neutral,
    is_occasion,
    may_hold_classes,
    split_of,
    splits_of,
    words_of,
)
from alexnet.data.sources.text_files import TextFile
from alexnet.data.sources.tree import Int64s, join
from alexnet.errors import CommandError, DataError
from alexnet.text import counted

_MOST = 0.9
"""Fraction of the photos that must fit a reading; the others are left out."""
_MAX_DIGITS = 9
"""Of a number in a folder's name that counts parts."""
_NEVER_PHOTOS = ("annotation", "annotations", "trimap", "trimaps", "xml", "xmls")
_MODALITY_WORDS = """
mask masks label labels segmentation segmentations segments depth gt groundtruth bbox bboxes heatmap heatmaps
thumbnail thumbnails thumbs edges
"""
_MODALITIES = frozenset(_MODALITY_WORDS.split())
"""What folders beside `images` are called if they hold other images of the same photos."""
_PART_WORDS = frozenset(("part", "parts", "batch", "chunk", "shard", "volume", "images", "imgs", "photos"))
CLASSES_SHOWN = 4
"""Classes that a message names."""


@dataclass(frozen=True)
class Place:
    """A folder that directly holds photos."""

    folder: str
    photos: int
    split: SplitName
    parts: tuple[str, ...]
    """The names in its path that may be classes, topmost first: no folders of splits, no `images`."""
    part_folders: tuple[str, ...]
    """The path of each of them."""

    def name_at(self, level: int) -> str | None:
        """The name at a level, from 1, or `INNERMOST`; None where the folder is not that deep."""
        return self._at(self.parts, level)

    def folder_at(self, level: int) -> str | None:
        """The path at a level, as for `name_at`."""
        return self._at(self.part_folders, level)

    @staticmethod
    def _at(values: Sequence[str], level: int) -> str | None:
        place = len(values) if level == INNERMOST else level
        return values[place - 1] if 0 < place <= len(values) else None


@dataclass(frozen=True)
class Arrangement:
    """The folders of a source by split."""

    places: list[Place]
    has_splits: bool
    """Whether folders are splits; else all places are `train`."""
    roots: Mapping[SplitName, str]
    """The folder of each split; the base where splits are below the classes."""
    inside_classes: bool = False
    """Whether the folders of the splits are in the class folders."""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why photos directly in other folders are left out, by folder."""
    notes: tuple[str, ...] = ()
    """What is unusual about the folders."""

    def of(self, split: SplitName) -> list[Place]:
        """The places of a split."""
        return [place for place in self.places if place.split == split]

    @property
    def splits(self) -> list[SplitName]:
        """The splits that have photos, in order."""
        return [split for split in SPLITS if any(place.split == split for place in self.places)]


def arrange(survey: Survey, base: str, options: SourceOptions) -> Arrangement:
    """The folders below `base` by split; DataError where their names can be read in several ways."""
    folders = survey.below(base)
    tree = survey.tree
    parts = {
        folder: tuple(folder.removeprefix(base).strip("/").split("/")) if folder != base else ()
        for folder in folders
    }
    left_out: dict[str, str] = {}
    for folder in list(folders):
        if any(name.lower() in _NEVER_PHOTOS for name in parts[folder]):
            left_out[folder] = "a folder of annotations"
            del folders[folder]
    chosen = chosen_folders(survey, base, options)
    if chosen:
        return _by_choice(base, folders, chosen, left_out)
    for level in range(max((len(parts[folder]) for folder in folders), default=0)):
        found = _splits_at(level, base, folders, parts, options, tree.path.as_posix())
        if found is not None:
            arrangement = _by_level(level, base, folders, parts, found, left_out)
            if options.class_level:
                return arrangement
            places, notes = _below_initials(arrangement.places)
            return replace(arrangement, places=places, notes=(*arrangement.notes, *notes))
    places = [_place(folder, count, "train", base, ()) for folder, count in folders.items()]
    stripped, roots = _strip_wrappers(places, {"train": base})
    places, notes = (stripped, ()) if options.class_level else _below_initials(stripped)
    return Arrangement(places, False, roots, left_out=left_out, notes=notes)


def class_levels(places: Sequence[Place]) -> list[int]:
    """The depths, from 1, at which the class folders of some places may be; empty where there are none.

    Depths at which the same photos are together count once, unless the folders above are only numbered and
    those below have names (`001/cat`, `002/dog`). Depths of WNIDs leave no doubt. Folders in others that only
    say when photos were taken (`cat/day1`, `dog/day1`) are no classes.
    """
    total = sum(place.photos for place in places)
    levels: list[int] = []
    partitions: set[frozenset[tuple[str, ...]]] = set()
    above: set[str] = set()
    for level in range(1, max((len(place.parts) for place in places), default=0) + 1):
        inside = [place for place in places if len(place.parts) >= level]
        if sum(place.photos for place in inside) < _MOST * total:
            break
        names = {place.parts[level - 1] for place in inside}
        if 2 * sum(map(is_wnid, names)) > len(names):
            return [level]
        groups: dict[str, list[str]] = {}
        for place in inside:
            groups.setdefault(place.parts[level - 1], []).append(place.folder)
        partition = frozenset(tuple(folders) for folders in groups.values())
        named_at_last = partition in partitions and _are_numbers(above) and not _are_numbers(names)
        is_new = partition not in partitions or named_at_last
        if len(names) > 1 and is_new and not (level > 1 and all(map(_names_no_class, names))):
            partitions.add(partition)
            levels.append(level)
        above = names
    if levels or 2 * sum(place.photos for place in places if place.parts) <= total:
        return levels
    return [1]  # one class


def _names_no_class(name: str) -> bool:
    return is_neutral(name) or is_occasion(name)


def containers(places: Sequence[Place], level: int) -> list[str]:
    """Class folders at a level that may hold classes instead: `more/`, with no photo of its own but with
    folders such as `more/skirt`, beside class folders with photos of their own. Their paths.
    """
    direct = {place.folder_at(level) for place in places if len(place.parts) == level}
    deeper = {
        folder: name
        for place in places
        if len(place.parts) > level and not _names_no_class(place.parts[-1])
        for folder, name in [(place.part_folders[level - 1], place.parts[level - 1])]
    }
    found = [folder for folder, name in deeper.items() if folder not in direct and may_hold_classes(name)]
    return found if direct - {None} else []


def deeper_folders(places: Sequence[Place], level: int) -> dict[str, list[str]]:
    """The paths of the folders with photos in each class folder at a level, by its name.

    Without class folders in which all are called like those of any data set, such as `images`, or of days and
    cameras.
    """
    found: dict[str, list[Place]] = {}
    for place in places:
        if 0 < level < len(place.parts):
            found.setdefault(place.parts[level - 1], []).append(place)
    return {
        name: [place.part_folders[-1] for place in inside]
        for name, inside in found.items()
        if not all(_names_no_class(part) for place in inside for part in place.parts[level:])
    }


def _are_numbers(names: Collection[str]) -> bool:
    return bool(names) and all(name.isdecimal() for name in names)


def are_modalities(names: Iterable[str]) -> bool:
    """Whether folders are different images of the same photos, such as `images` and `masks`."""
    listed = list(names)
    other = [words_of(name) for name in listed if not is_neutral(name)]
    return 0 < len(other) < len(listed) and all(
        all(word in _MODALITIES or is_neutral(word) for word in words) for words in other
    )


def are_parts(names: Iterable[str]) -> bool:
    """Whether folders are numbered parts of one set of photos: `images_part_1`, `images_part_2`."""
    listed = [tuple(words_of(name)) for name in names]
    return len(listed) > 1 and len(set(listed)) == 1 and not _PART_WORDS.isdisjoint(listed[0])


def _splits_at(
    level: int,
    base: str,
    folders: Mapping[str, int],
    parts: Mapping[str, tuple[str, ...]],
    options: SourceOptions,
    where: str,
) -> dict[str, SplitName] | None:
    """The split of each folder name at a depth, if the names at that depth are splits."""
    counts: dict[str, int] = {}
    deeper: dict[str, bool] = {}
    for folder, count in folders.items():
        if len(parts[folder]) > level:
            name = parts[folder][level]
            counts[name] = counts.get(name, 0) + count
            deeper[name] = deeper.get(name, False) or len(parts[folder]) > level + 1
    splits = {name: split for name, split in splits_of(counts).items() if split is not None}
    others = [name for name in counts if name not in splits]
    distinct = set(splits.values())
    if not splits:
        return None
    if level > 0:
        covered = sum(counts[name] for name in splits)
        enough = covered >= _MOST * sum(folders.values()) and not others
        return splits if enough and (len(distinct) > 1 or "train" in distinct) else None
    if len(others) == 1 and len(distinct) > 1 and "train" not in distinct:
        return splits | {others[0]: "train"}  # such as Places365's data_256
    if not others or len(distinct) > 1:
        return splits
    (name, *_) = splits
    if distinct == {"train"} and (len(others) > 1 or not deeper[name]):
        return None
    if options.class_level:
        return None
    beside = ", ".join(f"{other}/" for other in others[:3])
    raise DataError(
        f"{join(where, base)}: {name}/ may be a split or a class, beside {beside}: choose --class-level 1 "
        f"(classes {', '.join(sorted(counts)[:4])}) or --splits "
        + (f"train={name},test={others[0]}" if distinct == {"train"} else f"train=.,{splits[name]}={name}")
    )


def _by_level(
    level: int,
    base: str,
    folders: Mapping[str, int],
    parts: Mapping[str, tuple[str, ...]],
    splits: Mapping[str, SplitName],
    left_out: dict[str, str],
) -> Arrangement:
    assigned = dict(splits) if level else _folders_of_splits(base, folders, parts, splits, left_out)
    places: list[Place] = []
    for folder, count in folders.items():
        names = parts[folder]
        split = assigned.get(names[level]) if len(names) > level else None
        if split is not None:
            places.append(_place(folder, count, split, base, (level,)))
        elif len(names) <= level or names[level] not in splits:
            left_out[folder] = "outside the folders of the splits"
    roots: dict[SplitName, str] = dict.fromkeys(SPLITS, base)
    notes: list[str] = []
    if level == 0:
        for split in dict.fromkeys(assigned.values()):
            own = [name for name, each in assigned.items() if each == split]
            roots[split] = join(base, own[0]) if len(own) == 1 else base
            if len(own) > 1:
                notes.append(f"{' and '.join(f'{name}/' for name in own)} are parts of {split}")
    stripped, roots = _strip_wrappers(places, roots)
    return Arrangement(stripped, True, roots, level > 0, left_out, tuple(notes))


def _folders_of_splits(
    base: str,
    folders: Mapping[str, int],
    parts: Mapping[str, tuple[str, ...]],
    splits: Mapping[str, SplitName],
    left_out: dict[str, str],
) -> dict[str, SplitName]:
    """The folders of each split: one, or numbered parts of one split such as `train_1` and `train_2`.

    Of two test folders, of which one has class folders, that one is `val` if there is no other. Where several
    splits have numbered folders, these may be folds of a cross-validation, which have photos in common.
    """
    several = [split for split in SPLITS if sum(each == split for each in splits.values()) > 1]
    assigned: dict[str, SplitName] = {}
    for split in SPLITS:
        names = [name for name, each in splits.items() if each == split]
        labeled = [name for name in names if _has_classes(folders, parts, name)]
        if split == "test" and len(names) == 2 and len(labeled) == 1:
            (other,) = set(names) - set(labeled)
            if "val" not in splits.values():
                assigned |= {labeled[0]: "val", other: "test"}
                continue
            reason = f"{labeled[0]}/ is the test split"
            left_out |= {folder: reason for folder in folders if parts[folder][:1] == (other,)}
            names = labeled
        if len(names) > 1 and not (several == [split] and _are_numbered(names)):
            both = " and ".join(f"{name}/" for name in names)
            raise DataError(
                f"{base or '.'}: {both} may all be the {split} split: choose with --splits, "
                f"for example --splits {split}={names[0]} with the others you mean"
            )
        assigned |= dict.fromkeys(names, split)
    return assigned


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether names differ only in a number that counts them from 0 or 1, unlike sizes and years do."""
    found = [re.findall(r"\d+", name) for name in names]
    numbers = sorted(int(each[0]) for each in found if len(each) == 1 and len(each[0]) <= _MAX_DIGITS)
    counts = [list(range(start, start + len(names))) for start in (0, 1)]
    return numbers in counts and len({tuple(words_of(name)) for name in names}) == 1


def _below_initials(places: Sequence[Place]) -> tuple[list[Place], tuple[str, ...]]:
    """Places below folders such as `a` and `b`, in which all names begin with that letter, and a note.

    Classes are what is below, at whatever depth: SUN397 has `a/abbey` and `a/apartment_building/outdoor`.
    """
    deep = all(len(place.parts) > 1 for place in places)
    initials = {place.parts[0].lower() for place in places} if deep else set[str]()
    if len(initials) < 2 or not all(
        len(place.parts[0]) == 1 and place.parts[1].lower().startswith(place.parts[0].lower())
        for place in places
    ):
        return list(places), ()
    below = [replace(p, parts=p.parts[1:], part_folders=p.part_folders[1:]) for p in places]
    shown = sorted(initials)
    note = f"folders {shown[0]}/ ... {shown[-1]}/ are initials of the classes below them"
    if len({len(place.parts) for place in below}) > 1:
        below = [replace(p, parts=("/".join(p.parts),), part_folders=(p.part_folders[-1],)) for p in below]
        note += ", which are whole paths such as " + max((p.parts[0] for p in below), key=len)
    return below, (note,)


def _has_classes(folders: Mapping[str, int], parts: Mapping[str, tuple[str, ...]], name: str) -> bool:
    """Whether a folder of a split has folders that may be classes."""
    inside = (part for folder in folders if parts[folder][:1] == (name,) for part in parts[folder][1:])
    return any(split_of(part) is None and not is_neutral(part) for part in inside)


def chosen_folders(survey: Survey, base: str, options: SourceOptions) -> dict[SplitName, str]:
    """The folders that `--splits` names; empty if it names files. CommandError for what does not exist."""
    listing = survey.tree.listing
    roots: dict[SplitName, str] = {}
    for split, named in options.splits.items():
        places = [base if named == "." else named, join(base, named)]
        place = next((each for each in places if each in survey.total), None)
        if place is not None:
            roots[split] = place
        elif not any(listing.find(*_folder_and_name(each)) is not None for each in places):
            raise CommandError(
                f"--splits {split}={named}: {survey.tree.path} has no such folder of photos, and no such list"
            )
    if roots and len(roots) < len(options.splits):
        raise CommandError("--splits: name either folders or files, not both")
    return roots


def _folder_and_name(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _by_choice(
    base: str,
    folders: Mapping[str, int],
    roots: dict[SplitName, str],
    left_out: dict[str, str],
) -> Arrangement:
    """The arrangement that `--splits` names."""
    places: list[Place] = []
    for folder, count in folders.items():
        inside = [
            (len(root), split)
            for split, root in roots.items()
            if folder == root or folder.startswith(root + "/") or not root
        ]
        if not inside:
            left_out[folder] = "in no folder of --splits"
            continue
        split = max(inside)[1]
        places.append(_place(folder, count, split, roots[split], ()))
    stripped, roots = _strip_wrappers(places, roots)
    return Arrangement(stripped, True, roots, left_out=left_out)


def _place(folder: str, count: int, split: SplitName, base: str, without: tuple[int, ...]) -> Place:
    names = folder.removeprefix(base).strip("/").split("/") if folder != base else []
    paths = [join(base, "/".join(names[: depth + 1])) for depth in range(len(names))]
    kept = [depth for depth in range(len(names)) if depth not in without]
    return Place(
        folder, count, split, tuple(names[depth] for depth in kept), tuple(paths[depth] for depth in kept)
    )


def _strip_wrappers(
    places: Sequence[Place], roots: Mapping[SplitName, str]
) -> tuple[list[Place], dict[SplitName, str]]:
    """Without folders that all photos of a split are in and that name no class: `seg_train/seg_train`."""
    stripped: list[Place] = []
    new_roots = dict(roots)
    for split in SPLITS:
        own = [place for place in places if place.split == split]
        while own and all(place.parts for place in own):
            first = {place.part_folders[0] for place in own}
            names = {place.parts[0] for place in own}
            above = roots[split].rpartition("/")[2]
            if len(names) > 1 or not all(n == above or split_of(n) or is_neutral(n) for n in names):
                break
            if len(first) == 1:
                new_roots[split] = first.pop()
            own = [replace(p, parts=p.parts[1:], part_folders=p.part_folders[1:]) for p in own]
        stripped += own
    order = {place.folder: number for number, place in enumerate(places)}
    return sorted(stripped, key=lambda place: order[place.folder]), new_roots


@dataclass(frozen=True)
class ArrangedPhotos:
    """All photos of an arrangement, in the tree's order."""

    survey: Survey
    arrangement: Arrangement
    files: Int64s
    """(N,) numbers in the tree's listing."""
    places: Int64s
    """(N,) numbers in `arrangement.places`."""

    def of(self, split: SplitName) -> Int64s:
        """The numbers of the split's photos."""
        is_of = np.array([place.split == split for place in self.arrangement.places], dtype=bool)
        return np.flatnonzero(is_of[self.places])

    def paths(self, numbers: Sequence[int] | Int64s) -> list[str]:
        """Paths relative to the source."""
        listing = self.survey.tree.listing
        return [listing.path(int(self.files[number])) for number in numbers]

    def names_at(self, level: int) -> list[str | None]:
        """The folder name at a level, for each place; None where it is not that deep."""
        return [place.name_at(level) for place in self.arrangement.places]

    def tables(self, numbers: Int64s, texts: Sequence[TextFile], options: SourceOptions) -> list[PhotoTable]:
        """The labels that text files give to some photos, which are renumbered from 0."""
        if not texts:
            return []
        index = PhotoIndex(self.paths(numbers))
        return [table for text in texts if (table := read_table(text, index, options)) is not None]


def arranged_photos(survey: Survey, arrangement: Arrangement) -> ArrangedPhotos:
    """All photos in the folders of an arrangement; DataError if there are none."""
    files = [np.array(survey.photos[place.folder], np.int64) for place in arrangement.places]
    if not files:
        raise DataError(f"{survey.tree.path} has photos only in annotation folders: choose another folder")
    places = [np.full(len(each), number, np.int64) for number, each in enumerate(files)]
    return ArrangedPhotos(survey, arrangement, np.concatenate(files), np.concatenate(places))


def left_out_folders(survey: Survey, reasons: Mapping[str, str]) -> list[LeftOut]:
    """Folders whose photos are left out, by reason; one for all where everything below it is."""
    found: dict[str, tuple[int, str]] = {}
    for folder, reason in reasons.items():
        top = folder
        while top and all(reasons.get(each) == reason for each in survey.below(top.rpartition("/")[0])):
            top = top.rpartition("/")[0]
        inside = sum(survey.below(top).values()) if top != folder else len(survey.photos[folder])
        found[top] = (inside, reason)
    return [
        LeftOut(f"{top or '.'}/ ({counted(count, 'photo')})", reason)
        for top, (count, reason) in found.items()
    ]
