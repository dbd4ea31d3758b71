"""What a text file tells about photos: their labels, their splits, or just that they are in a list.

A file is recognized by its contents: one of its columns names photos. A column of labels alone, for the
photos in sorted order, is recognized by the file's name. `text_table` cuts files into cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, classes_from_wnids, in_label_order, is_wnid
from alexnet.data.sources.base import Labels
from alexnet.data.sources.options import LabelNumbers, SourceOptions
from alexnet.data.sources.photo_index import PhotoIndex
from alexnet.data.sources.split_words import SplitName, split_in, split_of
from alexnet.data.sources.text_table import Candidate, Row, candidates, decode_text
from alexnet.errors import DataError

FORMS = "a text file with lines `name wnid`, such as val.txt"
"""For messages about a missing label file."""

_IMAGE_WORDS = """
filename filepath file path image imagename imagepath imageid imagefile img imgname photo fname name id
picture
"""
_LABEL_WORDS = """
label labels class classname classlabel classid category categoryname categoryid target groundtruth gt
finelabel wnid synset predictionstring species breed y labelname dx diagnosis
"""
_IMAGE_HEADERS, _LABEL_HEADERS = _IMAGE_WORDS.split(), _LABEL_WORDS.split()
"""In lower case and without separators; those of photos from the likeliest on."""
_SPLIT_HEADERS = ("split", "set", "subset", "dataset", "phase", "partition", "usage", "fold")
_FLAG_HEADERS: dict[str, SplitName] = {
    "istrain": "train",
    "istraining": "train",
    "isval": "val",
    "isvalid": "val",
    "isvalidation": "val",
    "istest": "test",
    "istesting": "test",
}
_CLASS_LIST_WORDS = re.compile(r"class|categor|synset|words|wnid|names|map|species|breed|meta", re.IGNORECASE)
_NAMES, _WNIDS, _NUMBERS = "class names", "WNIDs", "class numbers"
_FROM: tuple[str, str] = ("positions from 0", "positions from 1")
_ORDER_OPTIONS: dict[str, str] = dict(zip(_FROM, ("from-0", "from-1"), strict=True))
_SAMPLE = 300
"""Rows from which the columns of a long file are guessed."""
_NAMED = 3
"""Rows that a message names."""


@dataclass(frozen=True)
class PhotoTable:
    """What one file tells about some photos, which are numbered as in the `PhotoIndex` it was read with."""

    file: str
    """For messages: its path relative to the source, or the archive's neighbor."""
    photos: tuple[int, ...]
    """The photos that it names."""
    labels: Mapping[int, str]
    """The text of the label of each photo that has one; empty for a list without labels."""
    splits: Mapping[int, SplitName]
    """The split of each photo, from a column of splits."""
    image_column: str
    """Its header, or `1` for the first column without one; empty for labels in the photos' order."""
    label_column: str
    """The same for the labels; empty for a list without labels."""
    encoding: str
    unknown: tuple[str, ...] = ()
    """What it names beside the photos."""
    contradictions: tuple[str, ...] = ()
    """Photos with several labels, with their lines."""
    rejected: str = ""
    """Why it cannot label photos though it names them; empty if it can."""

    @property
    def split(self) -> SplitName | None:
        """The split that the file's name mentions."""
        return split_in(self.file.rpartition("/")[2])


@dataclass(frozen=True)
class TextFile:
    """A text file, cut into cells in every way that may be meant."""

    file: str
    encoding: str
    ways: tuple[Candidate, ...] = field(repr=False)


def open_text(data: bytes, file: str) -> TextFile:
    """The file's ways to be cut into cells; DataError if it is no text."""
    try:
        text, encoding = decode_text(data)
    except ValueError:
        raise DataError(f"{file} is not UTF-8, UTF-16 or Latin-1 text") from None
    return TextFile(file, encoding, tuple(candidates(text, file)))


def read_table(text: TextFile, index: PhotoIndex, options: SourceOptions) -> PhotoTable | None:
    """What the file tells about the photos of the index; None if it names none of them.

    CommandError if a chosen column does not exist.
    """
    name = text.file.rpartition("/")[2]
    # Each photo's own boxes, or a form to fill in, is no table of photos.
    if index.find(name.rpartition(".")[0]) is not None or "submission" in name.lower():
        return None
    best: PhotoTable | None = None
    for way in text.ways:
        columns = _image_column(way, index, options)
        if columns is None:
            continue
        header, rows, image = columns
        table = _table(text, index, options, header, rows, image)
        if best is None or _quality(table) > _quality(best):
            best = table
        if best.labels and len(best.photos) == len(rows):
            break
    return best


def read_column(text: TextFile, count: int) -> list[str] | None:
    """`count` labels for photos in sorted order, from a file with one column (and perhaps a header)."""
    if not text.ways or (len(text.ways[-1].rows) - count) not in (0, 1):
        return None
    cells = [row.cells[0].split(maxsplit=1)[0] for row in text.ways[-1].rows if row.cells]
    return cells[len(cells) - count :] if len(cells) >= count else None


def read_class_names(text: TextFile) -> dict[str, str]:
    """Names of classes by number, from a file of which each line has a number and a name; else empty."""
    if not _CLASS_LIST_WORDS.search(text.file.rpartition("/")[2]):
        return {}
    for way in text.ways:
        for number, name in ((0, 1), (1, 0)):
            pairs = [(row.cells[number], row.cells[name]) for row in way.rows if len(row.cells) == 2]
            pairs = pairs[1:] if pairs and not pairs[0][0].isdigit() else pairs
            found = dict(pairs)
            usable = found and len(found) == len(pairs) == len(set(found.values()))
            if usable and all(key.isdigit() and not value.isdigit() for key, value in pairs):
                return {str(int(key)): value.strip("/") for key, value in pairs}
    return {}


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


ClassLists = Mapping[str, Mapping[str, str]]
"""Names of classes by number, by the file that has them."""


def to_labels(
    texts: Sequence[str],
    classes: Sequence[Class],
    where: str,
    numbers: LabelNumbers | None = None,
    class_lists: ClassLists | None = None,
) -> Meaning:
    """The labels that a column of texts stands for, decided for the column as a whole.

    DataError for texts that fit no reading, or several.
    """
    present = sorted({text for text in texts if text})
    by_name = _by_name(classes)
    readings = _readings(present, by_name, len(classes), class_lists or {})
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


def to_classes(texts: Sequence[str], where: str, class_lists: ClassLists) -> Meaning:
    """The classes and labels that a column of texts stands for, if no folder has the classes."""
    if all(map(_is_whole, filter(None, texts))):
        texts = [_key(text) if text else "" for text in texts]  # 0.0 is 0
    present = in_label_order({text for text in texts if text})
    if not present:
        raise DataError(f"{where} has no label")
    values, class_list = _WNIDS if all(map(is_wnid, present)) else _NAMES, ""
    names = present
    for file, by_number in class_lists.items():
        if all(text.isdigit() and str(int(text)) in by_number for text in present):
            values, class_list = _NUMBERS, file
            names = [by_number[str(int(text))] for text in present]
            break
    label_of = {text: label for label, text in enumerate(present)}
    labels = np.array([label_of.get(text, NO_LABEL) for text in texts], dtype=np.int32)
    return Meaning(labels, classes_from_wnids(names), values, class_list)


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
    spellings = (words, firsts, lower)
    named = next((each for each in spellings if all(word in by_name for word in each.values())), None)
    if named is not None:
        values = _WNIDS if present and all(map(is_wnid, named.values())) else _NAMES
        readings.append(_Reading(values, {text: by_name[word] for text, word in named.items()}))
    numeric = {text: int(float(first)) for text, first in firsts.items() if _is_whole(first)}
    if len(numeric) < len(present) or not present:
        return readings
    for file, names in class_lists.items():
        found = {text: _key(names.get(str(number), "")) for text, number in numeric.items()}
        if all(name in by_name for name in found.values()):
            label_of = {text: by_name[name] for text, name in found.items()}
            readings.append(_Reading(_NUMBERS, label_of, file))
    for start in (0, 1):
        if all(start <= number < count + start for number in numeric.values()):
            readings.append(_Reading(_FROM[start], {text: n - start for text, n in numeric.items()}))
    return readings


def _by_name(classes: Sequence[Class]) -> dict[str, int]:
    """The label of each class by its WNID, else by its name, else by these without regard to case."""
    found = {_key(each.name).casefold(): label for label, each in enumerate(classes)}
    found |= {_key(each.wnid).casefold(): label for label, each in enumerate(classes)}
    found |= {_key(each.name): label for label, each in enumerate(classes)}
    return found | {_key(each.wnid): label for label, each in enumerate(classes)}


def _key(text: str) -> str:
    """Texts that stand for the same class are equal: numbers lose leading zeros."""
    return str(int(float(text))) if _is_whole(text) else text


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"\d+(\.0*)?", text) is not None and text.isascii()


def _no_reading(
    present: Sequence[str],
    by_name: Mapping[str, int],
    classes: Sequence[Class],
    where: str,
    numbers: LabelNumbers | None,
) -> str:
    unknown = [text for text in present if _key(text) not in by_name and _key(text.split()[0]) not in by_name]
    first = unknown[0] if unknown else present[0] if present else ""
    found = f"{where}: label {first!r} is none of the {len(classes):,} classes"
    if numbers is not None:
        return f"{found} if numbers are read as --label-numbers {numbers}: choose another reading"
    return f"{found}; write class names, WNIDs, or positions from 0 or 1 in the order of the sorted classes"


def _range(texts: Sequence[str]) -> str:
    ordered = in_label_order(texts)
    return f"{ordered[0]}..{ordered[-1]}" if len(ordered) > 1 else "".join(ordered)


def _header_key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _image_column(
    way: Candidate, index: PhotoIndex, options: SourceOptions
) -> tuple[list[str], list[Row], int] | None:
    """The header, the rows below it and the column that names photos; None if no column does."""
    rows, header = way.rows, way.header
    if not rows:
        return None
    width = max(len(row.cells) for row in rows)
    step = max(len(rows) // _SAMPLE, 1)
    sample = rows[1 - bool(header) :: step] or rows
    counts = [_matches(sample, column, index) for column in range(width)]
    if not header and len(rows) > 1 and _is_header(rows[0].cells, counts, index):
        header, rows = rows[0].cells, rows[1:]
    names = [_header_key(name) for name in header]
    if options.image_column and options.image_column in header:
        return header, rows, header.index(options.image_column)
    if not any(counts):
        return None
    # Of columns that name equally many photos: by its header, by names with suffix, the first.
    known = [-_IMAGE_HEADERS.index(name) if name in _IMAGE_HEADERS else -99 for name in names] or [0] * width
    best = max(
        range(width), key=lambda column: (counts[column], known[column : column + 1] or [-99], -column)
    )
    return header, rows, best


def _is_header(cells: Sequence[str], counts: Sequence[int], index: PhotoIndex) -> bool:
    best = max(range(len(counts)), key=counts.__getitem__, default=0)
    if best >= len(cells) or index.find(cells[best]) is not None:
        return False
    known = {*_IMAGE_HEADERS, *_LABEL_HEADERS, *_SPLIT_HEADERS, *_FLAG_HEADERS}
    return counts[best] > 0 and (
        any(_header_key(cell) in known for cell in cells) or not _is_photo(cells[best])
    )


def _is_photo(cell: str) -> bool:
    return "." in cell or "/" in cell or any(character.isdigit() for character in cell)


def _matches(rows: Sequence[Row], column: int, index: PhotoIndex) -> int:
    found = {index.find(row.cells[column]) for row in rows if column < len(row.cells)}
    return len(found - {None})


def _table(
    text: TextFile,
    index: PhotoIndex,
    options: SourceOptions,
    header: list[str],
    rows: Sequence[Row],
    image: int,
) -> PhotoTable:
    label, label_name, rejected = _label_column(header, rows, image, options)
    split = _split_column(header, rows, image)
    labels: dict[int, tuple[str, int]] = {}
    splits: dict[int, SplitName] = {}
    photos: dict[int, None] = {}
    unknown: list[str] = []
    contradictions: list[str] = []
    for row in rows:
        photo = index.find(row.cells[image]) if image < len(row.cells) else None
        if photo is None:
            unknown.append(row.cells[image] if image < len(row.cells) else "")
            continue
        photos[photo] = None
        value = label(row)
        if value:
            before, line = labels.setdefault(photo, (value, row.line))
            if before != value:
                contradictions.append(f"{row.cells[image]} (line {line}: {before}, line {row.line}: {value})")
        if split is not None and (name := split(row)) is not None:
            splits[photo] = name
    return PhotoTable(
        file=text.file,
        photos=tuple(photos),
        labels={photo: value for photo, (value, _) in labels.items()},
        splits=splits,
        image_column=header[image] if header else str(image + 1),
        label_column=label_name if labels else "",
        encoding=text.encoding,
        unknown=tuple(unknown),
        contradictions=tuple(contradictions),
        rejected=rejected,
    )


def _quality(table: PhotoTable) -> tuple[int, bool, bool]:
    return len(table.photos), bool(table.labels), not table.rejected


Reader = Callable[[Row], str]
"""Takes the text of a label from a row; empty where there is none."""


def _label_column(
    header: Sequence[str], rows: Sequence[Row], image: int, options: SourceOptions
) -> tuple[Reader, str, str]:
    """How to read labels, the column's name, and why none is chosen though there are candidates."""
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0] if rows else 0
    others = [column for column in range(width) if column != image]
    if options.label_column and options.label_column in header:
        column = header.index(options.label_column)
        return _cells(column), header[column], ""
    if not header:
        found = next(
            (column for column in sorted(others, key=lambda c: (c < image, c)) if not _are_ids(rows, column)),
            None,
        )
        return (_no_label, "", "") if found is None else (_cells(found), str(found + 1), "")
    named = [column for column in others if _header_key(header[column]) in _LABEL_HEADERS]
    if named:
        return _of_named(header, rows, named)
    others = [column for column in others if not _is_split_column(header[column], rows, column)]
    if len(others) > 1 and all(
        _is_flag(row.cells[column]) for row in rows for column in others if column < len(row.cells)
    ):
        several = next(
            (row for row in rows if sum(map(float, (row.cells[c] or "0" for c in others))) > 1), None
        )
        if several is not None:
            return _no_label, "", f"{several.cells[image]} has several classes"
        return _flags(header, others), f"{header[others[0]]} ... {header[others[-1]]}", ""
    repeated = [column for column in others if not _all_differ(rows, column)]
    if len(repeated) == 1 and len(others) == 1:
        return _cells(repeated[0]), header[repeated[0]], ""
    if not others:
        return _no_label, "", ""
    columns = ", ".join(header[column] for column in others)
    return (
        _no_label,
        "",
        f"none of its columns {columns} is known to be the label: choose with --label-column",
    )


def _of_named(header: Sequence[str], rows: Sequence[Row], named: Sequence[int]) -> tuple[Reader, str, str]:
    """Of columns with names of labels: one called `label`, or of columns that agree the one with words."""
    if _agree(rows, named):
        words = [
            column
            for column in named
            if not all(_is_whole(row.cells[column]) for row in rows[:_SAMPLE] if column < len(row.cells))
        ]
        column = (words or list(named))[0]
        return _cells(column), header[column], ""
    exact = [column for column in named if _header_key(header[column]) in ("label", "labels")]
    if len(exact) == 1:
        return _cells(exact[0]), header[exact[0]], ""
    columns = ", ".join(header[column] for column in named)
    return _no_label, "", f"its columns {columns} may all be the label: choose with --label-column"


def _agree(rows: Sequence[Row], columns: Sequence[int]) -> bool:
    """Whether columns stand for the same classes in other words."""
    whole = [row.cells for row in rows if len(row.cells) > max(columns)]
    kinds = {tuple(cells[column] for column in columns) for cells in whole}
    return all(len({kind[place] for kind in kinds}) == len(kinds) for place in range(len(columns)))


def _no_label(row: Row) -> str:
    return ""


def _cells(column: int) -> Reader:
    return lambda row: row.cells[column] if column < len(row.cells) else ""


def _flags(header: Sequence[str], columns: Sequence[int]) -> Reader:
    def read(row: Row) -> str:
        return next((header[c] for c in columns if c < len(row.cells) and float(row.cells[c] or 0)), "")

    return read


def _is_flag(cell: str) -> bool:
    return cell in ("", "0", "1", "0.0", "1.0")


def _all_differ(rows: Sequence[Row], column: int) -> bool:
    values = [row.cells[column] for row in rows if column < len(row.cells)]
    return len(values) > 1 and len(set(values)) == len(values)


def _are_ids(rows: Sequence[Row], column: int) -> bool:
    """Whether a column numbers the rows."""
    values = [row.cells[column] for row in rows if column < len(row.cells)]
    return column == 0 and all(map(str.isdigit, values)) and len(set(values)) == len(values)


def _is_split_column(name: str, rows: Sequence[Row], column: int) -> bool:
    key = _header_key(name)
    if key in _FLAG_HEADERS:
        return True
    values = {row.cells[column] for row in rows if column < len(row.cells)} - {""}
    return key in _SPLIT_HEADERS and all(split_of(value) for value in values)


def _split_column(
    header: Sequence[str], rows: Sequence[Row], image: int
) -> Callable[[Row], SplitName | None] | None:
    """How to read the split of a row; None if no column has it."""
    for column, name in enumerate(header):
        if column == image or not _is_split_column(name, rows, column):
            continue
        flag = _FLAG_HEADERS.get(_header_key(name))

        def read(row: Row, column: int = column, flag: SplitName | None = flag) -> SplitName | None:
            cell = row.cells[column] if column < len(row.cells) else ""
            if flag is None:
                return split_of(cell)
            other: SplitName = "train" if flag != "train" else "test"
            return (flag if cell.lower() in ("1", "true", "yes", "1.0") else other) if cell else None

        return read
    return None


def labels_in_order(
    words: Sequence[str], photos: Sequence[str], label_of: Mapping[str, int], where: str
) -> Labels:
    """(len(photos),) labels from one word for each photo in sorted order; DataError if they do not fit."""
    if len(words) != len(photos):
        raise DataError(
            f"{where} has {len(words):,} labels for {len(photos):,} photos: it must name the photos"
        )
    unknown = sorted({word for word in words if word not in label_of})
    if unknown:
        raise DataError(f"{where}: label {unknown[0]!r} is none of the {len(label_of):,} classes")
    return np.array([label_of[word] for word in words], dtype=np.int32)
