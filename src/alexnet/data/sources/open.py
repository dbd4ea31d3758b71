"""Recognizes the raw form of photos by what a folder, tar or parquet file holds."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

from alexnet.data.sources import (
    class_folders,
    coco,
    idx,
    ilsvrc,
    kaggle,
    parquet,
    tiny_imagenet,
    train_val,
    voc_photos,
    wnid_names,
    yolo,
)
from alexnet.data.sources.base import Source, Subset
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_split import is_clutter, photos_in
from alexnet.data.sources.train_val import SPLIT_FOLDERS
from alexnet.data.sources.tree import Tree, join, open_folder, open_tar, refuse_compressed
from alexnet.data.subset import stratified_split
from alexnet.errors import CommandError, DataError

_TREE_FORMS = (kaggle, tiny_imagenet, train_val, class_folders, wnid_names, idx)
_SUPPORTED = (
    "the official ILSVRC-2012 tars, Kaggle's tree, train/ and val/ folders, a folder of class folders, "
    "a tar of these, Tiny ImageNet, parquet and Arrow files, COCO, YOLO and PASCAL VOC boxes, IDX files, "
    "photos named <wnid>_*.JPEG"
)


def open_source(
    path: Path,
    val_fraction: float = 0.1,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
) -> Source:
    """The labeled photos in a folder, tar or parquet file, which are never changed.

    If they have no validation split, `val_fraction` of each class is held out (see `stratified_split`); 0
    keeps all in `train`. CommandError if `path` does not exist, DataError if its form is not recognized.
    """
    if not 0 <= val_fraction < 1:
        raise CommandError(f"a validation fraction of {val_fraction} is not in [0, 1)")
    if not path.exists():
        raise CommandError(f"no such file or folder: {path}")
    source = _recognize(path, options)
    if "val" in source.splits or not val_fraction:
        return source
    photos = source.splits["train"]
    keys = (photos.key(index) for index in range(len(photos)))
    train, val = (Subset(photos, indices) for indices in stratified_split(keys, photos.labels, val_fraction))
    splits = {"train": train, "val": val} if len(val) else {"train": train}
    return dataclasses.replace(source, splits={**source.splits, **splits}, val_fraction=val_fraction)


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
    if not tables:
        options.refuse_for_tables(tree.path)
    boxed = coco.read(tree) or yolo.read(tree) or voc_photos.read(tree)
    if boxed:
        return boxed
    base = _base(tree)
    for form in _TREE_FORMS:
        source = form.read(tree, base)
        if source:
            return source
    if tables:
        return parquet.read(tree, tables, options)
    raise DataError(f"{tree.path}: {_found(tree, base)}; supported are {_SUPPORTED}")


def _base(tree: Tree) -> str:
    """The folder in which the photos begin, below folders that hold nothing but one other folder."""
    base = ""
    while True:
        inside = [name for name in tree.listing.subfolders(base) if not is_clutter(name)]
        alone = len(inside) == 1 and not photos_in(tree, base)
        if not alone or _is_split_or_class(tree, base, inside[0]):
            return base
        base = join(base, inside[0])


def _is_split_or_class(tree: Tree, base: str, name: str) -> bool:
    names = [each for spellings in SPLIT_FOLDERS.values() for each in spellings]
    return name.lower() in names or bool(photos_in(tree, join(base, name)))


def _found(tree: Tree, base: str) -> str:
    photos = photos_in(tree, base)
    if photos:
        return f"{len(photos):,} photos outside any class folder, so their classes are unknown"
    if not len(tree.listing):
        return "empty"
    names = [name + "/" for name in tree.listing.subfolders(base)]
    names += [tree.listing.name(file) for file in tree.listing.files(base)]
    return f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''} is not a known form of labeled photos"
