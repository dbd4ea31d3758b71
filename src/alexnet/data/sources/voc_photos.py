"""PASCAL VOC's own tree: photos in `JPEGImages`, boxes in `Annotations`, lists of splits in `ImageSets/Main`.

Also photos and XML files side by side in `train/` and `valid/`. Class folders with XML files are not of this
form: there the folders are the classes.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

from alexnet.data.sources.base import Source
from alexnet.data.sources.boxed_photos import (
    SPLITS,
    BoxedForm,
    BoxedPhoto,
    boxed_source,
    photos_by_path,
    split_of_path,
)
from alexnet.data.sources.survey import OpenedSource
from alexnet.data.sources.table_places import split_of_word
from alexnet.data.sources.tree import Tree
from alexnet.data.sources.voc import SUFFIX, XmlAnnotation, orphan_annotations, parse
from alexnet.data.sources.wnid_names import wnid_in
from alexnet.errors import DataError

FORM = "PASCAL VOC boxes"
_LISTS = "imagesets/main"
_PHOTO_FOLDERS = ("", "jpegimages", "images", "image", "imgs", "img", "photos", "pictures")
_MASK_FOLDERS = ("segmentationclass", "segmentationobject")


def read(opened: OpenedSource) -> Source | None:
    """The source; None if no photo has an XML file of its name, or some photos are in folders of classes."""
    if opened.options.choose_folders:
        return None
    tree = opened.tree
    listing = tree.listing
    xml: dict[str, list[int]] = defaultdict(list)
    for file in listing.ending_in(SUFFIX):
        xml[PurePosixPath(listing.name(file)).stem].append(file)
    if not xml:
        return None
    photos = {path: file for path, file in photos_by_path(tree).items() if _parent(path) not in _MASK_FOLDERS}
    stems = {path: PurePosixPath(path).stem for path in photos}
    named = all(wnid_in(path.rpartition("/")[2]) for path in photos)
    if named or not all(map(_is_of_photos, photos)) or not any(stem in xml for stem in stems.values()):
        return None
    lists = _lists(tree)
    boxed: defaultdict[str, list[BoxedPhoto]] = defaultdict(list)
    used: list[int] = []
    unlisted = 0
    for path, file in photos.items():
        split = lists.get(stems[path], "") if lists else split_of_path(path)
        if not split:
            unlisted += 1
            continue
        candidates = xml.get(stems[path], ())
        own = [each for each in candidates if len(candidates) == 1 or _shared(listing.path(each), path)]
        annotation = _parse(tree, own[0]) if own else XmlAnnotation((0, 0), [])
        used += own[:1]
        names, corners = [name for name, _ in annotation.objects], [box for _, box in annotation.objects]
        boxed[split].append(BoxedPhoto(file, names, corners, annotation.size))
    strays = [f"{unlisted:,} photos that no list in ImageSets/Main has"] if unlisted else []
    rest = sorted({file for files in xml.values() for file in files} - set(used))
    strays += [] if unlisted or not rest else orphan_annotations([listing.path(file) for file in rest])
    shipped = [file for file in range(len(listing)) if "/imagesets/" in f"/{listing.path(file).lower()}"]
    masks = [file for file in range(len(listing)) if _parent(listing.path(file)) in _MASK_FOLDERS]
    order = sorted({name for photos in boxed.values() for photo in photos for name in photo.names})
    known = [*used, *rest, *shipped, *masks]
    return boxed_source(tree, BoxedForm(FORM, "pixels", order), boxed, known, strays)


def _parent(path: str) -> str:
    return PurePosixPath(path).parent.name.lower()


def _is_of_photos(path: str) -> bool:
    """Whether the folder of a photo does not name its class."""
    parent = _parent(path)
    return parent in _PHOTO_FOLDERS or bool(split_of_word(parent.rstrip("0123456789")))


def _shared(annotation: str, photo: str) -> bool:
    """Whether both are below the same folder: side by side, or in `Annotations` and `JPEGImages` of it."""
    places = [PurePosixPath(path).parent for path in (annotation, photo)]
    return places[0] == places[1] or (bool(places[0].name) and places[0].parent == places[1].parent)


def _lists(tree: Tree) -> dict[str, str]:
    """The split of each photo's stem; empty if there are no lists. `trainval` counts where `train` is not."""
    found: dict[str, str] = {}
    for name, split in (("trainval", "train"), *((split, split) for split in SPLITS)):
        for folder in tree.listing.folders:
            if not f"/{folder.lower()}".endswith(f"/{_LISTS}"):
                continue
            file = tree.listing.find(folder, f"{name}.txt")
            if file is not None:
                found |= {line.split()[0]: split for line in tree.text(file).splitlines() if line.strip()}
    return found


def _parse(tree: Tree, file: int) -> XmlAnnotation:
    try:
        return parse(tree.read(file))
    except ValueError as error:
        raise DataError(f"{tree.path}: broken boxes in {tree.listing.path(file)}: {error}") from error
