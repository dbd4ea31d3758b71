"""Recognizes the raw form of photos by what a folder, tar or parquet file holds."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

from alexnet.data.sources import (
    cifar,
    coco,
    idx,
    ilsvrc,
    kaggle,
    layout,
    parquet,
    tiny_imagenet,
    voc_photos,
    wnid_names,
    yolo,
)
from alexnet.data.sources.base import Source
from alexnet.data.sources.hold_out import check_fraction, hold_out
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.survey import survey
from alexnet.data.sources.tree import Tree, open_folder, open_tar, refuse_compressed
from alexnet.errors import CommandError, DataError

_SUPPORTED = (
    "the official ILSVRC-2012 tars, Kaggle's tree, folders of splits or classes, photos with a label file, "
    "a tar of these, Tiny ImageNet, parquet and Arrow files, COCO, YOLO and PASCAL VOC boxes, IDX files, "
    "CIFAR's batches, photos named <wnid>_*.JPEG"
)


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
        return ilsvrc.read(path) or _from_tree(open_folder(path), options)
    if parquet.is_table(path.name):
        return parquet.read_files(path.parent, [path.name], options)
    refuse_compressed(path)
    if not tarfile.is_tarfile(path):
        raise DataError(f"{path} is not a folder, tar or parquet file; supported are {_SUPPORTED}")
    source = ilsvrc.read_train(path)
    if source:
        return source
    source = _from_tree(open_tar(path), options)
    return dataclasses.replace(source, form=f"{source.form} in a tar")


def _from_tree(tree: Tree, options: SourceOptions) -> Source:
    tables = parquet.find_tables(tree)
    if parquet.hold_photos(tree, tables):
        return parquet.read(tree, tables, options)
    records = cifar.read(tree, options) or idx.read(tree, options)
    if records:
        return records
    if not options.choose_folders:
        boxed = coco.read(tree) or yolo.read(tree) or voc_photos.read(tree)
        if boxed:
            return boxed
    if options.configuration:
        raise CommandError(f"{tree.path} holds no tables or IDX files: remove --configuration")
    counted = survey(tree)
    base = counted.base()
    source = (
        kaggle.read(counted, options)
        or tiny_imagenet.read(counted, base, options)
        or wnid_names.read(tree, base)
        or layout.read(counted, base, options)
    )
    if source:
        return source
    if tables:
        return parquet.read(tree, tables, options)
    raise DataError(f"{tree.path}: {_found(tree)}; supported are {_SUPPORTED}")


def _found(tree: Tree) -> str:
    if not len(tree.listing):
        return "empty"
    names = [name + "/" for name in tree.listing.subfolders("")]
    names += [tree.listing.name(file) for file in tree.listing.files("")]
    return f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''} is not a known form of labeled photos"
