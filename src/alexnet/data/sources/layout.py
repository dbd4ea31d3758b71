"""Photos in folders, of any layout: candidate readings by general rules, of which exactly one must fit.

1. `photo_files.survey` counts the photos of each folder; nothing is decoded.
2. `folders.arrange` finds the folders of splits, `_choose_level` the depth of the class folders,
   `MetadataFiles` the text files that may label or list photos.
3. `PhotoLabels` labels the photos, `photo_table.find_lists` finds the splits that files list.

If exactly one reading fits, it is taken, and `Source.origins` describes it. If several fit, or none,
DataError names them and the option that chooses.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, are_custom, is_wnid
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import INNERMOST, LeftOut, Source, SourceOptions, SplitOrigin
from alexnet.data.sources.folders import (
    CLASSES_SHOWN,
    ArrangedPhotos,
    Arrangement,
    are_modalities,
    are_parts,
    arrange,
    arranged_photos,
    chosen_folders,
    class_levels,
    containers,
)
from alexnet.data.sources.label_files import encoding_notes
from alexnet.data.sources.photo_files import (
    RAW_SUFFIXES,
    OpenedSource,
    PhotoIndex,
    PhotoSplit,
    Survey,
    composed,
    find_strays,
    make_split,
)
from alexnet.data.sources.photo_labels import OUT, PhotoLabels
from alexnet.data.sources.photo_table import (
    ListedSplits,
    PhotoTable,
    find_lists,
    is_label_header,
    named_columns,
    one_to_one,
)
from alexnet.data.sources.split_names import SPLITS, SplitName, is_suspicious
from alexnet.data.sources.text_files import MetadataFiles, chosen_texts
from alexnet.data.sources.tree import Int64s, Tree
from alexnet.data.sources.voc import add_boxes
from alexnet.errors import CommandError, DataError
from alexnet.text import counted, first_few

_CLUTTER_CLASS = re.compile(r"(\d+\.)?(background|clutter)(_google)?", re.IGNORECASE)
_MOST = 0.9
"""Fraction of the photos that a file must label to decide where folders leave doubt."""
_RELEVANT = 0.1
"""Fraction of the photos that a file must label to be compared with the folders."""


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

    def source(
        self, tree: Tree, splits: Mapping[str, PhotoSplit], strays: Sequence[str], known: Sequence[int]
    ) -> Source:
        """The source of the splits, which may have boxes by now; `known` files of the tree are no strays."""
        return Source(
            form=self.form,
            path=tree.path,
            classes=self.classes,
            splits=dict(splits),
            strays=[*strays, *find_strays(tree, splits.values(), [*self.known, *known])],
            left_out=self.left_out,
            origins=self.origins,
            notes=self.notes,
        )


def read(opened: OpenedSource) -> Source | None:
    """The source of the photos where the layout begins; None if there are none."""
    tree, survey, base = opened.tree, opened.survey, opened.base
    if base not in survey.total:
        return None
    layout = read_layout(survey, base, opened.options)
    splits, annotations, strays = add_boxes(tree, layout.splits, layout.classes)
    source = layout.source(tree, splits, strays, annotations)
    return replace(source, settings=PrepareSettings(exif=are_custom(layout.classes)))


def read_layout(survey: Survey, base: str, options: SourceOptions) -> Layout:
    """The one reading of the photos below `base` that fits; DataError if none or several do."""
    arrangement = arrange(survey, base, options)
    photos = arranged_photos(survey, arrangement)
    files = MetadataFiles(
        survey, base, arrangement.roots.values(), [place.folder for place in arrangement.places]
    )
    labeling = PhotoLabels(photos, files, options)
    labeling.notes += arrangement.notes
    if options.labels_from_names:
        labeling.by_names()
    else:
        found = _choose_level(photos, files, options)
        labeling.notes += found.notes
        if found.level:
            labeling.by_folders(found.level)
        else:
            labeling.by_files()
    _refuse_unused_columns(labeling, options)
    groups = labeling.groups()
    used = {file for origin in labeling.origins.values() for file in (*origin.files, origin.class_list)}
    used |= set(labeling.group_files)
    labeling.notes += [
        f"{text.file} is not used: its column {image} names no photo of the source, or several by one name, "
        f"so its column {label} labels none"
        for text in files.texts
        for image, label in [named_columns(text)]
        if image and label and text.file not in used
        if not photos.tables(np.arange(len(photos.files)), [text], options)
    ]
    by_folders = bool(chosen_folders(survey, base, options))
    return _assemble(labeling, None if by_folders else _lists(photos, files, options), base, groups)


def _lists(
    photos: ArrangedPhotos, files: MetadataFiles, options: SourceOptions
) -> tuple[Int64s, ListedSplits] | None:
    """The photos whose splits files list: all, or those of `train` without a `val` folder; and the splits."""
    arrangement = photos.arrangement
    by_file = {text.file: text for text in (*files.texts, *chosen_texts(photos.survey, options))}
    texts = list(by_file.values())
    chosen = options.splits
    if "val" in arrangement.splits or "train" not in arrangement.splits:
        if chosen:
            listed = ",".join(f"{split}={file}" for split, file in chosen.items())
            raise CommandError(
                f"--splits {listed}: {photos.survey.tree.path} has folders of the splits already: remove the "
                "option, or name folders"
            )
        return None
    if not texts and not chosen:
        return None
    numbers = photos.of("train")
    index = PhotoIndex(photos.paths(numbers))
    tables = photos.tables(numbers, texts, options)
    lists = find_lists(tables, texts, index, chosen, str(photos.survey.tree.path))
    if lists is None or ("test" in arrangement.splits and "val" not in lists.photos):
        return None
    return numbers, lists


def _assemble(
    labeling: PhotoLabels, listed: tuple[Int64s, ListedSplits] | None, base: str, groups: list[str]
) -> Layout:
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
            labeling.left_out.append(LeftOut(counted(left, "photo"), "in no list of a split"))
            inside = np.concatenate(list(found.values()))
            labeling.known += photos.files[np.setdiff1d(whole, inside)].tolist()
        labeling.notes += encoding_notes(lists.tables)
        labeling.known += [labeling.file_number(f) for files in lists.files.values() for f in files]
    splits: dict[str, PhotoSplit] = {}
    for split in SPLITS:
        if split not in numbers:
            continue
        own = labeling.labels[numbers[split]]
        is_unlabeled = split == "test" and not (own >= 0).any()
        missing = 0 if is_unlabeled else int((own == NO_LABEL).sum())
        if missing:
            reason = f"no label in {' and '.join(origins[split].files)}"
            labeling.left_out.append(LeftOut(f"{counted(missing, 'photo')} of {split}", reason))
        is_kept = (own != OUT) & ((own != NO_LABEL) | is_unlabeled)
        kept = numbers[split][is_kept]
        labeling.known += photos.files[numbers[split][~is_kept]].tolist()
        splits[split] = make_split(
            photos.survey.tree,
            photos.files[kept].tolist(),
            labeling.labels[kept],
            arrangement.roots.get(split, base),
            labeling.classes,
            [groups[number] for number in kept.tolist()] if groups else None,
        )
    if "val" not in splits and "test" in splits and (splits["test"].labels >= 0).any():
        splits["val"] = splits.pop("test")
        origins["val"] = replace(origins.pop("test"), published_as="test")
    splits = {split: found for split, found in splits.items() if len(found)}
    by_folders = any(origin.labels == "folders" for origin in origins.values())
    labeling.notes += [*labeling.notes_on_others(), *_notes_on_classes(labeling.classes, by_folders)]
    raw = photos.survey.tree.listing.ending_in(*RAW_SUFFIXES)
    if raw:
        labeling.notes.append(
            f"{counted(len(raw), 'raw photo')} such as {photos.survey.tree.listing.path(raw[0])} cannot be "
            "read: convert them to JPEG if they are not there as such"
        )
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


def _notes_on_classes(classes: Sequence[Class], by_folders: bool) -> list[str]:
    """Notes on background classes, such as Caltech's `BACKGROUND_Google` and `257.clutter`, on names, and on
    folders that are classes though their names are suspicious.
    """
    clutter = [each.wnid for each in classes if _CLUTTER_CLASS.fullmatch(each.wnid)]
    notes = [
        f"the class {wnid} is a background class: remove it unless you want to train on it"
        for wnid in clutter
    ]
    alike: dict[str, list[str]] = {}
    for each in classes:
        alike.setdefault(composed(each.wnid).casefold().strip(), []).append(each.wnid)
    notes += [
        f"the classes {' and '.join(map(repr, names))} differ only in case, blanks or accents"
        for names in alike.values()
        if len(names) > 1
    ]
    suspicious = [each.wnid for each in classes if by_folders and is_suspicious(each.wnid)]
    if 0 < len(suspicious) < len(classes):
        one = len(suspicious) == 1
        notes.append(
            f"the {'class' if one else 'classes'} {first_few(suspicious, CLASSES_SHOWN)} may be "
            f"{'a folder' if one else 'folders'} of something else: "
            f"--exclude {shlex.quote(','.join(suspicious))} leaves {'it' if one else 'them'} out"
        )
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
            raise CommandError(f"{option} {column}: {labeling.no_such_column()}, or remove the option")


@dataclass(frozen=True)
class _ClassLevel:
    """The depth of the class folders."""

    level: int
    """From 1; 0 if files or nothing label the photos."""
    notes: tuple[str, ...] = ()
    """Files that name the photos too, but are not used."""


def _choose_level(photos: ArrangedPhotos, files: MetadataFiles, options: SourceOptions) -> _ClassLevel:
    """The one depth that fits, or the chosen one; DataError if several fit, or a file tells otherwise."""
    arrangement, where = photos.arrangement, photos.survey.tree.path
    deepest = max(len(place.parts) for place in arrangement.places)
    if options.class_level > deepest or options.class_level < INNERMOST:
        raise CommandError(f"--class-level {options.class_level}: the folders of {where} are {deepest} deep")
    if options.class_level:
        return _ClassLevel(options.class_level)
    found = {split: class_levels(arrangement.of(split)) for split in arrangement.splits}
    first = next((split for split, levels in found.items() if levels), None)
    if first is None:
        return _ClassLevel(0)
    levels, numbers = found[first], photos.of(first)
    names = {level: sorted({name for name in photos.names_at(level) if name}) for level in levels}
    tables = photos.tables(numbers, chosen_texts(photos.survey, options) or files.texts, options)
    labeled = len({photo for table in tables for photo in table.labels}) / len(numbers)
    if options.labels and labeled >= _MOST:
        return _ClassLevel(0)
    highest = names[levels[0]]
    # One folder beside a table of its photos holds photos of several classes, such as CelebA's.
    naming = len({photo for table in tables for photo in table.photos}) / len(numbers)
    if len(levels) == 1 and len(highest) == 1 and not is_wnid(highest[0]) and naming >= _MOST:
        return _ClassLevel(0)
    if len(levels) == 1 and (2 * sum(map(is_wnid, highest)) > len(highest) or options.labels):
        return _ClassLevel(levels[0])
    doubtful = len(levels) > 1 or are_modalities(highest) or are_parts(highest)
    relevant = [each for each in tables if not each.rejected and len(each.labels) >= _RELEVANT * len(numbers)]
    # The table was named for its groups: only a known column of labels tells classes.
    if options.group_column:
        relevant = [each for each in relevant if is_label_header(each.label_column)]
    agreeing = [level for level in levels if relevant and _agree(photos, numbers, relevant, level)]
    if not doubtful and (not relevant or agreeing):
        _refuse_containers(photos, levels[0])
        return _ClassLevel(levels[0], _unused(tables, len(numbers)))
    if len(agreeing) == 1:
        return _ClassLevel(agreeing[0])
    if doubtful and labeled >= _MOST:
        return _ClassLevel(0)
    raise DataError(_several(photos, names, relevant))


def _refuse_containers(photos: ArrangedPhotos, level: int) -> None:
    """DataError for a folder such as `more` beside class folders that may hold classes itself."""
    for split in photos.arrangement.splits:
        places = photos.arrangement.of(split)
        for folder in containers(places, level):
            inside = sorted({p.parts[-1] for p in places if p.folder.startswith(f"{folder}/")})
            first, second = (
                first_few(sorted({n for p in places if (n := p.name_at(each))}), CLASSES_SHOWN)
                for each in (level, INNERMOST)
            )
            raise DataError(
                f"{photos.survey.tree.path}: {folder}/ may be a class, or hold the classes "
                f"{first_few(inside, CLASSES_SHOWN)}: choose --class-level {level} (classes {first}) or "
                f"--class-level {INNERMOST} (the innermost folders: {second})"
            )


def _agree(photos: ArrangedPhotos, numbers: Int64s, tables: Sequence[PhotoTable], level: int) -> bool:
    """Whether all tables put the photos into the same classes as the folders at a level."""
    names = photos.names_at(level)
    for table in tables:
        found = ((text, names[int(photos.places[numbers[photo]])]) for photo, text in table.labels.items())
        pairs = {(text, name) for text, name in found if name is not None}
        if not one_to_one(pairs):
            return False
    return True


def _unused(tables: Sequence[PhotoTable], photos: int) -> tuple[str, ...]:
    """Notes on tables of the photos that may have labels, but in no known column."""
    return tuple(
        f"{table.file} is not used: {table.rejected}"
        for table in tables
        if table.rejected and len(table.photos) >= _MOST * photos
    )


def _several(
    photos: ArrangedPhotos,
    names: Mapping[int, Sequence[str]],
    tables: Sequence[PhotoTable],
) -> str:
    """The readings that fit, with the options that choose them."""
    readings = [
        f"folders {first_few(each, CLASSES_SHOWN)} (--class-level {level})" for level, each in names.items()
    ]
    depths = {len(place.parts) for place in photos.arrangement.places}
    if len(names) > 1 and len(depths - {0}) > 1:
        innermost = sorted({place.parts[-1] for place in photos.arrangement.places if place.parts})
        readings.append(
            f"the innermost folders {first_few(innermost, CLASSES_SHOWN)} (--class-level {INNERMOST})"
        )
    readings += [f"column {table.label_column} of {table.file} (--labels {table.file})" for table in tables]
    where = photos.survey.tree.path
    if len(names) == 1 and len(tables) == 1 and tables[0].labels:
        return (
            f"{where}: the classes may be {' or '.join(readings)}: choose with that option, or with "
            f"--group-column {tables[0].label_column} if the column names groups, such as persons"
        )
    place = next(place for place in photos.arrangement.places if place.parts)
    only = where / place.part_folders[0]
    return (
        f"{where}: the classes may be {' or '.join(readings)}: choose with that option, "
        f"{_as_splits(photos)}or name a part of the photos, such as {only}"
    )


def _as_splits(photos: ArrangedPhotos) -> str:
    """How to choose that the upper ones of two levels of folders are splits, if they are called so.

    They may be `tr` and `te`, with folders of the same names. Else empty.
    """
    inside: dict[str, set[str]] = {}
    for place in photos.arrangement.places:
        if len(place.parts) < 2:
            return ""
        inside.setdefault(place.part_folders[0], set()).add(place.parts[1])
    if photos.arrangement.has_splits or any(
        names != next(iter(inside.values())) for names in inside.values()
    ):
        return ""
    names = {folder: folder.rpartition("/")[2].lower() for folder in inside}
    found = {each: folder for each in SPLITS for folder, name in names.items() if name.startswith(each[:2])}
    if not found:
        return ""
    listed = [f"{split}={folder}" for split, folder in found.items()]
    if len(found) < len(inside):
        listed = [f"{split}=FOLDER" for split in SPLITS]
    return f"with --splits {shlex.quote(','.join(listed))} if these are splits, "
