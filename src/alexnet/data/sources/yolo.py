"""Boxes in YOLO's text files: `images/train/1.jpg` and `labels/train/1.txt`, or both in one folder.

Each line is an object: the number of its class, then center, width and height in fractions of the photo, or a
polygon. Names of classes are in `data.yaml`, `classes.txt` or `obj.names`; without them classes are numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from alexnet.data.sources.annotation import (
    BoxedForm,
    BoxedPhoto,
    boxed_source,
    orphan_annotations,
    photos_by_path,
)
from alexnet.data.sources.base import Source
from alexnet.data.sources.photo_files import OpenedSource, PhotoIndex
from alexnet.data.sources.split_names import SplitName, split_of_photo, split_of_word
from alexnet.data.sources.tree import Tree
from alexnet.errors import DataError
from alexnet.text import counted, first_few

_FORM = "YOLO boxes"
_CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names", "labels.names")
_YAML = (".yaml", ".yml")
_MARGIN = 0.5
"""Farther outside 0..1 than this, numbers are no fractions."""
_MAX_DIGITS = 5
"""Of the number of a class."""
_KEY_POINTS = re.compile(r"^kpt_shape\s*:\s*\[\s*(\d{1,4})\s*,\s*(\d)\s*\]", re.MULTILINE)
_SPLIT_ENTRY = re.compile(r"^(train|val|valid|test)\s*:[ \t]*([^\s#\[][^#\n]*?)[ \t]*(?:#.*)?$", re.MULTILINE)
_TRIED = 20


def read(opened: OpenedSource) -> Source | None:
    """The source of all photos; None if no photo has a text file of numbers where this form has it."""
    if opened.options.choose_folders:
        return None
    tree = opened.tree
    listing = tree.listing
    class_files = _class_files(tree)
    if not class_files and not any("labels" in folder.split("/") for folder in listing.folders):
        return None
    texts = {listing.path(file): file for file in listing.ending_in(".txt")}
    if not texts:
        return None
    photos = photos_by_path(tree)
    pairs = {path: label for path in photos if (label := _label_path(path, texts)) is not None}
    if not pairs or not _are_boxes(tree, [texts[each] for each in pairs.values()]):
        return None
    names, class_file = _class_names(tree, class_files)
    key_points = _key_points(tree, class_files)
    apart = any(path.rpartition("/")[0] != label.rpartition("/")[0] for path, label in pairs.items())
    if not (apart or names):
        return None
    boxed: defaultdict[str, list[BoxedPhoto]] = defaultdict(list)
    listed, lists = _listed_splits(tree, class_files, list(photos))
    unlisted: list[int] = []
    for path, file in photos.items():
        if listed and path not in listed:
            unlisted.append(file)
            continue
        label = pairs.get(path)
        objects = [] if label is None else _objects(tree, texts[label], names, key_points)
        named, corners = [name for name, _ in objects], [box for _, box in objects]
        boxed[listed.get(path) or split_of_photo(path)].append(BoxedPhoto(file, named, corners))
    known = [*(texts[label] for label in pairs.values()), *([] if class_file is None else [class_file])]
    used = set(pairs.values())
    orphans = [path for path in texts if path not in used and "labels" in path.split("/")[:-1]]
    known += [*(texts[path] for path in orphans), *lists, *unlisted]
    order = names or [str(number) for number in range(_most(boxed) + 1)]
    strays = orphan_annotations(orphans)
    strays += [f"{counted(len(unlisted), 'photo')} in no split of the YAML file"] if unlisted else []
    return boxed_source(tree, BoxedForm(_FORM, "fractions", order), boxed, known, strays)


def parse_names(text: str) -> list[str]:
    """The class names in `names:` of a YAML file, a list or numbers with names; empty if there are none.

    ValueError for numbers that are not 0, 1, 2, ...
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    start = next((number for number, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        return []
    inline = _uncommented(lines[start].partition(":")[2])
    block, opened = [inline], _opened_brackets(inline)
    for line in lines[start + 1 :]:
        if not (line[0].isspace() or line.startswith("-") or (inline[:1] in "[{" and opened > 0)):
            break
        block.append(_uncommented(line))
        opened += _opened_brackets(block[-1])
    if inline:
        entries = _items(" ".join(block).strip()[1:-1])
    else:
        entries = [line.removeprefix("-").strip() for line in block[1:]]
    if entries and all(re.match(r"\d+\s*:", entry) for entry in entries):
        longest = max(len(entry.partition(":")[0].strip()) for entry in entries)
        if longest > _MAX_DIGITS:
            raise ValueError(f"the number of a class has {longest:,} digits")
        numbered = {int(entry.partition(":")[0]): entry.partition(":")[2] for entry in entries}
        if sorted(numbered) != list(range(len(numbered))):
            numbers = first_few(list(map(str, sorted(numbered))), 10)
            raise ValueError(f"classes are numbered {numbers}, not from 0")
        entries = [numbered[number] for number in range(len(numbered))]
    return [_unquoted(entry) for entry in entries if entry]


def _uncommented(text: str) -> str:
    return re.sub(r"\s#.*", "", text).strip()


def _opened_brackets(text: str) -> int:
    """How many more brackets are opened than closed."""
    return text.count("[") + text.count("{") - text.count("]") - text.count("}")


def _items(text: str) -> list[str]:
    """The items of `a, 'b, c', d`."""
    found = re.findall(r"""(?:"[^"]*"|'[^']*'|[^,"'])+""", text)
    return [item.strip() for item in found if item.strip()]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _class_files(tree: Tree) -> list[int]:
    """The files that may name classes."""
    candidates = tree.listing.ending_in(*_YAML, ".txt", ".names", ".labels")
    named = ((file, tree.listing.name(file).lower()) for file in candidates)
    return [file for file, name in named if name.endswith(_YAML) or name in _CLASS_FILES]


def _class_names(tree: Tree, files: Sequence[int]) -> tuple[list[str], int | None]:
    """The names in label order, and the file with them; DataError if two files have different ones."""
    found: dict[int, list[str]] = {}
    for file in files:
        try:
            if tree.listing.name(file).lower().endswith(_YAML):
                names = parse_names(tree.text(file))
            else:
                names = [line.strip() for line in tree.text(file).splitlines() if line.strip()]
        except DataError:
            raise
        except ValueError as error:
            raise DataError(f"{tree.path}: {tree.listing.path(file)}: {error}") from error
        if names:
            found[file] = names
    lists = list(dict.fromkeys(map(tuple, found.values())))
    if len(lists) > 1:
        listed = ", ".join(map(tree.listing.path, found))
        raise DataError(f"{tree.path}: {listed} name different classes: keep only one of them")
    return (list(lists[0]), next(iter(found))) if lists else ([], None)


def _label_path(photo: str, texts: dict[str, int]) -> str | None:
    """Where this form has the boxes of a photo: below `labels` instead of `images`, or beside it."""
    folder, _, name = photo.rpartition("/")
    stem = name.rpartition(".")[0] + ".txt"
    parts = folder.split("/") if folder else []
    places = [[*parts, stem]]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        places.insert(0, [*parts[:last], "labels", *parts[last + 1 :], stem])
    return next((path for place in places if (path := "/".join(place)) in texts), None)


def _are_boxes(tree: Tree, files: Sequence[int]) -> bool:
    """Whether the first files with any text hold a number of a class and fractions in each line."""
    tried = 0
    for file in files:
        try:
            lines = [line.split() for line in tree.text(file).splitlines() if line.strip()]
            if any(len(line) < 5 or not line[0].isdigit() for line in lines):
                return False
            if lines and max(abs(float(number)) for line in lines for number in line[1:]) > 1 + _MARGIN:
                return False
        except (ValueError, DataError):
            return False
        tried += bool(lines)
        if tried == _TRIED:
            break
    return tried > 0


def _listed_splits(
    tree: Tree, files: Sequence[int], photos: Sequence[str]
) -> tuple[dict[str, SplitName], list[int]]:
    """The split of each photo by `train:`, `val:` and `test:` of a YAML file, and the lists that it names.

    Each is a folder or a list of photos. Empty if some of these are not here, or if they overlap.
    """
    listing, index = tree.listing, PhotoIndex(photos)
    for yaml in files:
        if not listing.name(yaml).lower().endswith(_YAML):
            continue
        found: dict[str, SplitName] = {}
        lists: list[int] = []
        entries = _SPLIT_ENTRY.findall(tree.text(yaml))
        for word, value in entries:
            place = re.sub(r"^(\.{0,2}/)+", "", _unquoted(value).replace("\\", "/")).strip("/")
            if place.endswith(".txt"):
                texts = [
                    file
                    for file in listing.ending_in(".txt")
                    if f"/{listing.path(file)}".endswith(f"/{place}")
                ]
                lists += texts[:1]
                lines = tree.text(texts[0]).splitlines() if texts else []
                inside = [index.path(n) for line in lines if (n := index.find(line)) is not None]
            else:
                inside = [path for path in photos if f"/{place}/" in f"/{path}"]
            if not inside or not found.keys().isdisjoint(inside):
                break
            found |= dict.fromkeys(inside, split_of_word(word))
        else:
            if len(entries) > 1:
                return found, lists
    return {}, []


def _key_points(tree: Tree, files: Sequence[int]) -> int:
    """How many numbers of key points follow each box, by `kpt_shape` in a YAML file; 0 without it."""
    texts = [tree.text(file) for file in files if tree.listing.name(file).lower().endswith(_YAML)]
    shapes = [found for text in texts if (found := _KEY_POINTS.search(text))]
    return int(shapes[0][1]) * int(shapes[0][2]) if shapes else 0


def _objects(
    tree: Tree, file: int, names: Sequence[str], key_points: int
) -> list[tuple[str, tuple[float, ...]]]:
    """Name and x0, y0, x1, y1 in fractions of each object; DataError names the line that is broken.

    Numbers of key points after a box are left out.
    """
    found: list[tuple[str, tuple[float, ...]]] = []
    for number, line in enumerate(tree.text(file).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{tree.path}: {tree.listing.path(file)}, line {number}"
        try:
            label, *numbers = line.split()
            values = [float(each) for each in numbers]
            if not label.isdecimal() or len(label) > _MAX_DIGITS:
                digits = f": it has {len(label)} digits" if label.isdecimal() else ""
                raise DataError(f"{where}: {label[:40]!r} is not a class number{digits}")
            if names and int(label) >= len(names):
                raise DataError(f"{where}: class {label}, but there are names for {len(names)}")
            corners = _corners(values[:4] if key_points and len(values) == 4 + key_points else values)
            if not (np.isfinite(corners).all() and max(map(abs, corners)) <= 1 + _MARGIN):
                raise ValueError
        except DataError:
            raise
        except ValueError:
            raise DataError(
                f"{where} is not the number of a class and four fractions, or a polygon: {line.strip()!r}"
            ) from None
        found.append((names[int(label)] if names else str(int(label)), corners))
    return found


def _corners(values: Sequence[float]) -> tuple[float, ...]:
    """Of center, width and height, a confidence after them or not, or of a polygon's points."""
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) < 6 or len(values) % 2:
        raise ValueError
    across, down = values[::2], values[1::2]
    return min(across), min(down), max(across), max(down)


def _most(boxed: dict[str, list[BoxedPhoto]]) -> int:
    return max((int(n) for photos in boxed.values() for photo in photos for n in photo.names), default=0)
