"""Recognizes the raw form of photos by what a folder, tar or parquet file holds."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from alexnet.data.sources import cifar, coco, idx, imagenet, layout, parquet, voc, yolo
from alexnet.data.sources.base import Source, SourceOptions
from alexnet.data.sources.photo_files import OpenedSource
from alexnet.data.sources.selection import check_fraction, hold_out
from alexnet.data.sources.tree import Tree, open_folder, open_tar, refuse_compressed
from alexnet.errors import CommandError, DataError

_SUPPORTED = (
    "the official ILSVRC-2012 tars, Kaggle's tree, folders of splits or classes, photos with a label file, "
    "a tar of these, Tiny ImageNet, parquet and Arrow files, COCO, YOLO and PASCAL VOC boxes, IDX files, "
    "CIFAR's batches, photos named <wnid>_*.JPEG"
)


_Reader = Callable[[OpenedSource], Source | None]
_READERS: tuple[_Reader, ...] = (
    *(parquet.read_photos, cifar.read, idx.read),
    *(coco.read, yolo.read, voc.read),
)
"""Readers of records and of boxes, which have files of their own; the first that returns a source is used."""
_PHOTO_READERS: tuple[_Reader, ...] = (
    *(imagenet.read_kaggle, imagenet.read_tiny_imagenet, imagenet.read_named_by_wnid),
    layout.read,
    parquet.read,
)
"""Readers of photos in folders, tried after these; the most general ones are the last."""


def open_source(
    path: Path,
    val_fraction: float = 0.1,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
) -> Source:
    """The labeled photos in a folder, tar or parquet file, which are never changed.

    If they have no validation split, `val_fraction` of each class is held out (see `hold_out`); 0 keeps all
    in `train`. CommandError if `path` does not exist, DataError if its form is not recognized.
    """
    check_fraction(val_fraction)
    if not path.exists():
        raise CommandError(f"no such file or folder: {path}")
    source = dataclasses.replace(_recognize(path, options), options=options.recorded(path))
    return hold_out(source, val_fraction)


def _recognize(path: Path, options: SourceOptions) -> Source:
    if path.is_dir():
        return imagenet.read_tars(path) or _from_tree(open_folder(path), options)
    if parquet.is_table(path.name):
        return parquet.read_files(path.parent, [path.name], options)
    refuse_compressed(path)
    if not tarfile.is_tarfile(path):
        raise DataError(f"{path} is not a folder, tar or parquet file; supported are {_SUPPORTED}")
    source = imagenet.read_train_tar(path)
    if source:
        return source
    source = _from_tree(open_tar(path), options)
    return dataclasses.replace(source, form=f"{source.form} in a tar")


def _from_tree(tree: Tree, options: SourceOptions) -> Source:
    opened = OpenedSource(tree, options)
    source = _first(_READERS, opened)
    if source:
        return source
    if options.configuration:
        raise CommandError(f"{tree.path} holds no tables or IDX files: remove --configuration")
    source = _first(_PHOTO_READERS, opened)
    if source:
        return source
    raise DataError(f"{tree.path}: {_found(tree)}; supported are {_SUPPORTED}")


def _first(readers: Sequence[_Reader], opened: OpenedSource) -> Source | None:
    return next(filter(None, (read(opened) for read in readers)), None)


def _found(tree: Tree) -> str:
    if not len(tree.listing):
        return "empty"
    names = [name + "/" for name in tree.listing.subfolders("")]
    names += [tree.listing.name(file) for file in tree.listing.files("")]
    return f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''} is not a known form of labeled photos"
