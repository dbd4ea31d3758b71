"""Errors are also Python's own exceptions that say the same, with a one-line message in each case."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import tiny

import alexnet
from alexnet.errors import (
    AlexNetError,
    AlreadyExists,
    CommandError,
    DataError,
    MissingPackage,
    NotFound,
    WorkError,
)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (CommandError, ValueError, 2),
        (DataError, ValueError, 3),
        (WorkError, RuntimeError, 1),
        (NotFound, FileNotFoundError, 2),
        (AlreadyExists, FileExistsError, 2),
        (MissingPackage, ImportError, 2),
    ],
)
def test_an_error_is_also_that_of_python(error: type[AlexNetError], kind: type, code: int) -> None:
    made = error("no store at x", "make it")
    assert isinstance(made, kind)
    assert made.exit_code == code
    assert str(made) == "no store at x: make it" == str(pickle.loads(pickle.dumps(made)))


def test_what_is_missing_is_a_file_not_found_error(tmp_path: Path) -> None:
    for attempt in (alexnet.load, alexnet.Store.open, lambda path: alexnet.prepare(path, tmp_path / "store")):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            attempt(tmp_path / "nowhere")


def test_a_wrong_setting_is_a_value_error_and_a_taken_directory_a_file_exists_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="epochs"):
        alexnet.create_model(tiny.RECIPE, 3, "epochs=many")
    photos = tiny.photos(tmp_path / "photos")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="not a store"):
        alexnet.prepare(photos, tmp_path / "taken", side=72, workers=1)
