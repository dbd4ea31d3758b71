"""Terminals, limits of the system and names that a command meets."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hostile_photos import encoded

from alexnet.cli.main import main
from alexnet.text import printable

ESCAPE = "\x1b[31m"
NAMES = (
    f"{ESCAPE}red",
    "line\nbreak",
    "tab\tand\rreturn",
    "bytes\udcff\udcfe",
    "\u202ereversed",
    "ünïcode 名前 👩‍🔬",
)
"""Of files: control characters, line breaks, bytes that are not UTF-8, another writing direction."""


def alexnet(*words: object, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "alexnet", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, **options)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Makes `alexnet recipes` run a function of the test."""

    def replace(function) -> None:
        monkeypatch.setitem(sys.modules, "alexnet.cli.recipes", SimpleNamespace(command=function))

    return replace


@pytest.fixture
def named_photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.png").write_bytes(encoded(64, 64, "PNG"))
    (folder / f"{ESCAPE}broken.png").write_bytes(b"no photo")
    return folder


def test_what_is_printable_is_unchanged() -> None:
    for text in ("plain", "ünïcode 名前 👩‍🔬", "non-breaking\xa0space", ""):
        assert printable(text) == text
    assert printable(f"{ESCAPE}a\n\r\t\x00\u2028\u202e\x9b") == r"\x1b[31ma\n\r\t\x00\u2028\u202e\x9b"
    assert printable("\udcff\ud800") == r"\xff\ud800"


def test_names_are_escaped_and_no_prediction_is_lost(
    run: Path, named_photos: Path, tmp_path: Path, capfd
) -> None:
    words = ["predict", str(named_photos), "--model", str(run), "--device", "cpu"]
    done = alexnet(*words, env={**os.environ, "PYTHONIOENCODING": "ascii:strict"})
    assert done.returncode == 3
    assert done.stdout.count(b".png\n") == len(NAMES) + 1
    assert done.stdout.count(b" %  class") == 3 * len(NAMES)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.count(b"\n") == 2  # the progress and the unreadable photo
    assert b"Traceback" not in done.stderr
    capfd.readouterr()
    assert main([*words, "--json"]) == 3
    assert len(json.loads(capfd.readouterr().out)) == len(NAMES) + 1
    assert main([*words, "--csv", str(tmp_path / "table.csv")]) == 3
    with (tmp_path / "table.csv").open(newline="") as table:
        assert len(list(csv.DictReader(table))) == len(NAMES) + 1


def test_class_names_are_escaped_in_tables(run: Path, store, tmp_path: Path, capfd) -> None:
    photos = tmp_path / "photos"
    for split in ("train", "val"):
        for name in NAMES:
            (photos / split / name).mkdir(parents=True)
            for number in range(2):
                pixels = torch.randint(256, (64, 64, 3), dtype=torch.uint8).numpy()
                from PIL import Image

                Image.fromarray(pixels).save(photos / split / name / f"{number}.png")
    made = tmp_path / "store"
    assert main(["inspect", str(photos), "--per-class"]) == 0
    assert main(["prepare", str(photos), str(made), "--side", "64"]) == 0
    assert main(["inspect", str(made)]) == 0
    assert main(["predict", str(photos / "val" / NAMES[0]), "--model", str(run), "--device", "cpu"]) == 0
    shown = "".join(capfd.readouterr())
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"line\nbreak" in shown


def test_an_error_with_a_hostile_name_is_one_line(capfd) -> None:
    assert main(["inspect", f"no\n{ESCAPE}such"]) == 2
    shown = capfd.readouterr().err
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize("words", [["recipes"], ["--version"], ["--help"]])
def test_a_full_output_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "alexnet", *words]
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "alexnet: cannot write the output (No space left on device): free some space\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_nothing(closed: str) -> None:
    command = f"'{sys.executable}' -m alexnet recipes {closed}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_error_output_leaves_the_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "alexnet", "recipes", "no-such"]
        assert subprocess.run(command, check=False, stderr=full).returncode == 2


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "photo.jpg"),
            "cannot use photo.jpg (Permission",
            3,
        ),
        (OSError(errno.EMFILE, "Too many open files", "x"), "Too many open files: allow more of them", 1),
        (OSError(errno.ENOSPC, "No space left on device", "out"), "cannot write out (No space", 1),
        (OSError(errno.ELOOP, "Too many levels", "a\nb"), r"cannot use a\nb (Too many levels)", 3),
        (OSError(errno.EIO, "Input/output error"), "cannot write the output (Input/output error)", 1),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "cannot read or write (reset)", 1),
        (MemoryError(), "not enough memory", 1),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory", 1),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory", 1),
    ],
    ids=repr,
)
def test_what_the_system_refuses_is_one_line(verb, capfd, error: Exception, line: str, code: int) -> None:
    def command() -> None:
        raise error

    verb(command)
    assert main(["recipes"]) == code
    shown = capfd.readouterr().err
    assert shown.startswith(f"alexnet: {line}")
    assert shown.count("\n") == 1


def test_too_many_open_files_is_one_line(run: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))

    done = alexnet("compare", run, preexec_fn=limit)
    assert b"Traceback" not in done.stderr
