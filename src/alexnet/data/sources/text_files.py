"""Text files beside photos, and the rows of cells in them: CSV, TSV, blanks, JSON, JSON Lines, MATLAB, and
parquet and Arrow files without photos.

What the cells mean is found in `photo_table`.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.sources.base import SourceOptions
from alexnet.data.sources.matlab import python_value, read_vectors
from alexnet.data.sources.photo_files import Survey, is_clutter
from alexnet.data.sources.split_names import split_of
from alexnet.data.sources.table_file import TABLE_SUFFIXES, text_columns
from alexnet.data.sources.tree import join, read_file
from alexnet.errors import CommandError, DataError
from alexnet.json_reader import parse_json
from alexnet.text import encodable

_MAX_FILES = 64
"""More text files in a folder are not lists of photos, but one for each photo (such as YOLO's boxes)."""
MAX_TEXT_BYTES = 200_000_000
"""Larger files are no lists of photos."""
_UNREADABLE_LISTS = (".pkl", ".pickle", ".npy", ".xlsx", ".xls", ".h5", ".hdf5")
_MATLAB_SUFFIX = ".mat"
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".tab", ".json", ".jsonl", ".ndjson")
"""Of the files that are read as tables."""
_SEPARATORS = ("\t", ";", ",", "|")
_MIN_CONSISTENT = 0.9
"""Fraction of rows that must have the same number of cells for a separator to be the right one."""
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_PHOTO_THEN_REST = re.compile(
    rf"(.*?(?:{'|'.join(re.escape(suffix) for suffix in PHOTO_SUFFIXES)}))\s+(\S.*)", re.IGNORECASE
)


@dataclass(frozen=True)
class TextFile:
    """A text file, MATLAB's or a table, cut into cells in every way that may be meant."""

    file: str
    encoding: str
    ways: tuple[WayToCut, ...] = field(repr=False)


def open_text(data: bytes, file: str) -> TextFile:
    """The file's ways to be cut into cells; DataError if it is not text or, if named so, MATLAB's or a table
    without photos.
    """
    if file.lower().endswith(_MATLAB_SUFFIX):
        return TextFile(file, "utf-8", tuple(_from_matlab(data, file)))
    if file.lower().endswith(TABLE_SUFFIXES):
        return TextFile(file, "utf-8", (_from_table(data, file),))
    try:
        text, encoding = _decode_text(data)
    except ValueError:
        raise DataError(f"{file} is not UTF-8, UTF-16 or Latin-1 text") from None
    return TextFile(file, encoding, tuple(ways_to_cut(text, file)))


class MetadataFiles:
    """Text files beside, above and in the folders of photos, read once and only if they are wanted."""

    def __init__(self, survey: Survey, base: str, roots: Iterable[str], places: Iterable[str]) -> None:
        """`roots` are the folders of the splits, `places` all folders of their photos."""
        self._tree = survey.tree
        self.folders = _folders(survey, base, roots, places)

    @cached_property
    def _numbers(self) -> list[int]:
        """The files' numbers in the listing; those nearest to the photos come first."""
        found: list[int] = []
        for folder in self.folders:
            files = [file for file in self._tree.listing.files(folder) if self._is_text(file)]
            found += files if len(files) <= _MAX_FILES else []
        return found

    @cached_property
    def unreadable_lists(self) -> list[str]:
        """Files of forms that are not read, but in which data sets are published with lists of splits."""
        listing = self._tree.listing
        files = [file for folder in self.folders for file in listing.files(folder)]
        names = [listing.path(file) for file in files]
        found = [name for name in names if name.lower().endswith(_UNREADABLE_LISTS)]
        return [*found, *(name for name in self.no_text if name.lower().endswith(_MATLAB_SUFFIX))]

    @cached_property
    def texts(self) -> list[TextFile]:
        """The files, cut into cells."""
        return [text for text in self._opened.values() if text is not None]

    @cached_property
    def no_text(self) -> list[str]:
        """The paths of files that are named like text or MATLAB's, but are neither."""
        return [self._tree.listing.path(file) for file, text in self._opened.items() if text is None]

    @cached_property
    def _opened(self) -> dict[int, TextFile | None]:
        opened: dict[int, TextFile | None] = {}
        for file in self._numbers:
            try:
                opened[file] = open_text(self._tree.read(file), self._tree.listing.path(file))
            except DataError:
                opened[file] = None
        return opened

    def _is_text(self, file: int) -> bool:
        name = self._tree.listing.name(file)
        return (
            name.lower().endswith((*TEXT_SUFFIXES, *TABLE_SUFFIXES, _MATLAB_SUFFIX))
            and not is_clutter(name)
            and self._tree.size(file) <= MAX_TEXT_BYTES
        )


def chosen_texts(survey: Survey, options: SourceOptions) -> list[TextFile]:
    """The files of `--labels`; CommandError for one that does not exist."""
    return [_chosen_text(survey, file) for file in options.labels.split(",") if file]


def _chosen_text(survey: Survey, labels: str) -> TextFile:
    """A file where the command runs, else in the source."""
    folder, _, name = labels.rpartition("/")
    inside = survey.tree.listing.find(folder, name)
    if Path(labels).is_file():
        path = Path(labels).resolve()
        root = survey.tree.path.resolve()
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        return open_text(read_file(path), shown)
    if inside is not None:
        return open_text(survey.tree.read(inside), labels)
    raise CommandError(f"--labels {labels}: no such file, here or in {survey.tree.path}")


def _folders(survey: Survey, base: str, roots: Iterable[str], places: Iterable[str]) -> list[str]:
    """The folders of the splits, the base and those above, and in any of these the folders without places."""
    occupied = {above for place in places for above in _with_above(place)}
    inside = [each for root in roots for each in _with_above(root) if each.startswith(base)]
    found = [*inside, *_with_above(base)]
    for folder in [*dict.fromkeys(found)]:
        for each in _apart(survey, folder, occupied):
            found += [each, *_apart(survey, each, occupied)]
    return list(dict.fromkeys(found))


def _with_above(folder: str) -> list[str]:
    """A folder and those above, the root last."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


def _apart(survey: Survey, folder: str, occupied: Container[str]) -> list[str]:
    """The folders directly in a folder that are none of the occupied ones, and no clutter."""
    names = survey.tree.listing.subfolders(folder)
    paths = [join(folder, name) for name in names if not is_clutter(name)]
    return [path for path in paths if path not in occupied]


@dataclass(frozen=True)
class Row:
    """One record of a table."""

    line: int
    """In the file, from 1; the number of the record in JSON."""
    cells: list[str]


Rows = list[Row]


@dataclass(frozen=True)
class WayToCut:
    """One way to cut a file into cells."""

    rows: Rows
    header: list[str]
    """Names of the columns where the form itself has them (JSON, MATLAB); else empty."""
    numbered: Literal["", "photos", "classes"] = ""
    """What numbers in the first column count, from 1, if the form itself decides that (MATLAB)."""
    comment: tuple[str, ...] = ()
    """The cells of a line above the rows that begins with `#`: perhaps the names of the columns."""
    at_blanks: bool = False
    """Whether lines are cut at all blanks; meant only where a column is chosen by number."""


def _decode_text(data: bytes) -> tuple[str, str]:
    """The text and its encoding: by a byte order mark, else UTF-8, else Latin-1.

    ValueError for bytes that are no text.
    """
    for mark, encoding in _BOMS.items():
        if data.startswith(mark):
            return data.decode(encoding), encoding.removesuffix("-sig")
    if b"\0" in data:
        for encoding in ("utf-16-le", "utf-16-be"):
            text = data.decode(encoding, "replace")
            if "\0" not in text and _is_mostly_ascii(text):
                return text, encoding
        raise ValueError("it holds zero bytes")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "latin-1"


def ways_to_cut(text: str, name: str) -> Iterator[WayToCut]:
    """Every way in which a file of that name can be cut into cells, the likeliest first."""
    if name.lower().endswith((".json", ".jsonl", ".ndjson")):
        yield from _from_json(text)
        return
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and re.fullmatch(r"sep=.", lines[0][1].strip()):  # Excel's
        del lines[0]
    above = lines[: next((place for place, each in enumerate(lines) if each[1][0] != "#"), 0)]
    lines = [each for each in lines if not each[1].startswith("#")]
    if not lines:
        return
    comment = above[-1][1].lstrip("#") if above else ""
    for separator in _SEPARATORS:
        rows = _separated(lines, separator)
        if rows:
            named = next(csv.reader([comment], delimiter=separator, skipinitialspace=True), [])
            yield WayToCut(rows, [], comment=tuple(cell.strip() for cell in named))
    for cut in (_after_photo, _at_first_blank, _at_last_blank):
        yield WayToCut([Row(number, cut(line.strip())) for number, line in lines], [])
    words = [line.split() for _, line in lines]
    if len(words[0]) > 2 and len(set(map(len, words))) == 1:
        rows = [Row(number, cells) for (number, _), cells in zip(lines, words, strict=True)]
        yield WayToCut(rows, [], at_blanks=True)
    yield WayToCut([Row(number, [line.strip()]) for number, line in lines], [])


def _is_mostly_ascii(text: str) -> bool:
    return sum(character.isascii() for character in text) > len(text) / 2


def _separated(lines: Sequence[tuple[int, str]], separator: str) -> Rows:
    """The rows if the separator cuts nearly all lines into equally many cells, at least two; else none."""
    if sum(separator in line for _, line in lines) < _MIN_CONSISTENT * len(lines):
        return []
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        reader = csv.reader(
            (line + "\n" for _, line in lines), delimiter=separator, quoting=quoting, skipinitialspace=True
        )
        rows: Rows = []
        try:
            for cells in reader:
                rows.append(Row(lines[reader.line_num - 1][0], [cell.strip() for cell in cells]))
        except csv.Error:
            continue
        # A quotation mark that is never closed swallows lines.
        if len(rows) >= _MIN_CONSISTENT * len(lines):
            (width, count), *_ = Counter(len(row.cells) for row in rows).most_common(1)
            return rows if width > 1 and count >= _MIN_CONSISTENT * len(rows) else []
    return []


def _after_photo(line: str) -> list[str]:
    """A photo's name, which may hold blanks, and the rest of the line."""
    found = _PHOTO_THEN_REST.fullmatch(line)
    return [found[1], *_rest(found[2])] if found else [line]


def _at_first_blank(line: str) -> list[str]:
    first, *rest = line.split(maxsplit=1)
    return [first, *_rest(rest[0])] if rest else [first]


def _at_last_blank(line: str) -> list[str]:
    return line.rsplit(maxsplit=1)


def _rest(text: str) -> list[str]:
    """Numbers one by one; anything else together, since names of classes may hold blanks."""
    words = text.split()
    return words if all(word.replace(".", "", 1).lstrip("-").isdigit() for word in words) else [text.strip()]


def _from_json(text: str) -> Iterator[WayToCut]:
    """Records; images, annotations and categories (COCO, iNaturalist); names by class or classes by name."""
    try:
        document: Any = parse_json(text)
    except ValueError:
        document = _json_lines(text)
    if isinstance(document, Mapping) and {"images", "annotations"} <= document.keys():
        yield from _from_coco(document)
    elif isinstance(document, Mapping) and all(isinstance(each, list) for each in document.values()):
        pairs = [(name, label) for label, names in document.items() for name in names if not _is_nested(name)]
        yield _records([{"photo": name, "class": label} for name, label in pairs])
    elif isinstance(document, Mapping) and not any(map(_is_nested, document.values())):
        yield _records([{"photo": name, "class": label} for name, label in document.items()])
    elif isinstance(document, Mapping) and all(isinstance(each, Mapping) for each in document.values()):
        yield _records([{"photo": name, **values} for name, values in document.items()])
    elif isinstance(document, list) and document and all(isinstance(each, Mapping) for each in document):
        yield _records(document)
    elif isinstance(document, list) and not any(map(_is_nested, document)):
        yield _records([{"photo": each} for each in document])


def _json_lines(text: str) -> list[Any]:
    try:
        return [parse_json(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []


def _records(records: Sequence[Mapping[str, Any]]) -> WayToCut:
    header = list(dict.fromkeys(name for record in records for name in record))
    header = [name for name in header if not any(_is_nested(record.get(name)) for record in records)]
    return WayToCut(
        [
            Row(number, [_cell(record.get(name)) for name in header])
            for number, record in enumerate(records, 1)
        ],
        header,
    )


def _from_coco(document: Mapping[str, Any]) -> Iterator[WayToCut]:
    """A row per annotation: the photo's file name and the name of its category."""
    try:
        files = {each["id"]: each["file_name"] for each in document["images"]}
        names = {each["id"]: each.get("name", each["id"]) for each in document.get("categories", [])}
        labels: dict[Any, list[Any]] = {each["image_id"]: [] for each in document["annotations"]}
        labels |= {key: [] for key in files}
        for each in document["annotations"]:
            label = names.get(each["category_id"], each["category_id"])
            if label not in labels[each["image_id"]]:
                labels[each["image_id"]].append(label)
    except (KeyError, TypeError):
        return
    yield _records(
        [
            {"file_name": file, "category": label}
            for key, file in files.items()
            for label in labels[key] or [""]
        ]
    )


def _from_table(data: bytes, file: str) -> WayToCut:
    """The columns of texts, numbers and booleans."""
    columns = text_columns(data, file)
    lines = enumerate(zip(*columns.values(), strict=True), 1)
    return WayToCut(
        [Row(n, [_cell(python_value(each)) for each in cells]) for n, cells in lines], list(columns)
    )


def _from_matlab(data: bytes, file: str) -> Iterator[WayToCut]:
    """Struct arrays are tables, and so are vectors of the same length.

    Where no vector has texts, rows are counted; vectors named by splits hold the names or numbers of photos.
    """
    found = read_vectors(data, file)
    vectors: dict[str, list[Any]] = {}
    for name, value in found.items():
        if value and all(isinstance(each, dict) for each in value):
            yield _records(value)
        elif not any(map(_is_nested, value)):
            vectors[name] = value
    splits = {split: values for name, values in vectors.items() if (split := split_of(_without_id(name)))}
    if len(splits) > 1:
        pairs = [(photo, split) for split, photos in splits.items() for photo in photos]
        rows = [Row(place, [_cell(photo), split]) for place, (photo, split) in enumerate(pairs, 1)]
        named = any(isinstance(photo, str) for photo, _ in pairs)
        yield WayToCut(rows, ["image" if named else "number", "split"], "" if named else "photos")
        vectors = {name: values for name, values in vectors.items() if not split_of(_without_id(name))}
    for length in dict.fromkeys(map(len, vectors.values())):
        group = {name: values for name, values in vectors.items() if len(values) == length}
        texts = [name for name, values in group.items() if any(isinstance(each, str) for each in values)]
        columns = dict(group) if texts else {"number": list(range(1, length + 1)), **group}
        lines = enumerate(zip(*columns.values(), strict=True), 1)
        rows = [Row(n, [_cell(each) for each in cells]) for n, cells in lines]
        yield WayToCut(rows, list(columns), "" if texts else "photos")
        for name in texts:
            rows = [Row(n, [str(n), _cell(each)]) for n, each in enumerate(group[name], 1)]
            yield WayToCut(rows, ["number", name], "classes")


def _without_id(name: str) -> str:
    """`trnid` and `train_idx` without what they hold: `trn`, `train`."""
    return re.sub(r"_?(ids?|idx|ind|inds|index|indices)$", "", name.lower())


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    try:
        text.encode("utf-8", "surrogateescape")  # as names of files, which it may be
    except UnicodeEncodeError:
        return encodable(text)
    return text


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)
