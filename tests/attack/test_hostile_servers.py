"""Servers that send too much or something else, and full disks."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from alexnet.cli.main import main
from alexnet.data import download
from alexnet.data.download import RemoteFile, fetch_files
from alexnet.errors import DataError, WorkError

CONTENTS = bytes(range(256)) * 40
FILE = RemoteFile("file.bin", len(CONTENTS), hashlib.sha256(CONTENTS).hexdigest(), ())
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def serving(head: bytes, body: bytes, endless: bool = False) -> Iterator[tuple[str, list[int]]]:
    """The address of a server that sends these bytes to everyone, and how much it has sent."""
    sent: list[int] = []

    def respond() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(head + b"\r\n")
                while True:
                    client.sendall(body)
                    sent.append(len(body))
                    if not endless:
                        break

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", sent
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_WAITS_SECONDS", (0,))


def fetch(folder: Path, location: str) -> None:
    fetch_files([FILE], folder, location, lambda count: None)


def test_the_file_is_fetched(tmp_path: Path) -> None:
    with serving(OK + b"Content-Length: %d\r\n" % len(CONTENTS), CONTENTS) as (url, _):
        fetch(tmp_path, url)
    assert (tmp_path / "file.bin").read_bytes() == CONTENTS


@pytest.mark.parametrize("head", [OK, OK + b"Content-Length: 999999999999\r\n"], ids=["none", "announced"])
def test_an_endless_reply_is_stopped_at_the_known_size(tmp_path: Path, head: bytes) -> None:
    with (
        serving(head, bytes(65_536), endless=True) as (url, sent),
        pytest.raises(DataError, match="the file has at most 76 kB"),
    ):
        fetch(tmp_path, url)
    assert sum(sent) < 10**7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: abc\r\n",
        OK + b"Content-Length: -5\r\n",
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b"HTTP/1.1 \x1b[31m nonsense\r\n",
        b"HTTP/1.1 404 \x1b[31mred\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n",
        OK + b"X: " + b"a" * 100_000 + b"\r\n",
    ],
    ids=lambda head: str(head[:40]),
)
def test_odd_replies_are_one_line(tmp_path: Path, head: bytes, monkeypatch, capfd) -> None:
    monkeypatch.setattr(download, "DATA_SETS", {"tiny": download.DataSet((FILE,))})
    with serving(head, b"") as (url, _):
        assert main(["fetch", "tiny", str(tmp_path), "--from", url]) == 1
    shown = capfd.readouterr().err
    assert shown.startswith("alexnet: file.bin could not be downloaded")
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize("location", ["http://[", "http://\x00", "nosuch://host", "http://", "http://a b/"])
def test_odd_addresses_are_one_line(tmp_path: Path, location: str) -> None:
    with pytest.raises(WorkError, match=r"file\.bin could not be downloaded"):
        fetch(tmp_path, location)


FILL = """
import resource, sys
from pathlib import Path
from alexnet.errors import WorkError
from alexnet.runs.metrics_log import MetricsLog
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with MetricsLog(folder / "metrics.jsonl", folder / "tensorboard") as log:
        for step in range(100_000):
            log.write("train", step, 0, **{name: 1.0 for name in "abcdefgh"})
except WorkError as error:
    print(error)
"""


def test_a_full_disk_at_the_events_of_tensorboard_is_one_line(tmp_path: Path) -> None:
    """A limit of the size of files stands for the disk; TensorBoard's file reaches it first."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path], check=True, capture_output=True, text=True, timeout=300
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "tfevents" in done.stdout
    assert "File too large" in done.stdout
