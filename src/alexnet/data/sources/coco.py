"""Boxes in COCO's JSON: `annotations/instances_train2017.json` beside folders of photos, or one file in each.

A file belongs to the split that its name or its folder names. Its photos are found by their file names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet.data.sources.annotation import (
    BoxedForm,
    BoxedPhoto,
    boxed_source,
    orphan_annotations,
    photos_by_path,
)
from alexnet.data.sources.base import Source
from alexnet.data.sources.photo_files import OpenedSource
from alexnet.data.sources.split_names import SPLITS, place_of, split_of_path, split_of_photo
from alexnet.data.sources.tree import Tree
from alexnet.errors import DataError
from alexnet.json_reader import parse_json
from alexnet.text import counted, encodable

_FORM = "COCO boxes"
_KEYS = ("images", "annotations", "categories")
_MAX_READ = 100
_USUAL_NAME = re.compile(r"coco|instances|annotations?|train|val|test", re.IGNORECASE)
"""Among more JSON files than `_MAX_READ`, such as one for each photo, only those named so are read."""
_INSTANCES = "instances"
"""How COCO names the file with the boxes; others hold captions or key points of the same photos."""


def read(opened: OpenedSource) -> Source | None:
    """The source of all photos that the files list; None if no JSON file holds boxes in this form."""
    if opened.options.choose_folders:
        return None
    tree = opened.tree
    found = _annotation_files(tree)
    if not found:
        return None
    photos = photos_by_path(tree)
    if not photos:
        return None
    if all(map(_has_no_box, (each for content in found.values() for each in content["annotations"]))):
        return None  # annotations of whole photos
    by_split, others = _by_split(tree, found)
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for path in photos:
        by_name[path.rpartition("/")[2]].append(path)
    boxed: dict[str, list[BoxedPhoto]] = {}
    order: dict[str, None] = {}
    strays: list[str] = []
    missing: list[str] = []
    for split, file in by_split.items():
        content = _Content.parse(tree, file, found[file])
        order |= dict.fromkeys(content.categories.values())
        found_photos, absent = content.photos(tree, file, split, by_name, photos)
        missing += absent
        # One file for all splits, which are folders of photos.
        named = place_of(tree.listing.path(file)).split in SPLITS or len(by_split) > 1
        for photo in found_photos:
            place = split if named else split_of_photo(tree.listing.path(photo.file))
            boxed.setdefault(place, []).append(photo)
        if content.crowds:
            strays.append(f"{split}: {counted(content.crowds, 'box')} around crowds")
    strays += orphan_annotations(missing)
    strays += [f"{tree.listing.path(file)} (another annotation of the same photos)" for file in others]
    return boxed_source(tree, BoxedForm(_FORM, "edges", list(order)), boxed, [*found], strays)


@dataclass(frozen=True)
class _Content:
    """The annotations of one file, by the ids of its images."""

    images: Mapping[Any, tuple[str, tuple[int, int]]]
    """File name and (width, height)."""
    categories: Mapping[Any, str]
    """Names by id, in the order of ids."""
    objects: Mapping[Any, list[tuple[str, list[float]]]]
    """Name and x0, y0, x1, y1 in pixels, as edges."""
    crowds: int

    @classmethod
    def parse(cls, tree: Tree, file: int, content: Mapping[str, Any]) -> _Content:
        """DataError, naming the file, for anything that is not in COCO's format."""
        try:
            categories = {each["id"]: encodable(str(each["name"]).strip()) for each in content["categories"]}
            images = {
                each["id"]: (str(each["file_name"]), (_side(each, "width"), _side(each, "height")))
                for each in content["images"]
            }
            objects: defaultdict[Any, list[tuple[str, list[float]]]] = defaultdict(list)
            crowds = 0
            for each in content["annotations"]:
                if each.get("iscrowd"):
                    crowds += 1
                elif each.get("bbox"):
                    objects[each["image_id"]].append(
                        (categories[each["category_id"]], _corners(each["bbox"]))
                    )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            where = f"{tree.path}: {tree.listing.path(file)}"
            raise DataError(f"{where} is not in COCO's format: {error!r}") from error
        ordered = dict(sorted(categories.items(), key=lambda item: (str(type(item[0])), item[0])))
        return cls(images, ordered, objects, crowds)

    def photos(
        self,
        tree: Tree,
        file: int,
        split: str,
        by_name: Mapping[str, Sequence[str]],
        files: Mapping[str, int],
    ) -> tuple[list[BoxedPhoto], list[str]]:
        """The photos that are there, and the names of missing ones.

        DataError for a name of several photos.
        """
        folder = tree.listing.path(file).rpartition("/")[0]
        boxed: dict[int, BoxedPhoto] = {}
        missing: list[str] = []
        for image, (name, size) in self.images.items():
            path = _find(name, folder, split, by_name)
            if path is None:
                missing.append(f"{tree.listing.path(file)}: {name}")
                continue
            if not path:
                raise DataError(
                    f"{tree.path}: {tree.listing.path(file)} lists {name}, and several photos are called so: "
                    "give their folders in file_name, or keep one data set in a folder"
                )
            if files[path] in boxed:
                raise DataError(
                    f"{tree.path}: {tree.listing.path(file)} lists {name} and another photo called so, but "
                    f"only {path} is there: add the other one, or remove it from the list"
                )
            objects = self.objects.get(image, [])
            names, corners = [name for name, _ in objects], [box for _, box in objects]
            boxed[files[path]] = BoxedPhoto(files[path], names, corners, size)
        return list(boxed.values()), missing


def _has_no_box(annotation: object) -> bool:
    return isinstance(annotation, dict) and not annotation.get("bbox")


def _annotation_files(tree: Tree) -> dict[int, Mapping[str, Any]]:
    """The contents of all JSON files that hold images, categories and boxes."""
    listing = tree.listing
    found: dict[int, Mapping[str, Any]] = {}
    files = listing.ending_in(".json")
    if len(files) > _MAX_READ:
        files = [file for file in files if _USUAL_NAME.search(listing.name(file))]
    for file in files:
        data = tree.read(file)
        if not all(f'"{key}"'.encode() in data for key in (*_KEYS, "bbox")):
            continue
        try:
            content = parse_json(data)
        except ValueError as error:
            where = f"{tree.path}: {listing.path(file)}"
            raise DataError(f"{where} is not complete JSON ({error}): download it again") from error
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in _KEYS):
            found[file] = content
    return found


def _by_split(tree: Tree, found: Mapping[int, object]) -> tuple[dict[str, int], list[int]]:
    """The file of each split, and files that are not used; DataError if several fit."""
    by_split: defaultdict[str, list[int]] = defaultdict(list)
    for file in found:
        by_split[split_of_path(tree.listing.path(file))].append(file)
    chosen: dict[str, int] = {}
    others: list[int] = []
    for split, files in by_split.items():
        instances = [file for file in files if tree.listing.name(file).startswith(_INSTANCES)]
        best = files if len(files) == 1 else instances
        if len(best) != 1:
            listed = ", ".join(map(tree.listing.path, files))
            raise DataError(f"{tree.path}: {listed} may all have the boxes of {split}: keep only one of them")
        chosen[split] = best[0]
        others += [file for file in files if file != best[0]]
    return chosen, others


def _find(name: str, folder: str, split: str, by_name: Mapping[str, Sequence[str]]) -> str | None:
    """The path of the photo that a file name means; None if there is none, empty if it may be several."""
    wanted = name.replace("\\", "/").removeprefix("./").strip("/")
    same = by_name.get(wanted.rpartition("/")[2], ())
    whole = [path for path in same if f"/{path}".endswith(f"/{wanted}")]
    candidates = whole or list(same)
    for narrower in (
        [path for path in candidates if path == f"{folder}/{wanted}".strip("/")],
        [path for path in candidates if split_of_photo(path) == split],
    ):
        if len(candidates) > 1 and narrower:
            candidates = narrower
    if len(candidates) > 1:
        return ""
    return candidates[0] if candidates else None


def _corners(box: Sequence[Any]) -> list[float]:
    x, y, width, height = map(float, box)
    corners = [x, y, x + width, y + height]
    if not np.isfinite(corners).all():
        raise ValueError(f"a box of {box}")
    return corners


def _side(image: Mapping[str, Any], name: str) -> int:
    side = image.get(name) or 0
    return round(float(side))
