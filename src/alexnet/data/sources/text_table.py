"""Rows of cells from text files: CSV, TSV, columns separated by blanks, JSON, JSON Lines."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alexnet.data.decode import PHOTO_SUFFIXES

SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".tab", ".json", ".jsonl", ".ndjson")
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
class Row:
    """One record of a table."""

    line: int
    """In the file, from 1; the number of the record in JSON."""
    cells: list[str]


Rows = list[Row]


@dataclass(frozen=True)
class Candidate:
    """One way to cut a file into cells."""

    rows: Rows
    header: list[str]
    """Names of the columns where the form itself has them (JSON); else empty."""


def decode_text(data: bytes) -> tuple[str, str]:
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


def candidates(text: str, name: str) -> Iterator[Candidate]:
    """Every way in which a file of that name can be cut into cells, the likeliest first."""
    if name.lower().endswith((".json", ".jsonl", ".ndjson")):
        yield from _from_json(text)
        return
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    lines = [each for each in lines if not each[1].startswith("#")]
    if not lines:
        return
    for separator in _SEPARATORS:
        rows = _separated(lines, separator)
        if rows:
            yield Candidate(rows, [])
    for cut in (_after_photo, _at_first_blank, _at_last_blank):
        yield Candidate([Row(number, cut(line.strip())) for number, line in lines], [])
    yield Candidate([Row(number, [line.strip()]) for number, line in lines], [])


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


def _from_json(text: str) -> Iterator[Candidate]:
    """Records; images, annotations and categories (COCO, iNaturalist); names by class or classes by name."""
    try:
        document: Any = json.loads(text)
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
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []


def _records(records: Sequence[Mapping[str, Any]]) -> Candidate:
    header = list(dict.fromkeys(name for record in records for name in record))
    header = [name for name in header if not any(_is_nested(record.get(name)) for record in records)]
    return Candidate(
        [
            Row(number, [_cell(record.get(name)) for name in header])
            for number, record in enumerate(records, 1)
        ],
        header,
    )


def _from_coco(document: Mapping[str, Any]) -> Iterator[Candidate]:
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


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)
