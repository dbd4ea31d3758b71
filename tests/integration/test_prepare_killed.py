"""The real command, killed at any moment: no finished work is lost, and the store is the same."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from alexnet.data.inspect import describe_overview, overview
from alexnet.data.sources import open_source

IMAGES = {"train": 2400, "val": 300}
"""Three shards and one."""
RESOURCE_LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
MAIN = "import sys; from alexnet.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of small noisy photos in folders for two classes."""
    path = tmp_path_factory.mktemp("photos") / "photos.tar"
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for split, count in IMAGES.items():
            for number in range(count):
                pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                data = simplejpeg.encode_jpeg(pixels, quality=90)
                member = tarfile.TarInfo(f"{split}/{'cat' if number % 2 else 'dog'}/{number:05}.jpg")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def start(photos: Path, store: Path, *more: str) -> subprocess.Popen[str]:
    """`alexnet prepare` in a process group of its own."""
    words = [sys.executable, "-m", "alexnet", "prepare", str(photos), str(store), "--side", "32", *more]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(photos: Path, store: Path) -> str:
    command = start(photos, store, "--workers", "2")
    output, errors = command.communicate()
    assert command.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def undisturbed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    assert "2,400 train, 300 val images of 2 classes, side 32" in finish(photos, store)
    return contents(store)


def contents(store: Path) -> dict[str, bytes]:
    files = [path for path in store.rglob("*") if path.is_file()]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


def wait_until(ready: Callable[[], bool], command: subprocess.Popen[str]) -> None:
    while not ready() and command.poll() is None:
        time.sleep(0.001)


def group_lives(command: subprocess.Popen[str]) -> bool:
    """Whether any process of the command's group is still there."""
    try:
        os.killpg(command.pid, 0)
    except ProcessLookupError:
        return False
    return True


def exists(pattern: str) -> Callable[[Path], bool]:
    return lambda store: any(store.glob(pattern))


MOMENTS = {
    "folder made": exists("preparing.json*"),
    "first shard begun": exists("*.arrow*.part"),
    "first shard written": exists("*.arrow"),
    "first shard done": exists("notes/*.json"),
    "header written": exists("header.json"),
}


@pytest.mark.slow
def test_killed_at_every_stage_the_store_comes_out_the_same(
    photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for moment in MOMENTS.values():
        command = start(photos, store, "--workers", "2")
        wait_until(lambda moment=moment: moment(store), command)
        command.kill()
        command.communicate()
        wait_until_gone(command)
    finish(photos, store)
    assert contents(store) == undisturbed


@pytest.mark.slow
def test_killed_at_random_moments_the_store_comes_out_the_same(
    photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """Moments are counted from the first file on; each run gets a little further or ends."""
    store, rng = tmp_path / "store", np.random.default_rng()
    for _ in range(4):
        command = start(photos, store, "--workers", "1")
        wait_until(store.exists, command)
        until = time.monotonic() + rng.uniform(0, 0.6)
        wait_until(lambda until=until: time.monotonic() > until, command)
        command.kill()
        command.communicate()
    finish(photos, store)
    assert contents(store) == undisturbed


def wait_until_gone(command: subprocess.Popen[str]) -> None:
    """Workers whose parent was killed end by themselves."""
    while group_lives(command):
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "*.json"), (signal.SIGINT, "*.arrow.*"), (signal.SIGTERM, "*.arrow.*")],
)
def test_a_signal_stops_all_processes_with_one_line(
    photos: Path, undisturbed: dict[str, bytes], tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """As Ctrl-C does, the signal goes to the whole group, while the workers start or when they work."""
    store = tmp_path / "store"
    command = start(photos, store, "--workers", "2")
    wait_until(lambda: exists(moment)(store), command)
    os.killpg(command.pid, number)
    _, errors = command.communicate()
    assert command.returncode == 75, errors
    understood = describe_overview(overview(open_source(photos)))
    lines = [line for line in errors.splitlines() if not line.startswith("preparing:")]
    assert lines[: len(understood)] == understood
    lines = lines[len(understood) :]
    advice = "finished work is kept, run the same command again to resume"
    assert lines == [f"alexnet: stopped by {number.name}; {advice}"]
    wait_until_gone(command)
    finish(photos, store)
    assert contents(store) == undisturbed


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_same_command_resumes(
    photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """A limit on the size of files simulates the full disk."""
    store = tmp_path / "store"
    words = [sys.executable, "-c", RESOURCE_LIMIT + MAIN, "prepare", str(photos), str(store), "--side", "32"]
    limited = subprocess.run([*words, "--workers", "2"], capture_output=True, text=True, check=False)
    assert limited.returncode == 1
    assert limited.stderr.splitlines()[-1].endswith(
        "finished shards are kept, run the same command again to continue"
    )
    assert "Traceback" not in limited.stderr
    finish(photos, store)
    assert contents(store) == undisturbed


@pytest.mark.slow
def test_a_part_is_killed_repeated_and_made_twice_at_the_same_time(
    photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    killed = start(photos, store, "--workers", "2", "--part", "1/2")
    wait_until(lambda: exists("parts/*/*.arrow*")(store), killed)
    killed.kill()
    killed.communicate()
    wait_until_gone(killed)
    parts = ("1/2", "1/2", "2/2")
    commands = [start(photos, store, "--workers", "1", "--part", part) for part in parts]
    outputs = [command.communicate() for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], outputs
    assert any("2,400 train, 300 val images" in output for output, _ in outputs)
    assert contents(store) == undisturbed
