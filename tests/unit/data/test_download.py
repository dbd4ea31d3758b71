"""Downloads from a local server that can send parts, lose connections, send wrong bytes and lack files."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from local_server import Server

from alexnet.data.download import DATA_SETS, DataSet, RemoteFile, fetch, size_bytes
from alexnet.errors import CommandError, DataError, WorkError

DATA = np.random.default_rng(0).bytes(1_500_000)


def remote(name: str, data: bytes, *places: str) -> RemoteFile:
    return RemoteFile(name, len(data), hashlib.sha256(data).hexdigest(), places)


@pytest.fixture
def one_file(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The data set `toy` of one file with two URLs, the second a mirror of the first."""
    server.files = {"/first/toy.bin": DATA, "/second/toy.bin": DATA}
    places = (f"{server.url}/first/", f"{server.url}/second/")
    monkeypatch.setitem(DATA_SETS, "toy", DataSet((remote("toy.bin", DATA, *places),)))
    return server


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_complete_and_nothing_else_is_left(one_file: Server, tmp_path: Path) -> None:
    done: list[int] = []
    assert fetch("toy", tmp_path / "new", progress=done.append) == tmp_path / "new"
    assert (tmp_path / "new" / "toy.bin").read_bytes() == DATA
    assert names(tmp_path / "new") == ["toy.bin"]
    assert sum(done) == len(DATA) == size_bytes("toy")
    assert one_file.requests == [("/first/toy.bin", None)]


def test_a_broken_connection_is_continued_where_it_broke(one_file: Server, tmp_path: Path) -> None:
    one_file.dies_after = [600_000, 300_000]
    done: list[int] = []
    fetch("toy", tmp_path, progress=done.append)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert [requested for _, requested in one_file.requests] == [None, "bytes=600000-", "bytes=900000-"]
    assert sum(done) == len(DATA)


def test_a_later_call_continues_the_part_of_an_earlier_one(one_file: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.bin.part").write_bytes(DATA[:1_000_001])
    done: list[int] = []
    fetch("toy", tmp_path, progress=done.append)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert one_file.requests == [("/first/toy.bin", "bytes=1000001-")]
    assert sum(done) == len(DATA)
    assert names(tmp_path) == ["toy.bin"]


def test_a_complete_part_is_not_downloaded_again(one_file: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.bin.part").write_bytes(DATA)
    fetch("toy", tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert one_file.requests == [("/first/toy.bin", f"bytes={len(DATA)}-")]


def test_a_server_without_ranges_is_read_from_the_start(one_file: Server, tmp_path: Path) -> None:
    one_file.ranges = False
    (tmp_path / "toy.bin.part").write_bytes(DATA[:1000])
    done: list[int] = []
    fetch("toy", tmp_path, progress=done.append)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert len(one_file.requests) == 1
    assert sum(done) == len(DATA)


@pytest.mark.parametrize("part_bytes", [1000, 2_000_000])
def test_a_part_of_another_file_is_discarded_and_the_file_read_from_the_start(
    one_file: Server, tmp_path: Path, part_bytes: int
) -> None:
    (tmp_path / "toy.bin.part").write_bytes(bytes(part_bytes))
    done: list[int] = []
    fetch("toy", tmp_path, progress=done.append)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert [requested for _, requested in one_file.requests] == [f"bytes={part_bytes}-", None]
    assert sum(done) == len(DATA)


def test_the_mirror_is_tried_at_once_if_the_first_url_lacks_the_file(
    one_file: Server, tmp_path: Path
) -> None:
    del one_file.files["/first/toy.bin"]
    fetch("toy", tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == DATA
    assert [path for path, _ in one_file.requests] == ["/first/toy.bin", "/second/toy.bin"]


def test_a_busy_server_is_retried(one_file: Server, tmp_path: Path) -> None:
    one_file.errors = [503, 429]
    fetch("toy", tmp_path)
    assert [path for path, _ in one_file.requests] == ["/first/toy.bin"] * 3


def test_wrong_bytes_are_rejected_and_the_mirror_tried(one_file: Server, tmp_path: Path) -> None:
    one_file.files["/first/toy.bin"] = DATA[:-1] + b"!"
    fetch("toy", tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == DATA


def test_wrong_bytes_everywhere_are_an_error_and_nothing_is_kept(one_file: Server, tmp_path: Path) -> None:
    one_file.files = dict.fromkeys(one_file.files, b"<html>log in first</html>")
    done: list[int] = []
    with pytest.raises(
        DataError, match=r"second/toy\.bin.*checksum differs.*nothing was kept.*--from"
    ) as error:
        fetch("toy", tmp_path, progress=done.append)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []
    assert sum(done) == 0


def test_an_existing_file_is_kept_without_a_request(one_file: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(DATA)
    fetch("toy", tmp_path)
    assert one_file.requests == []


def test_another_file_of_that_name_is_never_overwritten(one_file: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"is not the published file.*move it elsewhere"):
        fetch("toy", tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == b"mine"


def test_no_network_is_one_line_that_names_the_url_and_an_alternative(
    one_file: Server, tmp_path: Path
) -> None:
    one_file.http.shutdown()
    one_file.http.server_close()
    with pytest.raises(
        WorkError, match=r"first/toy\.bin: .*refused.*second/toy\.bin.*--from URL-or-DIR"
    ) as error:
        fetch("toy", tmp_path)
    assert "\n" not in str(error.value)


def test_bytes_received_before_the_network_failed_are_kept(one_file: Server, tmp_path: Path) -> None:
    one_file.dies_after = [700_000, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(WorkError, match="connection was lost after 700,000 bytes"):
        fetch("toy", tmp_path)
    assert (tmp_path / "toy.bin.part").read_bytes() == DATA[:700_000]


def test_from_takes_another_host_or_a_folder(one_file: Server, tmp_path: Path) -> None:
    one_file.files = {"/elsewhere/toy.bin": DATA}
    fetch("toy", tmp_path / "a", location=f"{one_file.url}/elsewhere")
    fetch("toy", tmp_path / "b", location=str(tmp_path / "a"))
    assert (tmp_path / "b" / "toy.bin").read_bytes() == DATA
    assert (tmp_path / "a" / "toy.bin").exists()
    with pytest.raises(CommandError, match="does not exist: type --from"):
        fetch("toy", tmp_path / "c", location=str(tmp_path / "nowhere"))


def test_a_full_disk_is_reported_before_any_request(
    one_file: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=len(DATA) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WorkError, match="MB are needed: free some space"):
        fetch("toy", tmp_path)
    assert one_file.requests == []
    (tmp_path / "toy.bin.part").write_bytes(DATA[:10])
    fetch("toy", tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        CommandError, match="imagenette, mnist, tiny-imagenet, cifar-10, cifar-100, caltech-101"
    ):
        fetch("imagnet", tmp_path)


def test_a_gz_file_is_checked_by_its_contents(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RemoteFile("toy.gz", len(DATA), hashlib.sha256(DATA).hexdigest(), (f"{server.url}/",))
    monkeypatch.setitem(DATA_SETS, "toy", DataSet((file,)))
    server.files["/toy.gz"] = gzip.compress(DATA, compresslevel=0, mtime=7)
    fetch("toy", tmp_path / "good")
    for broken in (DATA, gzip.compress(DATA)[:-9], gzip.compress(DATA[:-1])):
        server.files["/toy.gz"] = broken
        with pytest.raises(DataError, match="checksum differs"):
            fetch("toy", tmp_path / "bad")
    assert names(tmp_path / "bad") == []


def tgz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def publish(server: Server, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, **settings: str) -> None:
    server.files[f"/{name}"] = data
    monkeypatch.setitem(DATA_SETS, "toy", DataSet((remote(name, data, f"{server.url}/"),), **settings))


@pytest.mark.parametrize(("name", "pack"), [("toy.tgz", tgz), ("toy.zip", zipped)])
def test_an_archive_is_unpacked_once_and_may_then_be_deleted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: type
) -> None:
    publish(
        server, monkeypatch, name, pack({"toy/train/cat/1.jpg": b"cat", "__MACOSX/x": b""}), unpacks_to="toy"
    )
    assert fetch("toy", tmp_path) == tmp_path / "toy"
    assert (tmp_path / "toy" / "train" / "cat" / "1.jpg").read_bytes() == b"cat"
    assert names(tmp_path) == ["toy", name]
    (tmp_path / name).unlink()
    server.requests.clear()
    assert fetch("toy", tmp_path) == tmp_path / "toy"
    assert server.requests == []


def test_an_archive_in_the_archive_is_unpacked_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zipped({"toy/photos.tar.gz": tgz({"photos/cat/1.jpg": b"cat"}), "toy/readme": b""})
    publish(server, monkeypatch, "toy.zip", data, unpacks_to="toy", inner="photos.tar.gz")
    photos = fetch("toy", tmp_path)
    assert photos == tmp_path / "toy" / "photos"
    assert (photos / "cat" / "1.jpg").read_bytes() == b"cat"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("toy.tgz", tgz({"toy/a": b"", "../escaped": b"!"})),
        ("toy.tgz", tgz({"toy/../../escaped": b"!"})),
        ("toy.zip", zipped({"toy/a": b"", "../escaped": b"!"})),
        ("toy.zip", zipped({"toy/..\\..\\escaped": b"!"})),
        ("toy.zip", zipped({"/escaped": b"!"})),
        ("toy.tgz", tgz({"toy/a": bytes(5000)})[:-40]),
        ("toy.zip", b"no zip at all"),
        ("toy.zip", zipped({"other/a": b""})),
    ],
    ids=range(8),  # not the bytes: they hold the time of packing
)
def test_an_archive_that_is_unsafe_broken_or_another_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
) -> None:
    publish(server, monkeypatch, name, data, unpacks_to="toy")
    with pytest.raises(DataError, match="delete it and fetch it again"):
        fetch("toy", tmp_path / "in")
    assert names(tmp_path / "in") == [name]
    assert names(tmp_path) == ["in"]


def test_the_list_of_data_sets_is_sound() -> None:
    names = ["imagenette", "mnist", "tiny-imagenet", "cifar-10", "cifar-100", "caltech-101"]
    assert list(DATA_SETS) == names
    for data_set in DATA_SETS.values():
        assert len(data_set.files) == 1 or not data_set.unpacks_to
        for file in data_set.files:
            assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{32}", file.digest)
            assert file.folder_urls
            assert all(re.fullmatch(r"https?://.+/", url) for url in file.folder_urls)


@pytest.mark.data
def test_mnist_from_a_local_folder_passes_its_checksums(shared_data: Path, tmp_path: Path) -> None:
    fetch("mnist", tmp_path, location=str(shared_data / "mnist"))
    assert names(tmp_path) == names(shared_data / "mnist")
