"""Recognizes the raw form of photos by what a folder, tar or parquet file holds."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from alexnet.data.sources import cifar, coco, idx, imagenet, layout, parquet, voc, webdataset, yolo
from alexnet.data.sources.base import LeftOut, Source, SourceOptions
from alexnet.data.sources.photo_files import OpenedSource, photos_below
from alexnet.data.sources.selection import check_fraction, hold_out, pieces
from alexnet.data.sources.table_file import TableFile, holds_photos, is_text
from alexnet.data.sources.tree import Tree, open_folder, open_tar, refuse_compressed
from alexnet.errors import CommandError, DataError, NotFound
from alexnet.text import counted, first_few, suggestion

_SUPPORTED = (
    "the official ILSVRC-2012 tars, Kaggle's tree, folders of splits or classes, photos with a label file, "
    "a tar of these, Tiny ImageNet, parquet and Arrow files, COCO, YOLO and PASCAL VOC boxes, IDX files, "
    "CIFAR's batches, WebDataset tars, photos named <wnid>_*.JPEG"
)


_TABLES = ("image_column", "label_column", "group_column", "configuration")
_FOLDERS = tuple(each.name for each in dataclasses.fields(SourceOptions) if each.name != "configuration")

_LISTS = (".csv", ".tsv")
"""Of files that can be a source: they label the photos beside them."""

_ARCHIVES = (".zip", ".rar", ".7z", ".tgz", ".gz", ".bz2", ".xz", ".zst")

_Reader = Callable[[OpenedSource], Source | None]
_READERS: tuple[tuple[_Reader, Sequence[str]], ...] = (
    (parquet.read_photos, _TABLES),
    (cifar.read, ("label_column",)),
    (idx.read, ("configuration",)),
    (coco.read, ()),
    (yolo.read, ()),
    (voc.read, ()),
    (imagenet.read_kaggle, _FOLDERS),
    (imagenet.read_tiny_imagenet, _FOLDERS),
    (imagenet.read_named_by_wnid, ()),
    (layout.read, _FOLDERS),
    (parquet.read, _TABLES),
)
"""Readers with the options that each has: of records and boxes, which have files of their own, then of photos
in folders, the most general last. The first that returns a source is used."""


def open_source(
    path: Path,
    val_fraction: float = 0.1,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
) -> Source:
    """The labeled photos in a folder, tar or parquet file, or those that a table beside them lists.

    They are never changed. If they have no validation split, `val_fraction` of each class is held out (see
    `hold_out`); 0 keeps all in `train`. NotFound if `path` does not exist, DataError if its form is not
    recognized.
    """
    check_fraction(val_fraction)
    if not path.exists():
        raise NotFound(f"no such file or folder: {path}")
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{path} is neither a folder nor a regular file")
    source = dataclasses.replace(_recognize(path, options), options=options.recorded(path))
    return hold_out(source, val_fraction)


def _recognize(path: Path, options: SourceOptions) -> Source:
    if path.is_dir():
        try:
            next(path.iterdir(), None)
        except PermissionError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        source = imagenet.read_tars(path) or webdataset.read_tars(path)
        return _checked(source, options, ()) if source else _from_tree(open_folder(path), options)
    if _lists_photos(path):
        return _from_tree(open_folder(path.parent), dataclasses.replace(options, labels=str(path)))
    if parquet.is_table(path.name):
        return _checked(parquet.read_files(path.parent, [path.name], options), options, _TABLES)
    refuse_compressed(path)
    if not tarfile.is_tarfile(path):
        raise DataError(f"{path} is not a folder, tar or parquet file; supported are {_SUPPORTED}")
    source = imagenet.read_train_tar(path) or webdataset.read_tars(path)
    if source:
        return _checked(source, options, ())
    source = _from_tree(open_tar(path), options)
    return dataclasses.replace(source, form=f"{source.form} in a tar")


def _lists_photos(path: Path) -> bool:
    """Whether a file is a table without photos, such as a CSV: a label file of the photos beside it."""
    if path.name.lower().endswith(_LISTS):
        return True
    if not parquet.is_table(path.name):
        return False
    kinds = [field.type for field in TableFile(path).schema()]
    return not any(map(holds_photos, kinds)) and any(map(is_text, kinds))


def _from_tree(tree: Tree, options: SourceOptions) -> Source:
    folders = _excluded(tree, options.exclude)
    left_out = [
        LeftOut(f"{folder}/ ({counted(len(photos_below(tree, folder)), 'photo')})", f"--exclude {name}")
        for folder, name in folders.items()
    ]
    opened = OpenedSource(tree.without(folders) if folders else tree, options)
    for read, known in _READERS:
        source = read(opened)
        if source:
            source = dataclasses.replace(source, left_out=[*left_out, *source.left_out])
            return _checked(source, options, (*known, "exclude"))
    raise DataError(f"{tree.path}: {_found(tree)}; supported are {_SUPPORTED}")


def _excluded(tree: Tree, names: str) -> dict[str, str]:
    """The folders that `--exclude` names, with the name; CommandError for a name that no folder has."""
    found: dict[str, str] = {}
    ends = {end.casefold() for each in tree.listing.folders for end in (each, each.rpartition("/")[2])}
    for name in filter(None, (each.strip().rstrip("/") for each in pieces(names, ends))):
        folders = [each for each in tree.listing.folders if each == name or each.endswith(f"/{name}")]
        if not folders:
            near = suggestion(name, tree.listing.subfolders(""))
            raise CommandError(f"--exclude {name}: {tree.path} has no such folder; {near}")
        found |= dict.fromkeys(folders, name)
    inner = {each for each in found if any(each.startswith(f"{other}/") for other in found)}
    return {folder: name for folder, name in found.items() if folder not in inner}


def _checked(source: Source, options: SourceOptions, known: Sequence[str]) -> Source:
    """The source; CommandError if options are chosen that its form does not have."""
    chosen = [name for name in options.recorded(source.path) if name not in known]
    if chosen:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise CommandError(f"{source.path} is read as {source.form}, a form without {listed}: remove it")
    return source


def _found(tree: Tree) -> str:
    if not len(tree.listing):
        return "empty"
    names = [name + "/" for name in tree.listing.subfolders("")]
    names += [tree.listing.name(file) for file in tree.listing.files("")]
    known = f"{first_few(names, 5)} is not a known form of labeled photos"
    archives = [name for name in names if name.lower().endswith(_ARCHIVES)]
    return f"{known} (unpack {first_few(archives, 5)} first)" if archives else known
