"""Photos in folders, of any layout: candidate readings by general rules, of which exactly one must fit.

1. `survey` counts the photos of each folder; nothing is decoded.
2. `folders.arrange` finds the folders of splits, `class_level` the depth of the class folders,
   `MetadataFiles` the text files that may label or list photos.
3. `PhotoLabels` labels the photos, `split_lists` finds the splits that files list.

If exactly one reading fits, it is taken, and `Source.origins` describes it. If several fit, or none,
DataError names them and the option that chooses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, are_custom
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.arranged_photos import ArrangedPhotos, arranged_photos
from alexnet.data.sources.base import LeftOut, Source, SplitOrigin
from alexnet.data.sources.class_level import choose_level
from alexnet.data.sources.folders import SPLITS, Arrangement, arrange
from alexnet.data.sources.labeling import encoding_notes
from alexnet.data.sources.metadata_files import MetadataFiles
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_index import PhotoIndex
from alexnet.data.sources.photo_labels import OUT, PhotoLabels
from alexnet.data.sources.photo_split import PhotoSplit, find_strays, make_split
from alexnet.data.sources.split_lists import ListedSplits, find_lists
from alexnet.data.sources.split_words import SplitName
from alexnet.data.sources.survey import OpenedSource, Survey
from alexnet.data.sources.tree import Int64s
from alexnet.data.sources.voc import add_boxes
from alexnet.errors import CommandError

_CLUTTER_CLASS = re.compile(r"(\d+\.)?(background|clutter)(_google)?", re.IGNORECASE)


@dataclass
class Layout:
    """The splits of a tree, before their photos have boxes."""

    form: str
    classes: list[Class]
    splits: dict[str, PhotoSplit]
    origins: dict[str, SplitOrigin]
    known: list[int] = field(default_factory=list[int])
    """Files that were read for labels or splits, and photos that were left out for a reason."""
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    notes: list[str] = field(default_factory=list[str])


def read(opened: OpenedSource) -> Source | None:
    """The source of the photos where the layout begins; None if there are none."""
    tree, survey, base = opened.tree, opened.survey, opened.base
    if base not in survey.total:
        return None
    layout = read_layout(survey, base, opened.options)
    splits, annotations, strays = add_boxes(tree, layout.splits, layout.classes)
    strays += find_strays(tree, splits.values(), [*layout.known, *annotations])
    return Source(
        form=layout.form,
        path=tree.path,
        classes=layout.classes,
        splits=dict(splits),
        strays=strays,
        settings=PrepareSettings(exif=are_custom(layout.classes)),
        left_out=layout.left_out,
        origins=layout.origins,
        notes=layout.notes,
    )


def read_layout(survey: Survey, base: str, options: SourceOptions) -> Layout:
    """The one reading of the photos below `base` that fits; DataError if none or several do."""
    arrangement = arrange(survey, base, options)
    photos = arranged_photos(survey, arrangement)
    files = MetadataFiles(
        survey, base, arrangement.roots.values(), [place.folder for place in arrangement.places]
    )
    labeling = PhotoLabels(photos, files, options)
    if options.labels_from_names:
        labeling.by_names()
    else:
        found = choose_level(photos, files, options)
        labeling.notes += found.notes
        if found.level:
            labeling.by_folders(found.level)
        else:
            labeling.by_files()
    _refuse_unused_columns(labeling, options)
    return _assemble(labeling, _lists(photos, files, options), base)


def _lists(
    photos: ArrangedPhotos, files: MetadataFiles, options: SourceOptions
) -> tuple[Int64s, ListedSplits] | None:
    """The photos whose splits files list: all, or those of `train` without a `val` folder; and the splits."""
    arrangement = photos.arrangement
    if not files.texts or "val" in arrangement.splits or "train" not in arrangement.splits:
        return None
    numbers = photos.of("train")
    index = PhotoIndex(photos.paths(numbers))
    tables = photos.tables(numbers, files.texts, options)
    lists = find_lists(tables, files.texts, index, options.splits, str(photos.survey.tree.path))
    if lists is None or (arrangement.has_splits and "val" not in lists.photos):
        return None
    return numbers, lists


def _assemble(labeling: PhotoLabels, listed: tuple[Int64s, ListedSplits] | None, base: str) -> Layout:
    photos, arrangement = labeling.photos, labeling.photos.arrangement
    numbers: dict[SplitName, Int64s] = {split: photos.of(split) for split in arrangement.splits}
    origins: dict[str, SplitOrigin] = dict(labeling.origins)
    if listed is not None:
        whole, lists = listed
        origin = origins["train"]
        found = {split: whole[sorted(inside)] for split, inside in lists.photos.items()}
        numbers |= found
        origins |= {split: replace(origin, lists=lists.files.get(split, ())) for split in found}
        left = len(whole) - sum(map(len, found.values()))
        if left:
            labeling.left_out.append(LeftOut(f"{left:,} photos", "in no list of a split"))
            inside = np.concatenate(list(found.values()))
            labeling.known += photos.files[np.setdiff1d(whole, inside)].tolist()
        labeling.notes += encoding_notes(lists.tables)
        labeling.known += [labeling.file_number(f) for files in lists.files.values() for f in files]
    splits: dict[str, PhotoSplit] = {}
    for split in SPLITS:
        if split not in numbers:
            continue
        own = labeling.labels[numbers[split]]
        missing = 0 if split == "test" else int((own == NO_LABEL).sum())
        if missing:
            reason = f"no label in {' and '.join(origins[split].files)}"
            labeling.left_out.append(LeftOut(f"{missing:,} photos of {split}", reason))
        is_kept = (own != OUT) & ((own != NO_LABEL) | (split == "test"))
        kept = numbers[split][is_kept]
        labeling.known += photos.files[numbers[split][~is_kept]].tolist()
        splits[split] = make_split(
            photos.survey.tree,
            photos.files[kept].tolist(),
            labeling.labels[kept],
            arrangement.roots.get(split, base),
            labeling.classes,
        )
    if "val" not in splits and "test" in splits and splits["test"].labels.max(initial=NO_LABEL) != NO_LABEL:
        splits["val"], origins["val"] = splits.pop("test"), origins.pop("test")
        labeling.notes.append("the test photos are used as val, since there is no other")
    splits = {split: found for split, found in splits.items() if len(found)}
    labeling.notes += [*labeling.notes_on_others(), *_notes_on_classes(labeling.classes)]
    labeling.notes += [
        f"{file} may list splits, but its form is not read" for file in labeling.files.unreadable_lists
    ]
    return Layout(
        _form(arrangement, origins, listed is not None),
        labeling.classes,
        splits,
        {split: origins[split] for split in splits},
        [file for file in labeling.known if file >= 0],
        labeling.left_out,
        labeling.notes,
    )


def _notes_on_classes(classes: Sequence[Class]) -> list[str]:
    """Notes on classes that hold anything, such as Caltech's `BACKGROUND_Google` and `257.clutter`."""
    clutter = [each.wnid for each in classes if _CLUTTER_CLASS.fullmatch(each.wnid)]
    notes = [f"the class {wnid} holds all kinds of things: remove it unless it is meant" for wnid in clutter]
    return [*notes, "there is only one class"] if len(classes) == 1 else notes


def _form(arrangement: Arrangement, origins: Mapping[str, SplitOrigin], has_lists: bool) -> str:
    in_folders = any(origin.labels == "folders" for origin in origins.values())
    if arrangement.inside_classes and in_folders:
        return "class folders with folders of the splits inside"
    if arrangement.has_splits:
        return "train and val folders" if in_folders else "photos in split folders"
    return f"{'class folders' if in_folders else 'photos'}{' with lists of splits' if has_lists else ''}"


def _refuse_unused_columns(labeling: PhotoLabels, options: SourceOptions) -> None:
    """CommandError if columns are chosen that label nothing."""
    origins = labeling.origins.values()
    chosen = [("--image-column", options.image_column, {each.image_column for each in origins})]
    chosen += [("--label-column", options.label_column, {each.label_column for each in origins})]
    for option, column, used in chosen:
        if column and column not in used:
            raise CommandError(
                f"{option} {column}: {labeling.where} holds no parquet or Arrow files, and no label file "
                "with that column is used: name it with --labels FILE, or remove the option"
            )
