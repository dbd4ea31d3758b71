"""At which depth the class folders are: one depth must fit, and no label file may tell otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alexnet.data.classes import is_wnid
from alexnet.data.sources.arranged_photos import ArrangedPhotos, few
from alexnet.data.sources.folders import are_modalities, are_parts, class_levels
from alexnet.data.sources.label_file import PhotoTable
from alexnet.data.sources.metadata_files import MetadataFiles, chosen_texts
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.tree import Int64s
from alexnet.errors import CommandError, DataError

_MOST = 0.9
"""Fraction of the photos that a file must label to decide where folders leave doubt."""
_RELEVANT = 0.1
"""Fraction of the photos that a file must label to be compared with the folders."""


@dataclass(frozen=True)
class ClassLevel:
    """The depth of the class folders."""

    level: int
    """From 1; 0 if files or nothing label the photos."""
    notes: tuple[str, ...] = ()
    """Files that name the photos too, but are not used."""


def choose_level(photos: ArrangedPhotos, files: MetadataFiles, options: SourceOptions) -> ClassLevel:
    """The one depth that fits, or the chosen one; DataError if several fit, or a file tells otherwise."""
    arrangement, where = photos.arrangement, photos.survey.tree.path
    deepest = max(len(place.parts) for place in arrangement.places)
    if options.class_level > deepest:
        raise CommandError(f"--class-level {options.class_level}: the folders of {where} are {deepest} deep")
    if options.class_level:
        return ClassLevel(options.class_level)
    found = {split: class_levels(arrangement.of(split)) for split in arrangement.splits}
    first = next((split for split, levels in found.items() if levels), None)
    if first is None:
        return ClassLevel(0)
    levels, numbers = found[first], photos.of(first)
    names = {level: sorted({name for name in photos.names_at(level) if name}) for level in levels}
    tables = photos.tables(numbers, chosen_texts(photos.survey, options) or files.texts, options)
    labeled = len({photo for table in tables for photo in table.labels}) / len(numbers)
    if options.labels and labeled >= _MOST:
        return ClassLevel(0)
    highest = names[levels[0]]
    if len(levels) == 1 and (2 * sum(map(is_wnid, highest)) > len(highest) or options.labels):
        return ClassLevel(levels[0])
    doubtful = len(levels) > 1 or are_modalities(highest) or are_parts(highest)
    relevant = [each for each in tables if not each.rejected and len(each.labels) >= _RELEVANT * len(numbers)]
    agreeing = [level for level in levels if relevant and _agree(photos, numbers, relevant, level)]
    if not doubtful and (not relevant or agreeing):
        return ClassLevel(levels[0], _unused(tables, len(numbers)))
    if len(agreeing) == 1:
        return ClassLevel(agreeing[0])
    if doubtful and labeled >= _MOST:
        return ClassLevel(0)
    raise DataError(_several(photos, names, relevant))


def _agree(photos: ArrangedPhotos, numbers: Int64s, tables: Sequence[PhotoTable], level: int) -> bool:
    """Whether all tables put the photos into the same classes as the folders at a level."""
    names = photos.names_at(level)
    for table in tables:
        found = ((text, names[int(photos.places[numbers[photo]])]) for photo, text in table.labels.items())
        pairs = {(text, name) for text, name in found if name is not None}
        if not len({text for text, _ in pairs}) == len(pairs) == len({name for _, name in pairs}):
            return False
    return True


def _unused(tables: Sequence[PhotoTable], photos: int) -> tuple[str, ...]:
    """Notes on tables of the photos that may have labels, but in no known column."""
    return tuple(
        f"{table.file} is not used: {table.rejected}"
        for table in tables
        if table.rejected and len(table.photos) >= _MOST * photos
    )


def _several(
    photos: ArrangedPhotos,
    names: Mapping[int, Sequence[str]],
    tables: Sequence[PhotoTable],
) -> str:
    """The readings that fit, with the options that choose them."""
    readings = [f"folders {few(each)} (--class-level {level})" for level, each in names.items()]
    readings += [f"column {table.label_column} of {table.file} (--labels {table.file})" for table in tables]
    where = photos.survey.tree.path
    place = next(place for place in photos.arrangement.places if place.parts)
    only = where / place.part_folders[0]
    return (
        f"{where}: the classes may be {' or '.join(readings)}: choose with that option, "
        f"or name a part of the photos, such as {only}"
    )
