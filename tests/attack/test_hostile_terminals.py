"""Terminals, limits of the system and names that a command meets."""

from __future__ import annotations

import csv
import ctypes
import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hostile_photos import encoded

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.text import printable

linux = pytest.mark.skipif(sys.platform != "linux", reason="takes a right from a process as Linux does")
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
        (RuntimeError("cannot open <x>: Too many open files (24)"), "Too many open files: allow more", 1),
        (ImportError("x.so: cannot open it: Too many open files"), "Too many open files: allow more", 1),
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


WITHOUT_FILES = """
import os, sys
from alexnet.cli.main import main
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for each in held[: int(sys.argv[1])]:
    os.close(each)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("free", [0, 1])
def test_too_many_open_files_is_one_line(run: Path, store: Store, free: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    words = ["evaluate", str(run), "--store", str(store.path), "--device", "cpu"]
    command = [sys.executable, "-c", WITHOUT_FILES, str(free), *words]
    done = subprocess.run(command, check=False, capture_output=True, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr == b"alexnet: Too many open files: allow more of them with `ulimit -n 4096`\n"


def as_owner() -> None:
    """Takes the right of root to read what its owner has locked from a child process."""
    drop_capability, override, search = 24, 1, 2
    for capability in (override, search):
        ctypes.CDLL(None).prctl(drop_capability, capability, 0, 0, 0)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Photos of two classes, of which a file or folder cannot be read."""
    changed: list[Path] = []

    def lock(name: str) -> Path:
        for number in range(8):
            path = tmp_path / "photos" / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(64, 64, "PNG"))
        changed.append(tmp_path / "photos" / name)
        changed[-1].chmod(0)
        return tmp_path / "photos"

    yield lock
    for each in changed:
        each.chmod(0o700)


@linux
@pytest.mark.parametrize("name", ["class0/2.png", "class0", "."])
def test_no_store_is_prepared_of_photos_that_cannot_be_read(locked, name: str, tmp_path: Path) -> None:
    folder = locked(name)
    done = alexnet("prepare", folder, tmp_path / "store", "--workers", "1", preexec_fn=as_owner)
    assert done.returncode == 3
    assert done.stderr.endswith(f"{folder / name}: Permission denied\n".encode())
    assert done.stderr.count(b"alexnet: ") == 1
    assert not (tmp_path / "store" / "header.json").exists()


@linux
def test_a_photo_that_cannot_be_read_costs_no_other_prediction(locked, run: Path) -> None:
    folder = locked("class0/2.png")
    words = ("predict", folder, "--model", run, "--device", "cpu", "--json")
    done = alexnet(*words, preexec_fn=as_owner)
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert [each["image"] for each in found if "error" in each] == [str(folder / "class0" / "2.png")]
    assert len(found) == 8
    assert done.stderr.decode() == (
        f"alexnet: 1 of 8 photos could not be read: {folder / 'class0' / '2.png'}\n"
    )


@linux
@pytest.mark.parametrize("name", ["class0", "."])
def test_a_folder_that_cannot_be_listed_is_no_folder_without_photos(locked, run: Path, name: str) -> None:
    folder = locked(name)
    done = alexnet("predict", folder, "--model", run, "--device", "cpu", preexec_fn=as_owner)
    assert done.returncode == 3
    assert done.stdout == b""
    assert f"{folder / name}: Permission denied" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
