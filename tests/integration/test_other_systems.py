"""Prepare, train, evaluate and serve in processes without what Windows and some file systems lack."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import tiny

from alexnet.data.store import Store

WITHOUT = """
import errno, os, signal, sys

for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios"):
    sys.modules[name] = None
for name in ("fork", "getuid", "pread", "pwrite", "sched_getaffinity", "setsid", "sysconf"):
    delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "pthread_sigmask"):
    delattr(signal, name)

def symlink(*anything, **options):
    raise OSError(errno.EINVAL, "a required privilege is not held")

os.symlink = symlink
"""
"""Python imports it at the start of every process, spawned workers too."""


@pytest.fixture
def run_code(tmp_path: Path):
    """Runs Python code in a process of such a system; returns what it prints."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT)
    path = os.pathsep.join(each for each in (str(folder), os.environ.get("PYTHONPATH", "")) if each)

    def run(code: str, *words: object) -> str:
        command = (sys.executable, "-c", code, *map(str, words))
        ended = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


COMMANDS = """
import sys
from alexnet.cli.main import main

tar, store, run, *settings = sys.argv[1:]
assert main(["prepare", tar, store, "--side", "72", "--encoding", "raw", "--workers", "2"]) == 0
train = ["train", "alexnet-one-weird-trick", "--store", store, "--run", run, *settings]
assert main(train) == 0
assert main([*train, "--resume"]) == 0
assert main(["verify", run]) == 0
assert main(["evaluate", run, "--store", store]) == 0
"""


@pytest.mark.slow
def test_a_tar_becomes_an_evaluated_run(tmp_path: Path, run_code) -> None:
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tiny.photos(tmp_path / "photos"), "photos")
    run_code(COMMANDS, archive, tmp_path / "store", tmp_path / "run", *tiny.SETTINGS, "schedule.epochs=1")
    assert (tmp_path / "run" / "evaluation.json").exists()
    assert not any(each.is_symlink() for each in (tmp_path / "run").rglob("*"))
    here = tiny.store(tmp_path / "here")
    for split in ("train", "val"):
        ours, theirs = here.split(split), Store.open(tmp_path / "store", verify=True).split(split)
        assert digests(ours) == digests(theirs)


def digests(split) -> list[tuple[str, str]]:
    records = (split[index] for index in range(len(split)))
    return [(record.key, hashlib.sha256(record.image).hexdigest()) for record in records]


IMPORTS = """
import importlib, pkgutil
import alexnet

names = [each.name for each in pkgutil.walk_packages(alexnet.__path__, "alexnet.")]
for name in names:
    if not name.endswith(("__main__", "_triton")):  # Triton is for GPUs
        importlib.import_module(name)
print(len(names))
"""


def test_every_module_is_imported(run_code) -> None:
    assert int(run_code(IMPORTS)) > 100


SERVE = """
from pathlib import Path
from urllib.request import urlopen
from alexnet.web.app import make_app
from alexnet.web.served_model import open_models
from alexnet.web.server import serving

with serving(make_app(open_models([Path("pretrained")], "cpu"))) as address:
    print(urlopen(f"{address}/api/models").status)
"""


def test_a_model_is_served(run_code) -> None:
    assert run_code(SERVE) == "200\n"


LOCK = """
import sys
from pathlib import Path
from alexnet.errors import Busy
from alexnet.io import exclusive_lock

folder = Path(sys.argv[1])
with exclusive_lock(folder):
    try:
        with exclusive_lock(folder):
            print("both")
    except Busy as error:
        print(error)
with exclusive_lock(folder, wait=True):
    print("free")
"""


def test_a_lock_is_held_once_without_fcntl(tmp_path: Path, run_code) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    output = run_code(LOCK, folder)
    assert output.splitlines() == [f"another process is using {folder}: wait for it, or stop it", "free"]
    assert not list(folder.iterdir())
