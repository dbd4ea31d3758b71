"""Labels for the photos of an arrangement: from class folders, from files, or from the photos' names."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from alexnet.data.classes import (
    NO_LABEL,
    Class,
    check_same_classes,
    classes_from_wnids,
    in_label_order,
    is_wnid,
)
from alexnet.data.sources.base import INNERMOST, Labels, LeftOut, SourceOptions, SplitOrigin
from alexnet.data.sources.devkit import find_devkit
from alexnet.data.sources.folders import (
    CLASSES_SHOWN,
    ArrangedPhotos,
    Place,
    deeper_folders,
    left_out_folders,
)
from alexnet.data.sources.label_files import FORMS, label_photos
from alexnet.data.sources.photo_files import RAW_SUFFIXES, PhotoIndex, class_in_name, is_clutter
from alexnet.data.sources.photo_table import named_columns, read_table
from alexnet.data.sources.split_names import SPLIT_FOLDERS, SplitName, is_neutral, split_in
from alexnet.data.sources.table_file import TABLE_SUFFIXES
from alexnet.data.sources.text_files import MetadataFiles, TextFile, chosen_texts
from alexnet.data.sources.tree import FolderTree, Int64s, join
from alexnet.data.sources.voc import XML_SUFFIX
from alexnet.errors import CommandError, DataError
from alexnet.text import counted, first_few

OUT = -2
"""In place of a label: the photo is left out."""
_NO_PHOTO = (
    XML_SUFFIX,
    *(".cfg", ".csv", ".html", ".ini", ".ipynb", ".js", ".json", ".jsonl", ".m", ".md", ".pdf", ".py", ".r"),
    *(".rst", ".sh", ".toml", ".tsv", ".txt", ".yaml", ".yml"),
)
"""Suffixes of programs, texts and tables."""
_SPLIT_WORDS = {word for words in SPLIT_FOLDERS.values() for word in words}
_NAMES_COMPARED = 1000
"""Photos of a split, at least, whose names are compared with their folders."""
_NO_CLASS_NAMES = re.compile(
    r"^(img|imag|dsc|dscn|dscf|pxl|mvi|vid|gopr|cimg|sam|p|wp|foto|screenshot|screen|scan|whatsapp|signal|"
    r"download|unnamed|frame|burst|crop|n)([\W_]|$)",
    re.IGNORECASE,
)
"""Beginnings of names that cameras and programs give to photos."""
_COLUMNS_NAMED = 20
"""Columns of a file that a message names."""
_MOST = 0.9
"""Fraction of a split's photos whose names must hold a class for `--labels-from-names` to be offered."""
_METADATA_FOLDER = re.compile(r"annotations?|labels?|meta(data)?|lists?|splits?|docs?|xmls?", re.IGNORECASE)


class PhotoLabels:
    """Labels of the photos of an arrangement, by one of three ways, and what was found on the way."""

    def __init__(self, photos: ArrangedPhotos, files: MetadataFiles, options: SourceOptions) -> None:
        self.survey, self.photos, self.files, self.options = photos.survey, photos, files, options
        self.where = str(self.survey.tree.path)
        self.labels: Labels = np.full(len(photos.files), OUT, dtype=np.int32)
        self.classes: list[Class] = []
        self.origins: dict[SplitName, SplitOrigin] = {}
        self.known: list[int] = []
        self.left_out: list[LeftOut] = []
        self._leave_out(photos.arrangement.left_out)
        self.notes: list[str] = []
        self.group_files: tuple[str, ...] = ()
        """The files whose column `--group-column` names the groups."""
        self._others: dict[str, list[str]] = {}
        """What files that label photos name beside them."""

    def by_folders(self, level: int) -> None:
        """Class folders at a level; splits without them are labeled by files, with the same classes."""
        arrangement = self.photos.arrangement
        splits = [split for split in arrangement.splits if _in_folders(arrangement.of(split), level)]
        if not splits:
            raise DataError(self._unlabeled(arrangement.splits[0]))
        if not arrangement.has_splits and not self.options.class_level:
            self._refuse_splits_of_some_classes(level)
        first = splits[0]
        self._refuse_empty_classes(first, level)
        if level == INNERMOST:
            self._note_one_name_for_several(splits)
        self.classes = classes_from_wnids(_folder_names(arrangement.of(first), level))
        label_of = {each.wnid: label for label, each in enumerate(self.classes)}
        for split in arrangement.splits:
            found = _folder_names(arrangement.of(split), level)
            unknown_test = split == "test" and len(found) == 1 and found[0] not in label_of
            if split not in splits or unknown_test:
                self._by_file(split)
                continue
            extra = [name for name in found if name not in label_of]
            if extra:
                what = f"{self.where}: classes of {first} and {split}"
                check_same_classes(self.classes, classes_from_wnids(found), what)
            absent = [name for name in label_of if name not in set(found)]
            if absent:
                shown = first_few(absent, CLASSES_SHOWN)
                self.notes.append(f"{split} has no photo of {counted(len(absent), 'class')}: {shown}")
            names = self.photos.names_at(level)
            labels = np.array([label_of.get(name or "", OUT) for name in names], dtype=np.int32)
            numbers = self.photos.of(split)
            self.labels[numbers] = labels[self.photos.places[numbers]]
            reasons: dict[str, str] = {}
            for place in arrangement.of(split):
                name = place.name_at(level)
                if name is None:
                    reasons[place.folder] = "above the class folders"
                elif name not in label_of:
                    reasons[place.folder] = "not named by a WNID, as the folders beside it are"
            self._leave_out(reasons)
            self.origins[split] = SplitOrigin(arrangement.roots[split], labels="folders", class_level=level)
        if not self.options.class_level:
            self._note_deeper_folders(level)
            self._note_names(first, level)

    def _note_names(self, split: SplitName, level: int) -> None:
        """A note where the photos' names may hold the classes instead: the same words in several folders.

        Those of cameras and programs (`IMG_1.jpg`, `photo1.jpg`) are no classes.
        """
        numbers = self.photos.of(split)[:: max(len(self.photos.of(split)) // _NAMES_COMPARED, 1)]
        at_level = self.photos.names_at(level)
        folders = [at_level[place] for place in self.photos.places[numbers].tolist()]
        names = [class_in_name(path) for path in self.photos.paths(numbers)]
        photos = Counter(names)
        pairs = set(zip(names, folders, strict=True))
        shared = [name for name, count in Counter(name for name, _ in pairs).items() if name and count > 1]
        usual = any(is_neutral(name) or _NO_CLASS_NAMES.search(name) for name in shared)
        if len(shared) > 1 and not usual and sum(map(photos.__getitem__, shared)) >= _MOST * len(names):
            self.notes.append(
                f"the photos' names begin with {_first(sorted(shared))} in several folders: "
                "--labels-from-names makes these the classes"
            )

    def _note_deeper_folders(self, level: int) -> None:
        """A note that photos in folders inside class folders are of these classes."""
        found = deeper_folders(self.photos.arrangement.places, level)
        if not found:
            return
        folders = [folder for each in found.values() for folder in each]
        classes = f"class {next(iter(found))}" if len(found) == 1 else f"classes above them, {_first(found)}"
        self.notes.append(
            f"photos in {_first(folders)} are of the {classes}; --class-level {INNERMOST} makes a class of "
            "each innermost folder"
        )

    def _note_one_name_for_several(self, splits: Sequence[SplitName]) -> None:
        """A note on innermost folders of the same name in different folders: `shoes/red` and `hats/red`."""
        by_name: dict[str, dict[tuple[str, ...], str]] = {}
        for split in splits:
            for place in self.photos.arrangement.of(split):
                if place.parts:
                    by_name.setdefault(place.parts[-1], {}).setdefault(place.parts, place.folder)
        for name, folders in by_name.items():
            if len(folders) > 1:
                self.notes.append(f"the class {name} has the photos of {_first([*folders.values()])}")

    def _refuse_splits_of_some_classes(self, level: int) -> None:
        """DataError for a folder below the classes that has the name of a split, which it would not be."""
        for place in self.photos.arrangement.places:
            for folder, name in list(zip(place.part_folders, place.parts, strict=True))[level:]:
                if name.lower() in _SPLIT_WORDS:
                    raise DataError(
                        f"{self.where}: {folder} has the name of a split, but not all classes have such "
                        "folders: put the photos of every class into folders of the splits, or take all of "
                        f"them for the classes with --class-level {level}"
                    )

    def by_files(self) -> None:
        """Label files for every split; the classes are those of the first split with labels."""
        for split in self.photos.arrangement.splits:
            self._by_file(split)
        if not self.classes:
            raise DataError(self._unlabeled(self.photos.arrangement.splits[0]))

    def by_names(self) -> None:
        """The part of each photo's name before its number."""
        arrangement = self.photos.arrangement
        texts = {split: self._names_of(split) for split in arrangement.splits}
        first = next((split for split, each in texts.items() if any(each)), None)
        if first is None:
            raise DataError(
                f"{self.where}: no photo has a name such as cat.0.jpg: remove --labels-from-names"
            )
        self.classes = classes_from_wnids(in_label_order({text for text in texts[first] if text}))
        label_of = {each.wnid: label for label, each in enumerate(self.classes)}
        for split in arrangement.splits:
            unnamed = sum(text not in label_of for text in texts[split])
            default = OUT
            if split == "test" and unnamed == len(texts[split]):
                default = NO_LABEL
            elif unnamed:
                self.left_out.append(
                    LeftOut(
                        f"{counted(unnamed, 'photo')} of {split}", "no name of a class in the photo's name"
                    )
                )
            self.labels[self.photos.of(split)] = [label_of.get(text, default) for text in texts[split]]
            kind = "none" if default == NO_LABEL else "names"
            self.origins[split] = SplitOrigin(arrangement.roots[split], labels=kind)

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        """Notes that the photos directly in some folders are left out, by folder."""
        for folder in reasons:
            self.known += self.survey.photos[folder]
        self.left_out += left_out_folders(self.survey, reasons)

    def _names_of(self, split: SplitName) -> list[str]:
        return [class_in_name(path) for path in self.photos.paths(self.photos.of(split))]

    def _by_file(self, split: SplitName) -> None:
        """Labels by ILSVRC's devkit or a text file; a `test` without is unlabeled, others are a DataError."""
        arrangement, numbers = self.photos.arrangement, self.photos.of(split)
        root = arrangement.roots[split]
        if split == "val" and self._by_devkit(numbers, root):
            return
        texts = self._texts_for(split)
        named = split if arrangement.has_splits else None
        paths = self.photos.paths(numbers)
        found = label_photos(
            paths, named, texts, self.classes, self.options, self.where, beside=self.files.texts
        )
        if found is None:
            if split != "test":
                raise DataError(self._unlabeled(split))
            self.labels[numbers] = NO_LABEL
            self.origins[split] = SplitOrigin(root, labels="none")
            self._know_list(texts, paths)
            return
        self._refuse_labels_of_others(split, texts, found.origin.files)
        self.classes = found.classes
        self.labels[numbers] = found.labels
        self.origins[split] = replace(found.origin, folder=root)
        self.notes += found.notes
        for file in found.origin.files:
            before = self._others.get(file, found.others)
            self._others[file] = [name for name in found.others if name in set(before)]
        self.known += [self.file_number(file) for file in (*found.origin.files, found.origin.class_list)]

    def _refuse_labels_of_others(
        self, split: SplitName, texts: Sequence[TextFile], files: Sequence[str]
    ) -> None:
        """DataError if a file that labels a split fits the photos of another one, which folders label."""
        for text in texts:
            if text.file not in files or split_in(text.file.rpartition("/")[2]) == split:
                continue
            own = read_table(text, PhotoIndex(self.photos.paths(self.photos.of(split))), self.options)
            for other, origin in self.origins.items():
                index = PhotoIndex(self.photos.paths(self.photos.of(other)))
                table = read_table(text, index, self.options) if origin.labels == "folders" else None
                if own is not None and table is not None and len(table.photos) >= len(own.photos):
                    raise DataError(
                        f"{self.where}: {text.file} may label the photos of {other} or of {split}, which "
                        f"have the same names: write their folders into it, or call it {split}.csv"
                    )

    def _by_devkit(self, numbers: Int64s, root: str) -> bool:
        tree = self.survey.tree
        if not isinstance(tree, FolderTree) or not self.classes:
            return False
        kits = (
            find_devkit(tree.path / folder) for folder in self.files.folders if self._is_above(folder, root)
        )
        kit = next((kit for kit in kits if kit), None)
        if kit is None:
            return False
        names = [path.rpartition("/")[2] for path in self.photos.paths(numbers)]
        self.labels[numbers] = kit.labels(names, [each.wnid for each in self.classes])
        relative = kit.path.relative_to(tree.path).as_posix()
        folder, _, name = relative.rpartition("/")
        archive = tree.listing.find(folder, name)
        self.known += [archive] if archive is not None else list(tree.listing.below(relative))
        self.origins["val"] = SplitOrigin(root, labels="devkit", files=(relative,))
        return True

    @staticmethod
    def _is_above(folder: str, root: str) -> bool:
        return not folder or root == folder or root.startswith(folder + "/")

    def _texts_for(self, split: SplitName) -> list[TextFile]:
        """The files that may label a split: those about it, unless they have labeled other photos."""
        texts = self._texts_about(split)
        if self.options.labels or not self.photos.arrangement.has_splits:
            return texts
        photos = len(self.photos.of(split))
        return [text for text in texts if len(self._others.get(text.file, range(photos))) >= photos]

    def _texts_about(self, split: SplitName) -> list[TextFile]:
        """The files that are not named for another split, or in its folder."""
        if self.options.labels:
            return chosen_texts(self.survey, self.options)
        arrangement = self.photos.arrangement
        if not arrangement.has_splits:
            return self.files.texts
        others = [
            root
            for each, root in arrangement.roots.items()
            if each != split and not self._is_above(root, arrangement.roots[split])
        ]
        return [
            text
            for text in self.files.texts
            if split_in(text.file.rpartition("/")[2]) in (None, split)
            and not any(text.file.startswith(root + "/") for root in others if root)
        ]

    def groups(self) -> list[str]:
        """(N,) what the column of `--group-column` has for each photo; empty without the option.

        CommandError if no file that names photos has that column, or it names the photos or nothing;
        DataError for two groups of one photo.
        """
        if not self.options.group_column:
            return []
        found, files, empty = [""] * len(self.photos.files), dict[str, None](), list[str]()
        option = f"--group-column {self.options.group_column}"
        for split in self.photos.arrangement.splits:
            numbers = self.photos.of(split)
            index = PhotoIndex(self.photos.paths(numbers))
            for text in self._texts_about(split):
                table = read_table(text, index, self.options)
                if table is None or not table.group_column:
                    continue
                if table.group_column == table.image_column:
                    raise CommandError(
                        f"{option}: this column of {text.file} names the photos: choose one that names groups"
                    )
                if not table.groups:
                    empty.append(text.file)
                    continue
                files[text.file] = None
                two = list(table.two_groups)
                for photo, group in table.groups.items():
                    before, found[numbers[photo]] = found[numbers[photo]], group
                    two += [f"{index.path(photo)} ({before}, {group})"] if before not in ("", group) else []
                if two:
                    raise DataError(
                        f"{self.where}: column {self.options.group_column} of {text.file} has two groups for "
                        f"{counted(len(two), 'photo')}: {first_few(two, CLASSES_SHOWN)}: keep one for each"
                    )
        if not files and empty:
            raise CommandError(
                f"{option}: this column of {empty[0]} is empty: fill it in, or name another one"
            )
        if not files:
            raise CommandError(f"{option}: {self.no_such_column()}")
        self.known += map(self.file_number, files)
        self.group_files = tuple(files)
        return found

    def no_such_column(self) -> str:
        """That no file which names photos has a chosen column, and the columns that there are."""
        paths = self.photos.paths(np.arange(len(self.photos.files)))
        index = PhotoIndex(paths)
        texts = chosen_texts(self.survey, self.options) or self.files.texts
        tables = [table for text in texts if (table := read_table(text, index, self.options)) is not None]
        columns = [f"{table.file} has {first_few(table.columns, _COLUMNS_NAMED)}" for table in tables]
        if not columns:
            return (
                f"{self.where} holds no parquet or Arrow files, and no text file that names its photos, or "
                "it has several by one name: write their folders into it, or name another file with --labels "
                "FILE"
            )
        return f"{'; '.join(columns)}: name one of these columns, or another file with --labels FILE"

    def _know_list(self, texts: Sequence[TextFile], paths: Sequence[str]) -> None:
        """A list of unlabeled photos is no stray."""
        index = PhotoIndex(paths)
        for text in texts:
            table = read_table(text, index, self.options)
            if table is not None and table.split == "test":
                self.known.append(self.file_number(text.file))

    def notes_on_others(self) -> list[str]:
        """Notes on files that name photos which are not there."""
        return [
            f"{file} also lists {counted(len(names), 'photo')} that the source does not have, such as "
            f"{names[0]!r}"
            for file, names in self._others.items()
            if names
        ]

    def file_number(self, file: str) -> int:
        """The number of a file in the listing; -1 for one outside the source."""
        folder, _, name = file.rpartition("/")
        found = self.survey.tree.listing.find(folder, name)
        return -1 if found is None else found

    def _unlabeled(self, split: SplitName) -> str:
        """Why the photos of a split have no labels, and what to do."""
        arrangement, numbers = self.photos.arrangement, self.photos.of(split)
        root = arrangement.roots[split]
        if self.options.labels:
            return f"{self.where}: --labels {self.options.labels} labels no photos of {root or split}"
        where = f"{root}/ holds " if arrangement.has_splits and root else ""
        found = (
            f"{self.where}: {where}{counted(len(numbers), 'photo')} outside any class folder, without labels"
        )
        paths = self.photos.paths(numbers)
        index = PhotoIndex(paths)
        reasons = [reason for text in self._texts_for(split) if (reason := self._why_not(text, index))]
        reasons += [
            f"{file} is of a form that is not read{': save it as CSV' if '.xls' in file.lower() else ''}"
            for file in self.files.unreadable_lists
        ]
        for file in self.files.no_text:
            is_table = file.lower().endswith(TABLE_SUFFIXES)
            wanted = "a complete table of texts" if is_table else "UTF-8, UTF-16 or Latin-1 text"
            reasons.append(f"{file} is not {wanted}")
        folders = "the photos of each class into a folder of its own, or "
        advice = f"put {'' if arrangement.has_splits else folders}{FORMS} beside them"
        counts = Counter(filter(None, map(class_in_name, paths)))
        if len(counts) > 1 and min(counts.values()) > 1 and sum(counts.values()) >= _MOST * len(paths):
            advice += f", or use --labels-from-names (classes {first_few(sorted(counts), CLASSES_SHOWN)})"
        return f"{'; '.join([found, *reasons[:2]])}{'; or' if reasons else ':'} {advice}"

    def _why_not(self, text: TextFile, index: PhotoIndex) -> str:
        """Why a file does not label these photos, or empty if it was never meant to."""
        table = read_table(text, index, self.options)
        image, label = named_columns(text)
        if table is not None and table.rejected:
            return f"{text.file}: {table.rejected}"
        if table is not None and table.labels:
            return f"{text.file} labels only {len(table.labels):,} of them"
        if table is None and image and label:
            return f"{text.file} has columns {image} and {label}, but names none of them"
        return ""

    def _refuse_empty_classes(self, split: SplitName, level: int) -> None:
        """DataError for a folder beside class folders that has files, but no photos.

        Programs, texts and tables are no photos in another form: a folder of these is left out, unless its
        name is a WNID.
        """
        tree, arrangement = self.survey.tree, self.photos.arrangement
        names = [name for place in arrangement.of(split) if (name := place.name_at(level))]
        names_needed = is_wnid if 2 * sum(map(is_wnid, names)) > len(names) else bool
        folders = [folder for place in arrangement.of(split) if (folder := place.folder_at(level))]
        for parent in dict.fromkeys(folder.rpartition("/")[0] for folder in folders):
            for name in tree.listing.subfolders(parent):
                folder = join(parent, name)
                if folder in self.survey.total or is_clutter(name) or not names_needed(name):
                    continue
                files = [tree.listing.name(file) for file in tree.listing.below(folder)]
                no_photo = XML_SUFFIX if is_wnid(name) else _NO_PHOTO
                files = [
                    each for each in files if not is_clutter(each) and not each.lower().endswith(no_photo)
                ]
                if files and not _METADATA_FOLDER.fullmatch(name):
                    found = f"{folder} holds no photo ({counted(len(files), 'file')} such as {files[0]})"
                    raw = files[0].lower().endswith(RAW_SUFFIXES)
                    convert = "convert raw photos to JPEG, " if raw else ""
                    raise DataError(
                        f"{self.where}: {found}, but the folders beside it are class folders: {convert}leave "
                        f"it out with --exclude {shlex.quote(name)}, or pass the path of the folder you mean"
                    )


def _in_folders(places: Sequence[Place], level: int) -> bool:
    """Whether most photos of some places are in folders at a level."""
    inside = sum(place.photos for place in places if place.name_at(level) is not None)
    return 2 * inside > sum(place.photos for place in places)


def _first(names: Iterable[str]) -> str:
    return first_few(list(names), CLASSES_SHOWN)


def _folder_names(places: Sequence[Place], level: int) -> list[str]:
    """The class folders in label order. If most are named by WNIDs, the others are not classes."""
    names = {name for place in places if (name := place.name_at(level)) is not None}
    wnids = set(filter(is_wnid, names))
    return in_label_order(wnids if 2 * len(wnids) > len(names) else names)
