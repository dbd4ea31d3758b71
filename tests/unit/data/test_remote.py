from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from unit.data.source_makers import photo

import alexnet
from alexnet.cli.main import main
from alexnet.data import remote
from alexnet.data.remote import is_address, is_web_file, local_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError, MissingPackage, NotFound, WorkError

CLASSES = ("ant", "bee")
PER_CLASS = 3


def class_folders() -> dict[str, bytes]:
    return {
        f"{name}/{number}.jpg": photo(10 * label + number, (32, 24))
        for label, name in enumerate(CLASSES)
        for number in range(PER_CLASS)
    }


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "alexnet" / "remote"


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, with photos in class folders at memory://bucket/photos."""
    system = fsspec.filesystem("memory")
    for name, data in class_folders().items():
        system.pipe(f"/bucket/photos/{name}", data)
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def opened(memory, monkeypatch) -> list[str]:
    """The files that are opened in the memory file system."""
    found: list[str] = []
    whole = type(memory).open

    def counting(self, path, mode="rb", **kwargs):
        if mode == "rb":
            found.append(path.rpartition("/bucket/")[2])
        return whole(self, path, mode, **kwargs)

    monkeypatch.setattr(type(memory), "open", counting)
    return found


def fetch(address: str) -> tuple[Path, str]:
    lines: list[str] = []
    path = local_source(address, log=lines.append)
    (line,) = lines
    return path, line


# --- the copy


def test_a_copy_has_all_files_and_is_named_like_the_address(memory, cache) -> None:
    path, line = fetch("memory://bucket/photos")
    assert path.name == "photos"
    assert path.is_relative_to(cache)
    assert contents(path) == class_folders()
    size = sum(map(len, class_folders().values()))
    assert line == f"memory://bucket/photos: 6 files ({size / 1000:.1f} kB) fetched; copy: {path}"


def test_what_is_there_is_not_fetched_again(memory, opened) -> None:
    path, _ = fetch("memory://bucket/photos")
    opened.clear()
    again, line = fetch("memory://bucket/photos")
    assert (again, opened) == (path, [])
    assert "0 files (0 bytes) fetched, 6 unchanged" in line


def test_a_changed_file_is_fetched_again_and_a_removed_one_removed(memory, opened) -> None:
    path, _ = fetch("memory://bucket/photos")
    opened.clear()
    before = memory.cat("/bucket/photos/ant/0.jpg")
    memory.pipe("/bucket/photos/ant/0.jpg", before[::-1])  # of the same size
    memory.rm("/bucket/photos/bee/0.jpg")
    memory.pipe("/bucket/photos/cow/0.jpg", photo(7))
    fetch("memory://bucket/photos")
    assert sorted(opened) == ["photos/ant/0.jpg", "photos/cow/0.jpg"]
    found = contents(path)
    assert found["ant/0.jpg"] == before[::-1]
    assert "bee/0.jpg" not in found
    assert found["cow/0.jpg"] == photo(7)


def test_a_file_that_was_changed_in_the_copy_is_fetched_again(memory) -> None:
    path, _ = fetch("memory://bucket/photos")
    (path / "ant" / "0.jpg").write_bytes(b"short")
    (path / "ant" / "1.jpg").unlink()
    (path / "mine.jpg").write_bytes(b"other")
    fetch("memory://bucket/photos")
    assert contents(path) == class_folders()


def test_one_file_is_a_copy_of_its_own(memory) -> None:
    path, _ = fetch("memory://bucket/photos/ant/0.jpg")
    assert path.name == "0.jpg"
    assert path.read_bytes() == class_folders()["ant/0.jpg"]


class _Breaks:
    """A file of which the connection breaks after some bytes."""

    def __init__(self, data: bytes, after: int) -> None:
        self.data, self.left, self.place, self.read_from = data, after, 0, 0

    def __enter__(self) -> _Breaks:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def seek(self, place: int) -> None:
        self.place = self.read_from = place

    def read(self, count: int) -> bytes:
        if self.left <= 0:
            raise ConnectionError("the connection was lost")
        part = self.data[self.place : self.place + min(count, self.left)]
        self.place += len(part)
        self.left -= len(part)
        return part


def test_an_interrupted_file_is_continued_where_it_ended(memory, monkeypatch, cache) -> None:
    data = bytes(range(256)) * 10
    memory.pipe("/bucket/large.tar", data)
    streams = [_Breaks(data, 1000), _Breaks(data, 10**6)]
    used = iter(streams)
    monkeypatch.setattr(type(memory), "open", lambda self, path, mode="rb": next(used))
    with pytest.raises(
        WorkError, match=r"cannot be read \(the connection was lost\): what was fetched is kept"
    ):
        local_source("memory://bucket/large.tar")
    assert not list(cache.glob("*/files/large.tar"))
    path = local_source("memory://bucket/large.tar")
    assert path.read_bytes() == data
    assert [each.read_from for each in streams] == [0, 1000]
    assert not list(cache.glob("*/parts"))


def test_a_file_that_changed_since_the_interruption_is_fetched_from_its_beginning(
    memory, monkeypatch
) -> None:
    old, new = b"a" * 2000, b"b" * 2000
    memory.pipe("/bucket/large.tar", old)
    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "open", lambda self, path, mode="rb": _Breaks(old, 1000))
        with pytest.raises(WorkError):
            local_source("memory://bucket/large.tar")
    memory.pipe("/bucket/large.tar", new)
    assert local_source("memory://bucket/large.tar").read_bytes() == new


def test_finished_files_survive_an_interruption(memory, monkeypatch, opened) -> None:
    memory.pipe("/bucket/photos/zebra/0.jpg", b"z" * 100)
    whole = type(memory).open

    def breaking(self, path, mode="rb", **kwargs):
        return _Breaks(b"", 0) if path.endswith("zebra/0.jpg") else whole(self, path, mode, **kwargs)

    monkeypatch.setattr("alexnet.data.remote._FETCHED_AT_ONCE", 1)
    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "open", breaking)
        with pytest.raises(WorkError):
            local_source("memory://bucket/photos")
    opened.clear()
    path = local_source("memory://bucket/photos")
    assert opened == ["photos/zebra/0.jpg"]
    assert len(contents(path)) == 7


def test_a_stop_keeps_what_was_fetched(memory, opened, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.data.remote._FETCHED_AT_ONCE", 1)
    advanced: list[int] = []

    @contextmanager
    def stopping(title: str, total: int):
        def advance(count: int) -> None:
            advanced.append(count)
            if len(advanced) == 4:
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        local_source("memory://bucket/photos", stopping)
    first = opened[:3]
    opened.clear()
    path = local_source("memory://bucket/photos")
    assert contents(path) == class_folders()
    assert not set(first) & set(opened)


def test_a_damaged_record_only_costs_fetching_again(memory, cache) -> None:
    path, _ = fetch("memory://bucket/photos")
    (record,) = cache.glob("*/files.jsonl")
    lines = record.read_text().splitlines()
    record.write_text("\n".join([lines[0], "{", "[]", '{"path": 1}', *lines[1:4]]))
    _, line = fetch("memory://bucket/photos")
    assert "2 files" in line
    assert contents(path) == class_folders()
    assert all(json.loads(each) for each in lines)


# --- names and errors


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "a/../../evil.jpg",
        "/evil.jpg",
        "a//b.jpg",
        "./a.jpg",
        "a\nb.jpg",
        "a\\b.jpg",
        "\x1b.jpg",
    ],
)
def test_names_that_are_no_paths_below_the_folder_are_refused(
    memory, monkeypatch, tmp_path, name: str
) -> None:
    full = f"/bucket/photos/{name}"
    info = {"name": full, "size": 3, "type": "file", "created": "now"}
    monkeypatch.setattr(type(memory), "find", lambda self, path, detail: {full: info})
    with pytest.raises(DataError, match="is not a valid path on this machine"):
        local_source("memory://bucket/photos")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_file_and_a_folder_of_one_name_are_refused(memory, monkeypatch) -> None:
    infos = {
        f"/bucket/photos/{name}": {"name": name, "size": 3, "type": "file", "created": "now"}
        for name in ("a", "a/b.jpg")
    }
    monkeypatch.setattr(type(memory), "find", lambda self, path, detail: infos)
    with pytest.raises(DataError, match="a file and a folder named a"):
        local_source("memory://bucket/photos")


def test_names_that_a_disk_takes_for_one_are_refused(memory, monkeypatch) -> None:
    memory.pipe("/bucket/photos/ANT/0.jpg", photo(1))
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(DataError, match=r"two files named ant/0\.jpg"):
        local_source("memory://bucket/photos")


def test_what_is_not_there_or_not_known_is_one_line(memory) -> None:
    with pytest.raises(NotFound, match="there is nothing at memory://bucket/none"):
        local_source("memory://bucket/none")
    with pytest.raises(CommandError, match="nonsense:// is not a kind of address that fsspec supports"):
        local_source("nonsense://bucket/none")


def test_a_missing_package_is_named_with_its_command(monkeypatch) -> None:
    def not_installed(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", not_installed)
    with pytest.raises(MissingPackage, match="s3:// needs another package: type pip install s3fs"):
        local_source("s3://bucket/photos")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackage, match=r"type pip install 'alexnet\[cloud\]'"):
        local_source("memory://bucket/photos")


def test_a_full_disk_is_noticed_before(memory, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(WorkError, match=r"to fetch, and the disk of .* has 0 bytes free"):
        local_source("memory://bucket/photos")


def test_paths_are_not_addresses(tmp_path) -> None:
    assert local_source(tmp_path) == tmp_path
    assert local_source(str(tmp_path)) == tmp_path
    assert local_source(tmp_path.as_uri()) == tmp_path
    assert not is_address("C:/photos")
    assert not is_address("hf:owner/name")
    assert is_address("s3://bucket")
    assert is_web_file("https://host/a.tar?sign=/")
    assert not is_web_file("https://host/photos/")


# --- a web server


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server of the files in `site`, whose pages list them."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("alexnet.data.download._WAITS_SECONDS", ())
    site = tmp_path / "site"
    site.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(site)))
    server.site, server.requests = site, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_folder_on_a_web_server_is_copied(web) -> None:
    files = {**class_folders(), "bee/with space & more.jpg": photo(50)}
    write(web.site / "photos", files)
    path, _ = fetch(f"{web.url}/photos/")
    assert contents(path) == files
    web.requests.clear()
    _, line = fetch(f"{web.url}/photos/")
    assert "7 unchanged" in line
    assert not [request for request in web.requests if request.endswith(".jpg")]
    file = web.site / "photos" / "ant" / "0.jpg"
    file.write_bytes(photo(60))
    os.utime(file, (1, 1))
    _, line = fetch(f"{web.url}/photos/")
    assert "1 file (" in line
    assert contents(path)["ant/0.jpg"] == photo(60)


def test_files_of_unknown_version_are_fetched_again(web, monkeypatch) -> None:
    monkeypatch.setattr(
        _Handler,
        "send_header",
        lambda self, name, value: name == "Last-Modified" or (super(_Handler, self).send_header(name, value)),
    )
    write(web.site / "photos", class_folders())
    fetch(f"{web.url}/photos/")
    _, line = fetch(f"{web.url}/photos/")
    assert "6 files" in line
    assert "6 have no ETag or time" in line


def test_a_tar_on_a_web_server_is_prepared(web, tmp_path, capsys) -> None:
    import tarfile

    write(tmp_path / "photos", class_folders())
    with tarfile.open(web.site / "all.tar", "w") as tar:
        tar.add(tmp_path / "photos", "photos")
    store = tmp_path / "store"
    words = ["--side", "16", "--val-fraction", "0.3", "--workers", "1"]
    assert main(["prepare", f"{web.url}/all.tar?signature=secret", str(store), *words]) == 0
    err = capsys.readouterr().err
    assert f"{web.url}/all.tar: 1 file (" in err
    assert "secret" not in err
    assert [each.wnid for each in Store.open(store).classes] == list(CLASSES)


def test_errors_of_a_web_server_are_one_line(web) -> None:
    with pytest.raises(NotFound, match="there is nothing at"):
        local_source(f"{web.url}/none.tar?secret")
    with pytest.raises(NotFound, match="there is nothing at"):
        local_source(f"{web.url}/none/")
    web.shutdown()
    web.server_close()
    for name in ("photos/", "all.tar"):
        with pytest.raises(WorkError, match="cannot be read") as found:
            local_source(f"{web.url}/{name}")
        assert "\n" not in str(found.value)


# --- commands


def test_inspect_prepare_and_predict_take_addresses(memory, tmp_path, capsys) -> None:
    address = "memory://bucket/photos"
    assert main(["inspect", address, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["splits"]["train"]["photos"] == 6
    store = tmp_path / "store"
    words = ["--side", "64", "--val-fraction", "0.3", "--workers", "1"]
    assert main(["prepare", address, str(store), *words]) == 0
    err = capsys.readouterr().err
    assert f"{address}: 0 files (0 bytes) fetched, 6 unchanged; copy: " in err
    direct = write(tmp_path / "photos", class_folders())
    alexnet.prepare(direct, tmp_path / "direct", side=64, val_fraction=0.3, workers=1)
    assert Store.open(store).digest == Store.open(tmp_path / "direct").digest
    assert alexnet.prepare(address, store, side=64, val_fraction=0.3, workers=1).digest
    assert main(["predict", f"{address}/ant", "--json", "--device", "cpu"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [Path(each["image"]).name for each in results] == ["0.jpg", "1.jpg", "2.jpg"]
    predictor = alexnet.load("pretrained", "cpu")
    assert len(predictor.predict(address)) == 6
    assert predictor.predict(f"{address}/ant/0.jpg") == predictor.predict(direct / "ant" / "0.jpg")


def test_predict_takes_the_address_of_a_photo_on_a_web_server(web, tmp_path, capsys) -> None:
    write(web.site, {"cat.jpg": photo(1, (64, 64))})
    assert main(["predict", f"{web.url}/cat.jpg", "--json", "--device", "cpu"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["image"] == f"{web.url}/cat.jpg"
    words = ["--out-dir", str(tmp_path / "sorted")]
    assert main(["predict", f"{web.url}/cat.jpg", "--device", "cpu", *words]) == 2
    assert "has no file to copy" in capsys.readouterr().err


def test_a_fit_remembers_the_address(memory, tmp_path) -> None:
    from alexnet.fitting.fit import FitOptions, _Fitting

    fitting = _Fitting("memory://bucket/photos", tmp_path / "run", FitOptions(device="cpu"))
    for label, name in enumerate(CLASSES):
        for number in range(PER_CLASS, 8):
            memory.pipe(f"/bucket/photos/{name}/{number}.jpg", photo(20 * label + number))
    source = fitting._source(local_source(fitting.photos))
    assert sum(map(len, source.splits.values())) == 16
    assert fitting.photos == "memory://bucket/photos"


def test_a_data_set_of_the_hub_is_prepared(monkeypatch, tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from hub_server import Repository, serving_hub

    rows = [
        {"image": {"bytes": data, "path": name}, "label": name.split("/")[0]}
        for name, data in class_folders().items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    with serving_hub(monkeypatch, tmp_path / "cache") as server:
        repository = server.datasets["team/photos"] = Repository()
        repository.commit(
            {
                "README.md": b"# photos",
                "data/train-00000-of-00001.parquet": (tmp_path / "train.parquet").read_bytes(),
            }
        )
        store = alexnet.prepare(
            "hf://datasets/team/photos", tmp_path / "store", side=16, val_fraction=0.3, workers=1
        )
        assert [each.name for each in store.classes] == list(CLASSES)
        with pytest.raises(NotFound, match="there is nothing at hf://datasets/team/none"):
            local_source("hf://datasets/team/none")


# --- limits


def test_a_file_that_is_longer_than_announced_is_not_read_to_its_end(memory, monkeypatch, cache) -> None:
    memory.pipe("/bucket/large.tar", bytes(2000))
    stream = _Breaks(bytes(10**7), 10**7)
    monkeypatch.setattr("alexnet.data.download._BLOCK_BYTES", 1000)
    monkeypatch.setattr(type(memory), "open", lambda self, path, mode="rb": stream)
    with pytest.raises(WorkError, match=r"it sends 3\.0 kB or more, and the file has at most 2\.0 kB"):
        local_source("memory://bucket/large.tar")
    assert stream.place == 3000
    assert not list(cache.glob("*/parts/*"))


@pytest.fixture
def of_unknown_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.remote._MAX_UNKNOWN_BYTES", 1000)
    described = remote._described

    def without_size(*arguments):
        return dataclasses.replace(described(*arguments), size=None)

    monkeypatch.setattr(remote, "_described", without_size)


def test_a_file_of_unknown_size_has_a_limit(memory, of_unknown_size) -> None:
    memory.pipe("/bucket/small.tar", bytes(1000))
    assert local_source("memory://bucket/small.tar").read_bytes() == bytes(1000)
    memory.pipe("/bucket/large.tar", bytes(1001))
    with pytest.raises(WorkError, match=r"the file has at most 1\.0 kB"):
        local_source("memory://bucket/large.tar")


def test_a_file_of_unknown_size_on_a_web_server_has_a_limit(web, of_unknown_size) -> None:
    (web.site / "large.tar").write_bytes(bytes(1001))
    with pytest.raises(DataError, match=r"the file has at most 1\.0 kB"):
        local_source(f"{web.url}/large.tar")


def test_a_folder_on_a_web_server_has_a_limit(monkeypatch) -> None:
    """Each page of this server has links to two folders and a file."""
    requested: list[str] = []

    class Endless:
        def ls(self, folder: str, detail: bool) -> list[str]:
            requested.append(folder)
            return [f"{folder}{name}" for name in ("a/", "b/", "photo.jpg")]

        def invalidate_cache(self) -> None:
            pass

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda address: (Endless(), address))
    monkeypatch.setattr(remote, "_MAX_FOLDERS", 100)
    with pytest.raises(DataError, match="more than 100 folders: use a part of it"):
        local_source("http://host/photos/")
    assert len(requested) <= 100
    requested.clear()
    monkeypatch.setattr(remote, "_MAX_FILES", 20)
    with pytest.raises(DataError, match="more than 20 files"):
        local_source("http://host/photos/")
    assert len(requested) <= 31
