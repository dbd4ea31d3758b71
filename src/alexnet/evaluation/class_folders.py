"""Sorting photos into a folder for each predicted class, as copies or links; the originals stay as they
are."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from alexnet.data.classes import Class
from alexnet.errors import CommandError
from alexnet.io import writing

NOT_SURE = "not-sure"
"""The folder of photos without a prediction."""
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f/\\:*?"<>|]|^\.|[. ]$')
"""What names of folders cannot have on some system, or what hides them."""
_NAME_CHARACTERS = 100


class ClassFolders:
    """Folders named after classes, which are made when their first photo is added.

    Nothing is ever overwritten: of photos with one name, the later ones get a number.
    """

    def __init__(self, folder: Path, classes: Sequence[Class], link: bool = False) -> None:
        """CommandError unless `folder` is new or empty; with `link`, photos are linked instead of copied."""
        if folder.is_file():
            raise CommandError(f"{folder} is a file: choose a new folder")
        if folder.is_dir() and any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty: choose a new folder")
        self.folder, self._link = folder, link
        self._names = _folder_names(classes)
        self.photos: Counter[str] = Counter()
        """Numbers of photos by the names of the folders."""

    def add(self, photo: Path, wnid: str | None) -> Path:
        """The copy or link of the photo in the folder of a class, or in that of photos without a prediction.

        CannotWrite if the disk is full or not writable.
        """
        name = NOT_SURE if wnid is None else self._names[wnid]
        for number in count(1):
            numbered = photo.name if number == 1 else f"{photo.stem}-{number}{photo.suffix}"
            target = self.folder / name / numbered
            if target.exists() or target.is_symlink():
                continue
            with writing(target):
                self._create(photo, target)
            self.photos[name] += 1
            return target
        raise AssertionError("there is always another number")

    def _create(self, photo: Path, target: Path) -> None:
        if self._link:
            target.symlink_to(photo.resolve())
            return
        with photo.open("rb") as original, target.open("xb") as copy:
            try:
                shutil.copyfileobj(original, copy)
            except OSError:
                target.unlink()
                raise
        shutil.copystat(photo, target)


def _folder_names(classes: Sequence[Class]) -> dict[str, str]:
    """The name of each class's folder by WNID; all differ, also where case does not count."""
    used, names = {NOT_SURE}, dict[str, str]()
    for each in classes:
        plain = _NOT_IN_NAMES.sub("_", each.name)[:_NAME_CHARACTERS] or "_"
        name = next(
            name
            for number in count(1)
            if (name := plain if number == 1 else f"{plain}-{number}").casefold() not in used
        )
        used.add(name.casefold())
        names[each.wnid] = name
    return names
