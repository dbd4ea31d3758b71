"""Chooses among text files the one that labels the photos of a split, and reads their labels from it.

Whether labels are names, WNIDs or positions is decided for a whole column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, classes_from_wnids, in_label_order, is_wnid
from alexnet.data.sources.base import LabelNumbers, Labels, SourceOptions, SplitOrigin
from alexnet.data.sources.photo_files import PhotoIndex, class_in_name
from alexnet.data.sources.photo_table import (
    PhotoTable,
    is_whole_number,
    one_to_one,
    read_column,
    read_table,
)
from alexnet.data.sources.split_names import SplitName, split_in, without_split
from alexnet.data.sources.text_files import TextFile
from alexnet.errors import DataError
from alexnet.text import counted

_MOST = 0.5
"""Fraction of a split's photos that a file must name to label it."""
_NAMED = 3
"""Photos or lines that a message names."""
_COLUMN_WORDS = ("label", "truth", "synset", "class", "target")
FORMS = "a text file with lines `photo class`, such as val.txt"
"""For messages about a missing label file."""
_CLASS_LIST_WORDS = re.compile(
    r"class|categor|synset|words|wnid|names|map|species|breed|meta|^labels?\.txt$", re.IGNORECASE
)
PHOTO_NAMES = "the photos' names"
"""In place of the file that names classes."""
_NAMES, _WNIDS, _NUMBERS = "class names", "WNIDs", "class numbers"
_FROM: tuple[str, str] = ("positions from 0", "positions from 1")
_ORDER_OPTIONS: dict[str, str] = dict(zip(_FROM, ("from-0", "from-1"), strict=True))


@dataclass(frozen=True)
class ClassLists:
    """What names the classes that files have numbers of, by the file."""

    numbered: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """Names by number."""
    ordered: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Names in the order of their numbers, from 0 or from 1."""


_NO_LISTS = ClassLists()


@dataclass(frozen=True)
class FileLabels:
    """The labels of a split's photos from text files."""

    labels: Labels
    """(N,) `NO_LABEL` where the file has a photo without a label."""
    classes: list[Class]
    """In label order."""
    origin: SplitOrigin
    notes: list[str]
    others: list[str] = field(default_factory=list[str])
    """What the files name beside these photos."""


def label_photos(
    paths: Sequence[str],
    split: SplitName | None,
    texts: Sequence[TextFile],
    classes: Sequence[Class],
    options: SourceOptions,
    where: str,
    beside: Sequence[TextFile] = (),
) -> FileLabels | None:
    """Labels of all photos of a split (None: of the whole source); None if no file has any.

    `paths` are sorted, relative to the source, which messages call `where`. Without `classes`, the file's
    labels are the classes. `beside` are files that may name numbered classes, besides `texts`. DataError if
    files disagree, contradict themselves or leave photos out.
    """
    index = PhotoIndex(paths)
    tables = [table for text in texts if (table := read_table(text, index, options)) is not None]
    usable = [table for table in tables if table.labels and not table.rejected]
    if split == "test" and len(classes) > 1:  # a form to fill in has one label, the same in each line
        usable = [table for table in usable if len(set(table.labels.values())) > 1 or len(table.labels) == 1]
    lists = _class_lists([*texts, *beside], usable, paths)
    fitting = [table for table in usable if _fits(table, classes, options, lists)]
    least = 1 if options.skip_unlabeled else math.ceil(_MOST * len(paths))
    chosen = _choose(fitting or usable, split, least, where)
    unlabeled = {
        photo for table in tables if table.split == "test" and not table.labels for photo in table.photos
    }
    if chosen is None:
        listing = {table.file for table in tables}
        columns = [text for text in texts if text.file not in listing]
        return _in_order(paths, split, columns, classes, options, where, lists)
    return _labeled(chosen, unlabeled, index, classes, options, where, lists)


def _class_lists(texts: Sequence[TextFile], tables: Sequence[PhotoTable], paths: Sequence[str]) -> ClassLists:
    """The lists of classes among files; without numbered ones, what the photos' names tell."""
    numbered = {text.file: names for text in texts if (names := _class_names(text))}
    ordered = {text.file: names for text in texts if (names := _names_by_line(text))}
    return ClassLists(numbered or _names_in_photos(tables, paths), ordered)


def _names_by_line(text: TextFile) -> list[str]:
    """The names of classes in a file with one in each line, such as `classes.txt`; else empty."""
    if not _CLASS_LIST_WORDS.search(text.file.rpartition("/")[2]) or not text.ways or text.ways[-1].numbered:
        return []
    names = [row.cells[0].strip() for row in text.ways[-1].rows if len(row.cells) == 1]
    usable = 1 < len(names) == len(set(names)) == len(text.ways[-1].rows)
    return names if usable and not any(name[:1].isdigit() for name in names) else []


def _names_in_photos(tables: Sequence[PhotoTable], paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """Names of numbered classes, where all photos of a class and of no other one begin with it.

    So those of Oxford-IIIT Pets: `Abyssinian_1 1`, `Abyssinian_2 1`, `Bengal_1 2`.
    """
    pairs = {
        (_key(text), class_in_name(paths[photo]))
        for table in tables
        for photo, text in table.labels.items()
        if is_whole_number(text)
    }
    usable = pairs and all(name for _, name in pairs) and one_to_one(pairs)
    return {PHOTO_NAMES: dict(pairs)} if usable else {}


def _class_names(text: TextFile) -> dict[str, str]:
    """Names of classes by number, from a file of which each line has a number and a name; else empty."""
    named_so = _CLASS_LIST_WORDS.search(text.file.rpartition("/")[2]) is not None
    for way in text.ways:
        if (
            way.numbered == "photos"
            or way.at_blanks
            or not (named_so or (way.numbered and _CLASS_LIST_WORDS.search(way.header[1])))
        ):
            continue
        for number, name in ((0, 1), (1, 0)):
            pairs = [(row.cells[number], row.cells[name]) for row in way.rows if len(row.cells) >= 2]
            pairs = pairs[1:] if pairs and not pairs[0][0].isdigit() else pairs
            found = dict(pairs)
            usable = found and len(found) == len(pairs) == len(set(found.values()))
            if usable and all(key.isdigit() and not value.isdigit() for key, value in pairs):
                return {_key(key): value.strip("/") for key, value in pairs}
    return {}


def _refuse_contradictions(table: PhotoTable, where: str) -> None:
    """DataError that lists the lines, if a table gives a photo several labels."""
    if table.contradictions:
        count = len(table.contradictions)
        listed = "; ".join(table.contradictions[:_NAMED]) + (" ..." if count > _NAMED else "")
        raise DataError(
            f"{where}: {table.file} has {counted(count, 'contradictory line')}: {listed}: "
            "keep one label per photo"
        )


def _agree(tables: Sequence[PhotoTable]) -> bool:
    """Whether tables put the photos that they share into the same classes.

    These may have other names in another table (`cat` and 0), but not exchanged ones.
    """
    for one, other in combinations(tables, 2):
        shared = one.labels.keys() & other.labels.keys()
        pairs = {(one.labels[photo], other.labels[photo]) for photo in shared}
        ones, others = {text for text, _ in pairs}, {text for _, text in pairs}
        exchanged = not ones.isdisjoint(others) and any(text != same for text, same in pairs)
        if exchanged or not one_to_one(pairs):
            return False
    return True


def _fits(
    table: PhotoTable,
    classes: Sequence[Class],
    options: SourceOptions,
    lists: ClassLists,
) -> bool:
    """Whether a table's labels can be those of the classes; any can if these are unknown."""
    try:
        if classes:
            to_labels(list(table.labels.values()), classes, table.file, options.label_numbers, lists)
    except DataError:
        return False
    return True


def _choose(
    usable: Sequence[PhotoTable], split: SplitName | None, least: int, where: str
) -> list[PhotoTable] | None:
    """The table that labels at least `least` photos or, of photos of all splits, the tables of one set.

    DataError if others put the photos into other classes.
    """
    candidates = [[table] for table in usable]
    if split is None:
        sets: dict[str, list[PhotoTable]] = {}
        for table in usable:
            if table.split is not None:
                sets.setdefault(without_split(table.file), []).append(table)
        candidates += [tables for tables in sets.values() if len(tables) > 1]
    enough = [tables for tables in candidates if len(_labeled_by(tables)) >= least]
    enough = [tables for tables in enough if split and tables[0].split == split] or enough
    if not enough:
        return None
    if not all(map(_agree, product(*enough))):
        files = " and ".join(dict.fromkeys(table.file for tables in enough for table in tables))
        raise DataError(f"{where}: {files} label the photos differently: choose with --labels FILE")
    return max(enough, key=lambda tables: (len(_labeled_by(tables)), -len(tables), _has_words(tables[0])))


def _labeled_by(tables: Sequence[PhotoTable]) -> set[int]:
    return {photo for table in tables for photo in table.labels}


def _has_words(table: PhotoTable) -> bool:
    return not all(text.isdigit() for text in table.labels.values())


def _labeled(
    tables: Sequence[PhotoTable],
    unlabeled: Collection[int],
    index: PhotoIndex,
    classes: Sequence[Class],
    options: SourceOptions,
    where: str,
    lists: ClassLists,
) -> FileLabels:
    texts = dict.fromkeys(unlabeled, "")
    for table in tables:
        _refuse_contradictions(table, where)
        if table.wide:
            raise DataError(
                f"{where}: {table.file}, line {table.wide[0]}: it has more cells than the others: quote "
                "cells that contain the separator"
            )
        texts |= {photo: "" for photo in table.photos if photo not in texts} | dict(table.labels)
    first, files = tables[0], tuple(table.file for table in tables)
    missing = [index.path(photo) for photo in range(len(index)) if photo not in texts]
    if missing and not options.skip_unlabeled:
        name = missing[0].rpartition("/")[2]
        raise DataError(
            f"{where}: {' and '.join(files)} has no label for {counted(len(missing), 'photo')} such as "
            f"{name}: add them, or leave these photos out with --skip-unlabeled"
        )
    column = [texts.get(photo, "") for photo in range(len(index))]
    file = f"{where}: {files[0]}"
    if classes:
        meaning = to_labels(column, classes, file, options.label_numbers, lists)
    else:
        meaning = to_classes(column, file, lists, options.label_numbers)
        count = len(meaning.classes)
        if count > max(len(column) / 2, 2) and len(column) > 2 * _NAMED:
            raise DataError(
                f"{file}: column {first.label_column} has {count:,} different labels for "
                f"{counted(len(column), 'photo')}, so it names no classes: choose another with "
                "--label-column, by its header or, where there is none, its number"
            )
    origin = SplitOrigin(
        labels="file",
        files=files,
        image_column=first.image_column,
        label_column=first.label_column,
        other_columns=first.other_columns,
        values=meaning.values,
        class_list=meaning.class_list,
    )
    others = [name for table in tables for name in table.unknown]
    several = _several_classes({text for text in column if text})
    notes = [
        f"label {text!r} of {files[0]} is one class, though {part!r} is another: keep one for each photo"
        for text, part in list(several.items())[:1]
    ]
    notes += encoding_notes(tables) + [
        f"{table.file}: {' and '.join(table.missing)} in column {table.label_column} stands for no label"
        for table in tables
        if table.missing
    ]
    return FileLabels(meaning.labels, meaning.classes, origin, notes, others)


def _several_classes(labels: Collection[str]) -> dict[str, str]:
    """Labels that may be several, such as `cat,dog` beside `dog`, with the other one."""
    parts = {label: [each.strip() for each in re.split(r"[,;|]", label)] for label in labels}
    return {
        label: next(each for each in inside if each in parts)
        for label, inside in sorted(parts.items())
        if len(inside) > 1 and any(each in parts for each in inside)
    }


def encoding_notes(tables: Sequence[PhotoTable]) -> list[str]:
    """The encodings of tables that are not UTF-8."""
    return [f"{table.file} is read as {table.encoding}" for table in tables if table.encoding != "utf-8"]


def _in_order(
    paths: Sequence[str],
    split: SplitName | None,
    texts: Sequence[TextFile],
    classes: Sequence[Class],
    options: SourceOptions,
    where: str,
    lists: ClassLists,
) -> FileLabels | None:
    """Labels from a column without names, for the photos in sorted order; recognized by the file's name."""
    for text in texts:
        name = text.file.rpartition("/")[2].lower()
        mentioned = split_in(name)
        hinted = mentioned == split or (mentioned is None and any(word in name for word in _COLUMN_WORDS))
        if split is None or not hinted:
            continue
        if "ground_truth" in name and name.startswith("ilsvrc"):
            raise DataError(
                f"{where}: {text.file} contains ILSVRC ids, which need the devkit's meta.mat: put it in the "
                "same folder"
            )
        file = f"{where}: {text.file}"
        column = read_column(text, len(paths))
        if column is None:
            _refuse_other_count(text, len(paths), classes, file)
            continue
        if mentioned is None and len(set(column)) == len(column) > 1:  # a list of classes
            continue
        _refuse_two_orders(paths, file)
        if classes:
            meaning = to_labels(column, classes, file, options.label_numbers, lists)
        else:
            meaning = to_classes(column, file, lists, options.label_numbers)
        origin = SplitOrigin(
            labels="file",
            files=(text.file,),
            label_column="1",
            values=meaning.values,
            class_list=meaning.class_list,
        )
        return FileLabels(meaning.labels, meaning.classes, origin, [])
    return None


def _refuse_two_orders(paths: Sequence[str], file: str) -> None:
    """DataError if photos that are sorted by the numbers in their names have another order."""

    def by_number(path: str) -> list[tuple[int, int, str]]:
        parts = [(part, part.lstrip("0")) for part in re.split(r"(\d+)", path)]
        return [(0, len(digits), digits) if part.isdecimal() else (1, 0, part) for part, digits in parts]

    other = sorted(paths, key=by_number)
    place = next((place for place, path in enumerate(paths) if other[place] != path), None)
    if place is not None:
        raise DataError(
            f"{file} labels the photos in their order, but {paths[place]} or {other[place]} may be photo "
            f"{place + 1}: write the photos' names into the file, in lines `photo class`"
        )


def _refuse_other_count(text: TextFile, photos: int, classes: Sequence[Class], file: str) -> None:
    """DataError if a file is a column of classes, but not of as many as there are photos."""
    cells = [row.cells[0] for row in text.ways[-1].rows] if text.ways and not text.ways[-1].numbered else []
    known = {each.wnid for each in classes} | {each.name for each in classes}
    if cells and known.issuperset(cells):
        raise DataError(
            f"{file} has {counted(len(cells), 'label')} for {counted(photos, 'photo')}: "
            "it must name the photos"
        )


@dataclass(frozen=True)
class Meaning:
    """Labels as numbers, and what the texts of a file turned out to be."""

    labels: Labels
    """(N,) `NO_LABEL` where the text is empty."""
    classes: list[Class]
    """In label order."""
    values: str
    """`class names`, `WNIDs`, `positions from 0`, `positions from 1` or `class numbers`."""
    class_list: str = ""
    """The file that names numbered classes."""


def to_labels(
    texts: Sequence[str],
    classes: Sequence[Class],
    where: str,
    numbers: LabelNumbers | None = None,
    class_lists: ClassLists = _NO_LISTS,
) -> Meaning:
    """The labels that a column of texts stands for, decided for the column as a whole.

    DataError for texts that fit no reading, or several.
    """
    present = sorted({text for text in texts if text})
    by_name = _by_name(classes)
    readings = _readings(present, by_name, len(classes), class_lists)
    if numbers is not None:
        wanted = {"names": _NAMES, "from-0": _FROM[0], "from-1": _FROM[1]}[numbers]
        readings = [reading for reading in readings if reading.values == wanted]
    elif readings and readings[0].values not in _FROM:
        readings = readings[:1]
    if not readings:
        raise DataError(_no_reading(present, by_name, classes, where, numbers))
    # Where classes are named by numbers, numbers that are not all names may be names or positions.
    unsure = readings[0].values in _FROM and all(each.wnid.isdigit() for each in classes)
    if len(readings) > 1 or (unsure and numbers is None):
        ways = [f"{reading.values} ({_ORDER_OPTIONS[reading.values]})" for reading in readings]
        if unsure:
            ways.append(f"{_NAMES} (names, some of them unknown)")
        found = f"{where}: labels {_range(present)} of classes {_range([each.wnid for each in classes])}"
        raise DataError(f"{found} may be {' or '.join(ways)}: choose with --label-numbers")
    (reading,) = readings
    labels = np.array([reading.label_of[text] if text else NO_LABEL for text in texts], dtype=np.int32)
    return Meaning(labels, list(classes), reading.values, reading.class_list)


def to_classes(
    texts: Sequence[str], where: str, class_lists: ClassLists, numbers: LabelNumbers | None = None
) -> Meaning:
    """The classes and labels that a column of texts stands for, if no folder has the classes.

    DataError where numbers may count the lines of a list of classes from 0 or from 1.
    """
    if all(map(is_whole_number, filter(None, texts))):
        texts = [_key(text) if text else "" for text in texts]  # 0.0 is 0
    present = in_label_order({text for text in texts if text})
    if not present:
        raise DataError(f"{where} has no label")
    values, class_list = _WNIDS if all(map(is_wnid, present)) else _NAMES, ""
    names = present
    for file, by_number in class_lists.numbered.items():
        if all(text.isdigit() and _key(text) in by_number for text in present):
            values, class_list = _NUMBERS, file
            names = [by_number[_key(text)] for text in present]
            break
    else:
        if all(map(is_whole_number, present)) and (found := _by_line(present, where, class_lists, numbers)):
            values, class_list, names = found
    label_of = {text: label for label, text in enumerate(present)}
    labels = np.array([label_of.get(text, NO_LABEL) for text in texts], dtype=np.int32)
    return Meaning(labels, classes_from_wnids(names), values, class_list)


def _by_line(
    present: Sequence[str], where: str, class_lists: ClassLists, numbers: LabelNumbers | None
) -> tuple[str, str, list[str]] | None:
    """How to read numbers as lines of a list of classes, its file, and their names; None without a list.

    A list is for numbers of which the largest is that of its last line. DataError if several may be meant.
    """
    values = list(map(int, present))
    fitting = [
        (start, file)
        for file, names in class_lists.ordered.items()
        for start in (0, 1)
        if start <= min(values) and max(values) == len(names) - 1 + start
    ]
    if numbers is not None:
        fitting = [each for each in fitting if _ORDER_OPTIONS[_FROM[each[0]]] == numbers]
    readings = {(start, tuple(class_lists.ordered[file])) for start, file in fitting}
    if len(readings) > 1:
        ways = " or ".join(f"the lines of {file} from {start}" for start, file in fitting)
        raise DataError(f"{where}: labels {_range(present)} may be {ways}: choose with --label-numbers")
    if not fitting:
        return None
    start, file = fitting[0]
    return _FROM[start], file, [class_lists.ordered[file][number - start] for number in values]


@dataclass(frozen=True)
class _Reading:
    """One way to read all texts."""

    values: str
    label_of: Mapping[str, int]
    class_list: str = ""


def _readings(
    present: Sequence[str], by_name: Mapping[str, int], count: int, class_lists: ClassLists
) -> list[_Reading]:
    """Every way to read the texts: as names, as numbers of a list of classes, as positions."""
    readings: list[_Reading] = []
    words = {text: _key(text) for text in present}
    firsts = {text: _key(text.split()[0]) for text in present}
    lower = {text: word.casefold() for text, word in words.items()}
    numbered = all(is_wnid(text) or is_whole_number(text) for text in firsts.values())
    spellings = (words, *((firsts,) if numbered else ()), lower)
    named = next((each for each in spellings if all(word in by_name for word in each.values())), None)
    if named is not None:
        values = _WNIDS if present and all(map(is_wnid, named.values())) else _NAMES
        readings.append(_Reading(values, {text: by_name[word] for text, word in named.items()}))
    numeric = {text: int(float(first)) for text, first in firsts.items() if is_whole_number(first)}
    if len(numeric) < len(present) or not present:
        return readings
    for file, names in class_lists.numbered.items():
        found = {text: _label_of(names.get(str(number), ""), by_name) for text, number in numeric.items()}
        label_of = {text: label for text, label in found.items() if label is not None}
        if len(set(label_of.values())) == len(found):
            readings.append(_Reading(_NUMBERS, label_of, file))
    order, file = _order_of(class_lists, by_name, count)
    for start in (0, 1):
        if all(start <= number < count + start for number in numeric.values()):
            label_of = {text: order[number - start] for text, number in numeric.items()}
            readings.append(_Reading(_FROM[start], label_of, file))
    return readings


def _order_of(class_lists: ClassLists, by_name: Mapping[str, int], count: int) -> tuple[list[int], str]:
    """The labels of the classes in the order of a list that has each of them in a line, and its file.

    Without such a list, the order of the classes.
    """
    for file, names in class_lists.ordered.items():
        found = [_label_of(name, by_name) for name in names]
        labels = [label for label in found if label is not None]
        if len(found) == count and sorted(labels) == list(range(count)):
            return labels, file
    return list(range(count)), ""


def _by_name(classes: Sequence[Class]) -> dict[str, int]:
    """The label of each class by its WNID, else by its name, else by these without regard to case, else with
    blanks for `_`.
    """
    found = {_spaced(_key(each.wnid)): label for label, each in enumerate(classes)}
    found |= {_key(each.name).casefold(): label for label, each in enumerate(classes)}
    found |= {_key(each.wnid).casefold(): label for label, each in enumerate(classes)}
    found |= {_key(each.name): label for label, each in enumerate(classes)}
    return found | {_key(each.wnid): label for label, each in enumerate(classes)}


def _label_of(name: str, by_name: Mapping[str, int]) -> int | None:
    """The label of a class by its name, also in another case or with blanks for `_`; None without one."""
    key = _key(name)
    return by_name.get(key, by_name.get(key.casefold(), by_name.get(_spaced(key))))


def _spaced(name: str) -> str:
    return name.casefold().replace("_", " ")


def _key(text: str) -> str:
    """Texts that stand for the same class are equal: numbers lose leading zeros."""
    return str(int(float(text))) if is_whole_number(text) else text


def _no_reading(
    present: Sequence[str],
    by_name: Mapping[str, int],
    classes: Sequence[Class],
    where: str,
    numbers: LabelNumbers | None,
) -> str:
    unknown = [text for text in present if _key(text) not in by_name]
    first = unknown[0] if unknown else present[0] if present else ""
    found = f"{where}: label {first!r} is not one of the {counted(len(classes), 'class')}"
    if numbers is not None:
        return f"{found} if numbers are read as --label-numbers {numbers}: choose another reading"
    return f"{found}; write class names, WNIDs, or positions from 0 or 1 in the order of the sorted classes"


def _range(texts: Sequence[str]) -> str:
    ordered = in_label_order(texts)
    return f"{ordered[0]}..{ordered[-1]}" if len(ordered) > 1 else "".join(ordered)
