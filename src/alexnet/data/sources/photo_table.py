"""What a text file contains about photos: their labels, their splits, or just a list of them.

A file is recognized by its contents: one of its columns names photos. A column of labels alone, for the
photos in sorted order, is recognized by the file's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from alexnet.data.classes import is_wnid
from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.sources.base import SourceOptions
from alexnet.data.sources.photo_files import PhotoIndex
from alexnet.data.sources.split_names import SPLIT_FOLDERS, SplitName, split_in, split_of
from alexnet.data.sources.text_files import Row, TextFile, WayToCut
from alexnet.errors import DataError
from alexnet.text import counted, first_few

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
_SPLIT_HEADERS = (
    *("split", "set", "subset", "dataset", "phase", "partition", "usage", "fold"),
    *("datasplit", "traintest", "trainval", "trainvaltest", "splitname"),
)
_NO_LABELS = re.compile(
    r"submi(t|ssion)|sample|example|template|predict|(^|[\W_])preds?([\W_]|$)", re.IGNORECASE
)
"""In names of forms to fill in, and of files of predictions."""
_SCORES = ("confidence", "score", "probability", "prob", "proba")
"""Headers of columns that only predictions have."""
_YES, _NO = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0")
MISSING = ("NA", "N/A", "NaN", "nan", "<NA>", "<na>", "null", "NULL")
"""What R, pandas and databases write where there is no label or group."""
_FLAG_HEADERS: dict[str, SplitName] = {
    "istrain": "train",
    "istraining": "train",
    "isval": "val",
    "isvalid": "val",
    "isvalidation": "val",
    "istest": "test",
    "istesting": "test",
    "isholdout": "test",
    "holdout": "test",
    "train": "train",
    "val": "val",
    "valid": "val",
    "test": "test",
}
_KNOWN = {*_IMAGE_HEADERS, *_LABEL_HEADERS, *_SPLIT_HEADERS, *_FLAG_HEADERS}
_MIN_ATTRIBUTES = 3
"""Columns of flags from which on they are attributes of the photo rather than its class."""
_MAX_COLUMNS_NAMED = 6
"""Columns that a message names."""
_SAMPLE = 300
"""Rows from which the columns of a long file are guessed."""
_MIN_LISTED = 0.5
"""Fraction of the photos that must be listed for the lists to be the source's splits."""
_MIN_ONE_LIST = 0.01
"""The same for a single list, of which all other photos are the training photos."""


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
    missing: tuple[str, ...] = ()
    """The words that stand in place of labels where there are none, such as `NA`."""
    wide: tuple[int, ...] = ()
    """Lines with more cells than the others."""
    split_column: str = ""
    """The header of the column of splits, or its number."""
    unknown_splits: tuple[str, ...] = ()
    """What that column has beside words for splits."""
    columns: tuple[str, ...] = ()
    """All columns: their headers, or their numbers from `1`."""
    group_column: str = ""
    """The header of the column of `--group-column`, or its number; empty if there is none."""
    groups: Mapping[int, str] = field(default_factory=dict[int, str])
    """What `--group-column` has for each photo; empty without that column."""
    two_groups: tuple[str, ...] = ()
    """Photos of which that column has two, with a line."""

    @property
    def other_columns(self) -> tuple[str, ...]:
        """The columns that have neither photos nor labels, splits or groups."""
        used = {self.image_column, self.label_column, self.split_column, self.group_column}
        return tuple(column for column in self.columns if column not in used)

    @property
    def split(self) -> SplitName | None:
        """The split that the file's name mentions."""
        return split_in(self.file.rpartition("/")[2])


def read_table(text: TextFile, index: PhotoIndex, options: SourceOptions) -> PhotoTable | None:
    """What the file tells about the photos of the index; None if it names none of them."""
    name = text.file.rpartition("/")[2]
    # Each photo's own boxes are no table of photos, nor is a form to fill in, unless a user names it.
    if index.find(name.rpartition(".")[0]) is not None or (_NO_LABELS.search(name) and not options.labels):
        return None
    best: PhotoTable | None = None
    chosen = (options.image_column, options.label_column, options.group_column)
    numbered = any(map(str.isdecimal, chosen))
    ways = [way for way in text.ways if numbered or not way.at_blanks]
    for way in sorted(ways, key=lambda way: not way.at_blanks):
        columns = _image_column(way, index, options)
        if columns is None:
            continue
        header, rows, image = columns
        find = index.find_number if way.numbered else index.find
        table = _table(text, find, options, header, rows, image)
        if not table.photos:
            continue
        if best is None or _quality(table) > _quality(best):
            best = table
        if best.labels and len(best.photos) == len(rows):
            break
    return best


def read_column(text: TextFile, count: int) -> list[str] | None:
    """`count` labels for photos in sorted order, from a file with one column.

    A line more must be a header, `label` or another usual word, that is no label itself. Of lines that all
    begin with a number or a WNID (`n01440764 tench`), that is the label.
    """
    if not text.ways or text.ways[-1].numbered:
        return None
    cells = [row.cells[0].strip() for row in text.ways[-1].rows if "".join(row.cells[:1]).strip()]
    if len(cells) == count + 1 and _header_key(cells[0]) in _LABEL_HEADERS and cells[0] not in cells[1:]:
        cells = cells[1:]
    if len(cells) != count:
        return None
    firsts = [cell.split(maxsplit=1)[0] for cell in cells]
    return firsts if all(map(is_whole_number, firsts)) or all(map(is_wnid, firsts)) else cells


def named_columns(text: TextFile) -> tuple[str, str]:
    """The headers of the columns that are called as those of photos and labels are; empty without one."""
    header = (text.ways[0].header or text.ways[0].rows[0].cells) if text.ways and text.ways[0].rows else []
    found = [
        next((cell for cell in header if _header_key(cell) in known), "")
        for known in (_IMAGE_HEADERS, _LABEL_HEADERS)
    ]
    return found[0], found[1]


def is_label_header(text: str) -> bool:
    """Whether a column is called as those of labels are: `label`, `Class name`."""
    return _header_key(text) in _LABEL_HEADERS


def is_whole_number(text: str) -> bool:
    """Whether a cell is a number of at most 15 digits, which a float holds, such as `7`, `007` or `7.0`."""
    return re.fullmatch(r"[0-9]{1,15}(\.0*)?", text) is not None


def _header_key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _image_column(
    way: WayToCut, index: PhotoIndex, options: SourceOptions
) -> tuple[list[str], list[Row], int] | None:
    """The header, the rows below it and the column that names photos; None if no column does."""
    rows, header = way.rows, way.header
    if not rows or way.numbered == "classes":
        return None
    if way.numbered == "photos":
        return header, rows, 0
    width = max(len(row.cells) for row in rows)
    step = max(len(rows) // _SAMPLE, 1)
    sample = rows[1 - bool(header) :: step] or rows
    counts = [_matches(sample, column, index) for column in range(width)]
    if not header and len(rows) > 1 and _is_header(rows[0].cells, counts, index):
        header, rows = rows[0].cells, rows[1:]
    if not header and len(way.comment) == width and any(_header_key(name) in _KNOWN for name in way.comment):
        header = list(way.comment)
    names = [_header_key(name) for name in header]
    chosen = _numbered_column(options.image_column, header, rows)
    if chosen is not None:
        return header, rows, chosen
    # A number may be that of the row as well as a photo's: names of files come first, also of other ones.
    files = [column for column in range(width) if _are_files(sample, column)]
    words = [column for column in range(width) if counts[column] and not _are_numbers(sample, column)]
    columns = [column for column in files if counts[column]] or files or words or list(range(width))
    if not any(counts):
        return None
    # Of columns that name equally many photos: by its header, by names with suffix, the first.
    known = [-_IMAGE_HEADERS.index(name) if name in _IMAGE_HEADERS else -99 for name in names] or [0] * width
    best = max(columns, key=lambda column: (counts[column], known[column : column + 1] or [-99], -column))
    return header, rows, best


def _numbered_column(name: str, header: Sequence[str], rows: Sequence[Row]) -> int | None:
    """The place of a chosen column: by its header, or where there is no header by its number from 1.

    None if none is chosen, or there is no such column.
    """
    if header or not name.isdecimal() or len(name) > 4:
        return header.index(name) if name and name in header else None
    width = max((len(row.cells) for row in rows), default=0)
    return int(name) - 1 if 0 < int(name) <= width else None


def _are_files(rows: Sequence[Row], column: int) -> bool:
    """Whether most cells of a column are names of photos with their suffix."""
    cells = [row.cells[column] for row in rows if column < len(row.cells) and row.cells[column]]
    return 0 < len(cells) <= 2 * sum(cell.lower().endswith(PHOTO_SUFFIXES) for cell in cells)


def _are_numbers(rows: Sequence[Row], column: int) -> bool:
    """Whether a column has numbers alone."""
    cells = [row.cells[column] for row in rows if column < len(row.cells) and row.cells[column]]
    return all(map(is_whole_number, cells))


def _is_header(cells: Sequence[str], counts: Sequence[int], index: PhotoIndex) -> bool:
    best = max(range(len(counts)), key=counts.__getitem__, default=0)
    if best >= len(cells) or index.find(cells[best]) is not None:
        return False
    return counts[best] > 0 and (
        any(_header_key(cell) in _KNOWN for cell in cells) or not _is_photo(cells[best])
    )


def _is_photo(cell: str) -> bool:
    return "." in cell or "/" in cell or any(character.isdigit() for character in cell)


def _matches(rows: Sequence[Row], column: int, index: PhotoIndex) -> int:
    found = {index.find(row.cells[column]) for row in rows if column < len(row.cells)}
    return len(found - {None})


def _table(
    text: TextFile,
    find: Callable[[str], int | None],
    options: SourceOptions,
    header: list[str],
    rows: Sequence[Row],
    image: int,
) -> PhotoTable:
    grouped = _numbered_column(options.group_column, header, rows)
    label, label_name, rejected = _label_column(header, rows, image, options, grouped)
    rejected = _other_photos(header, rows, image, find, options) or rejected
    split, split_name = _split_column(header, rows, image)
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0] if rows else 0
    labels: dict[int, tuple[str, int]] = {}
    splits: dict[int, SplitName] = {}
    photos: dict[int, None] = {}
    unknown: list[str] = []
    contradictions: list[str] = []
    missing: dict[str, None] = {}
    wide: list[int] = []
    unknown_splits: dict[str, None] = {}
    groups: dict[int, str] = {}
    two_groups: list[str] = []
    for row in rows:
        photo = find(row.cells[image]) if image < len(row.cells) else None
        if photo is None:
            unknown.append(row.cells[image] if image < len(row.cells) else "")
            continue
        photos[photo] = None
        group = row.cells[grouped] if grouped is not None and grouped < len(row.cells) else ""
        if group and group not in MISSING and groups.setdefault(photo, group) != group:
            two_groups.append(f"{row.cells[image]} ({groups[photo]}, line {row.line}: {group})")
        if any(row.cells[width:]):
            wide.append(row.line)
        value = label(row)
        if value in MISSING:
            missing[value] = None
        elif value:
            before, line = labels.setdefault(photo, (value, row.line))
            if before != value:
                contradictions.append(f"{row.cells[image]} (line {line}: {before}, line {row.line}: {value})")
        if split is not None and (cell := split(row)):
            if cell in SPLIT_FOLDERS:
                splits[photo] = cell
            else:
                unknown_splits[cell] = None
    texts = {value for value, _ in labels.values()}
    if {"-1", "0"} <= texts and all(map(is_whole_number, texts - {"-1"})):
        missing["-1"] = None
        labels = {photo: found for photo, found in labels.items() if found[0] != "-1"}
    # A list of splits is no list of classes.
    if len(texts) > 1 and not options.label_column and all(map(split_of, texts)):
        splits = {photo: split_of(value) or "" for photo, (value, _) in labels.items()}
        labels = {}
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
        missing=tuple(missing),
        wide=tuple(wide),
        split_column=split_name,
        unknown_splits=tuple(unknown_splits),
        columns=tuple(header or map(str, range(1, width + 1))),
        group_column="" if grouped is None else header[grouped] if header else str(grouped + 1),
        groups=groups,
        two_groups=tuple(two_groups),
    )


def _other_photos(
    header: Sequence[str],
    rows: Sequence[Row],
    image: int,
    find: Callable[[str], int | None],
    options: SourceOptions,
) -> str:
    """Why the column of photos is in doubt: another one names other photos. Empty if it is not."""
    if options.image_column or not _are_files(rows[:_SAMPLE], image):
        return ""
    for column in range(len(header)):
        if column == image or not _are_files(rows[:_SAMPLE], column):
            continue
        pairs = [
            (find(row.cells[image]), find(row.cells[column]))
            for row in rows[:_SAMPLE]
            if max(image, column) < len(row.cells)
        ]
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            both = f"its columns {header[image]} and {header[column]}"
            return f"{both} name different photos: choose with --image-column"
    return ""


def _quality(table: PhotoTable) -> tuple[int, bool, bool]:
    return len(table.photos), bool(table.labels), not table.rejected


Reader = Callable[[Row], str]
"""Takes the text of a label from a row; empty where there is none."""


def one_to_one(pairs: Collection[tuple[str, str]]) -> bool:
    """Whether different pairs differ in both texts, so that each text stands for one other."""
    ones, others = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(ones) == len(set(pairs)) == len(others)


def _label_column(
    header: Sequence[str], rows: Sequence[Row], image: int, options: SourceOptions, grouped: int | None
) -> tuple[Reader, str, str]:
    """How to read labels, the column's name, and why none is chosen though there are candidates.

    The column of groups, if there is one, is no candidate.
    """
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0] if rows else 0
    others = [column for column in range(width) if column not in (image, grouped)]
    others = [column for column in others if column < len(header)] if header else others
    chosen = _numbered_column(options.label_column, header, rows)
    if chosen is not None and chosen != image:
        return _cells(chosen), header[chosen] if header else str(chosen + 1), ""
    if not header:
        if len(others) >= _MIN_ATTRIBUTES and all(_are_flags(rows, column) for column in others):
            return _no_label, "", f"it has {len(others)} columns of flags, and no header to name the classes"
        others = [column for column in others if column != _column_of_splits(rows, image)]
        found = next(
            (column for column in sorted(others, key=lambda c: (c < image, c)) if not _are_ids(rows, column)),
            None,
        )
        return (_no_label, "", "") if found is None else (_cells(found), str(found + 1), "")
    scored = [header[column] for column in others if _header_key(header[column]) in _SCORES]
    if scored:
        reason = f"its column {scored[0]} makes it a file of predictions: choose with --label-column"
        return _no_label, "", reason
    named = [column for column in others if is_label_header(header[column])]
    if named:
        return _of_named(header, rows, named)
    if grouped is not None and is_label_header(header[grouped]):
        reason = f"its column {header[grouped]} may be the label: choose one with --label-column"
        return _no_label, "", reason
    others = [column for column in others if not _is_split_column(header[column], rows, column)]
    if len(others) > 1 and all(
        _is_flag(row.cells[column]) for row in rows for column in others if column < len(row.cells)
    ):
        several = next(
            (row for row in rows if sum(float(row.cells[c] or 0) for c in others if c < len(row.cells)) > 1),
            None,
        )
        if several is not None:
            return _no_label, "", f"{several.cells[image]} has several classes"
        return _flags(header, others), f"{header[others[0]]} ... {header[others[-1]]}", ""
    repeated = [column for column in others if not _all_differ(rows, column)]
    if len(repeated) == 1 and len(others) == 1:
        return _cells(repeated[0]), header[repeated[0]], ""
    if not others:
        return _no_label, "", ""
    columns = first_few([header[column] for column in others], _MAX_COLUMNS_NAMED)
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
            if not all(
                is_whole_number(row.cells[column]) for row in rows[:_SAMPLE] if column < len(row.cells)
            )
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


def _are_flags(rows: Sequence[Row], column: int) -> bool:
    """Whether a column of attributes holds nothing but 0 and 1, or -1 and 1."""
    return all(row.cells[column] in ("-1", "0", "1") for row in rows if column < len(row.cells))


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
    values = {row.cells[column] for row in rows if column < len(row.cells)} - {""}
    if key in _FLAG_HEADERS:
        return all(value.lower() in _YES or value.lower() in _NO for value in values)
    return key in _SPLIT_HEADERS and any(split_of(value) for value in values)


def _split_column(header: Sequence[str], rows: Sequence[Row], image: int) -> tuple[Reader | None, str]:
    """How to read the split of a row, or a word that is none, and the column's name; None without one."""
    for column, name in enumerate(header):
        if column == image or not _is_split_column(name, rows, column):
            continue
        flag = _FLAG_HEADERS.get(_header_key(name))

        def read(row: Row, column: int = column, flag: SplitName | None = flag) -> str:
            cell = row.cells[column] if column < len(row.cells) else ""
            if flag is None:
                return split_of(cell) or cell
            other: SplitName = "train" if flag != "train" else "test"
            return (flag if cell.lower() in _YES else other) if cell else ""

        return read, name
    found = None if header else _column_of_splits(rows, image)
    if found is None:
        return None, ""

    def read_found(row: Row) -> str:
        cell = row.cells[found] if found < len(row.cells) else ""
        return split_of(cell) or cell

    return read_found, str(found + 1)


def _column_of_splits(rows: Sequence[Row], image: int) -> int | None:
    """The column without a header that has nothing but words for splits, several of them, if there is one."""
    width = max((len(row.cells) for row in rows), default=0)
    for column in range(width):
        values = {row.cells[column] for row in rows if column < len(row.cells)} - {"", "UNASSIGNED"}
        if column != image and width > 2 and len(values) > 1 and all(map(split_of, values)):
            return column
    return None


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
        known = set(table.splits.values())
        if table.unknown_splits and len(known) == 1 and len(table.splits) >= _MIN_LISTED * len(index):
            words = first_few([*known, *table.unknown_splits], _MAX_COLUMNS_NAMED)
            raise DataError(
                f"{where}: column {table.split_column} of {table.file} has {words}: write train, val or test "
                "for the split of each photo"
            )
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
                    f"{where}: {lists[one].file} and {lists[other].file} both list "
                    f"{counted(len(both), 'photo')} such as {example}: choose lists with "
                    f"--splits {one}=FILE,{other}=FILE"
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
