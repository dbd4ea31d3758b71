from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.data.classes import Class
from alexnet.errors import CommandError
from alexnet.evaluation.class_folders import NOT_SURE, ClassFolders
from alexnet.io import CannotWrite

CATS, DOGS = Class("cats", "cats"), Class("n01", "dogs")


def photo(path: Path, contents: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents)
    return path


def test_photos_of_one_name_are_all_kept(tmp_path: Path) -> None:
    folders = ClassFolders(tmp_path / "out", [CATS, DOGS])
    photos = [photo(tmp_path / place / "a.jpg", place) for place in ("one", "two", "three")]
    photos.append(photo(tmp_path / "a-2.jpg", "a name that is taken"))
    placed = [folders.add(each, "n01") for each in photos]
    assert [each.relative_to(tmp_path / "out").as_posix() for each in placed] == [
        "dogs/a.jpg",
        "dogs/a-2.jpg",
        "dogs/a-3.jpg",
        "dogs/a-2-2.jpg",
    ]
    assert [each.read_text() for each in placed] == [each.read_text() for each in photos]
    assert folders.photos == {"dogs": 4}
    assert not (tmp_path / "out" / "cats").exists()


def test_copies_are_independent_of_their_originals_and_links_are_not(tmp_path: Path) -> None:
    original = photo(tmp_path / "a.jpg", "before")
    copy = ClassFolders(tmp_path / "copies", [CATS]).add(original, "cats")
    link = ClassFolders(tmp_path / "links", [CATS], link=True).add(original, "cats")
    original.write_text("after")
    assert (copy.is_symlink(), copy.read_text()) == (False, "before")
    assert (link.is_symlink(), link.read_text()) == (True, "after")


def test_links_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "a.jpg", "photo")
    monkeypatch.chdir(tmp_path)
    link = ClassFolders(Path("deep/out"), [CATS], link=True).add(Path("a.jpg"), "cats")
    monkeypatch.chdir("/")
    assert (tmp_path / link).read_text() == "photo"


def test_photos_without_a_prediction_have_a_folder_that_no_class_has(tmp_path: Path) -> None:
    folders = ClassFolders(tmp_path / "out", [Class("x", "Not-Sure")])
    a, b = (photo(tmp_path / name, name) for name in ("a.jpg", "b.jpg"))
    assert folders.add(a, None).parent.name == NOT_SURE
    assert folders.add(b, "x").parent.name == "Not-Sure-2"


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["fruit/apple", "fruit_apple"], ["fruit_apple", "fruit_apple-2"]),
        (["Cats", "cats"], ["Cats", "cats-2"]),
        (["..", ".git"], ["__", "_git"]),
        (["tench, Tinca tinca"], ["tench, Tinca tinca"]),
    ],
)
def test_any_class_name_becomes_one_folder_of_its_own(tmp_path: Path, names, folders) -> None:
    classes = [Class(f"n{place}", name) for place, name in enumerate(names)]
    sorted_into = ClassFolders(tmp_path / "out", classes)
    original = photo(tmp_path / "a.jpg", "photo")
    placed = [sorted_into.add(original, each.wnid) for each in classes]
    assert [each.parent.relative_to(tmp_path / "out").as_posix() for each in placed] == folders


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "out" / "a.jpg", "photo")
    with pytest.raises(CommandError, match=r"out is not empty: choose a new folder"):
        ClassFolders(tmp_path / "out", [CATS])
    with pytest.raises(CommandError, match=r"a.jpg is a file: choose a new folder"):
        ClassFolders(tmp_path / "out" / "a.jpg", [CATS])


def test_a_photo_that_cannot_be_copied_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(original, copy) -> None:
        copy.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    folders = ClassFolders(tmp_path / "out", [CATS])
    with pytest.raises(CannotWrite, match="No space left on device"):
        folders.add(photo(tmp_path / "a.jpg", "photo"), "cats")
    assert not any((tmp_path / "out" / "cats").iterdir())
