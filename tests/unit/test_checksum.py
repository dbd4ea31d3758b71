"""Checksums within small files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from alexnet.checksum import Damaged, has_checksum, known_sha256, with_checksum, without_checksum
from alexnet.io import file_sha256

VALUES = {"count": 3, "means": [0.1, 2.5e-7, -0.0], "names": {"b": "ä", "a": None}, "tuple": [1, 2]}


def read_back(values: object) -> object:
    return without_checksum(json.loads(json.dumps(values, indent=2)), Path("file.json"))


def test_what_was_written_is_read_back_without_its_checksum() -> None:
    sealed = with_checksum({**VALUES, "tuple": (1, 2)})
    assert list(sealed)[-1] == "checksum"
    assert read_back(sealed) == VALUES
    assert read_back([sealed, sealed]) == [VALUES, VALUES]
    assert with_checksum(sealed) == sealed


@pytest.mark.parametrize(
    "change",
    [
        {"count": 4},
        {"means": [0.1, 2.5e-7, 0.0]},
        {"names": {"a": None, "b": "ä"}},  # in another order
        {"new": 1},
        {"checksum": "0" * 16},
        {"checksum": None},
    ],
)
def test_a_change_is_noticed(change: dict[str, object]) -> None:
    sealed = with_checksum(VALUES) | change
    with pytest.raises(Damaged, match=r"file\.json is damaged.*: restore it, or remove its entry"):
        read_back(sealed)
    with pytest.raises(Damaged):
        read_back([with_checksum(VALUES), sealed])


def test_files_without_checksums_are_read() -> None:
    assert read_back(VALUES) == VALUES
    assert read_back([1, "two"]) == [1, "two"]
    assert has_checksum(with_checksum(VALUES)) and has_checksum([with_checksum(VALUES)])
    assert not any(map(has_checksum, (VALUES, [], [with_checksum(VALUES), VALUES], 3)))


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, hashed = tmp_path / "file", []
    monkeypatch.setattr("alexnet.checksum.file_sha256", lambda path: hashed.append(path) or file_sha256(path))
    file.write_bytes(b"one")
    assert known_sha256(file) == known_sha256(file) == file_sha256(file)
    assert len(hashed) == 1
    file.write_bytes(b"two")
    os.utime(file, (1, 1))
    assert known_sha256(file) == file_sha256(file)
