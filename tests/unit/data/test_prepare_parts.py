from __future__ import annotations

import itertools
import os
import platform
import queue
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from unit.data.memory_source import examples, png, source
from unit.data.memory_source import photo as make_photo

from alexnet.cli.main import main
from alexnet.data import prepare as module
from alexnet.data import prepare_parts, store_notes
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.prepare_parts import Part, PartResult, prepare_part
from alexnet.data.sources import Source
from alexnet.data.store import Store
from alexnet.errors import AlreadyExists, CommandError, DataError, WorkError

SETTINGS = PrepareSettings(side=24)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_PER_SHARD", 8)


@pytest.fixture
def photos() -> Source:
    """Five shards and one."""
    return source(train=examples(37), val=examples(5, first_seed=100))


@pytest.fixture
def expected(photos: Source, tmp_path: Path) -> dict[str, bytes]:
    """The files of the store that one process makes."""
    prepare(photos, tmp_path / "alone", SETTINGS, workers=1)
    return contents(tmp_path / "alone")


def contents(folder: Path) -> dict[str, bytes]:
    """The contents of all files below a folder, and its folders."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else b"" for name, path in paths.items()}


def make(
    photos: Source, store: Path, part: str, settings: PrepareSettings = SETTINGS, **options
) -> PartResult:
    return prepare_part(photos, store, Part.parse(part), settings, workers=1, **options)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_parts_make_the_store_of_one_machine(photos, expected, tmp_path, count: int) -> None:
    for order in [range(1, count + 1), range(count, 0, -1)]:
        store = tmp_path / f"store-{order[0]}"
        results = [make(photos, store, f"{number}/{count}") for number in order]
        assert [each.store is not None for each in results] == [False] * (count - 1) + [True]
        assert sum(each.shards for each in results) == results[0].all_shards == 6
        assert contents(store) == expected


def test_all_orders_of_three_parts(photos, expected, tmp_path) -> None:
    for number, order in enumerate(itertools.permutations(("1/3", "2/3", "3/3"))):
        store = tmp_path / str(number)
        missing = [list(map(str, make(photos, store, part).missing)) for part in order]
        assert missing == [sorted(order[1:]), [order[2]], []]
        assert contents(store) == expected


def test_statistics_are_exact(photos, tmp_path) -> None:
    for part in ("2/2", "1/2"):
        made = make(photos, tmp_path / "store", part).store
    assert made is not None
    alone = prepare(photos, tmp_path / "alone", SETTINGS, workers=1)
    np.testing.assert_array_equal(made.mean_image(), alone.mean_image())
    assert made.manifest == alone.manifest


def test_more_parts_than_shards(photos, expected, tmp_path) -> None:
    results = [make(photos, tmp_path / "store", f"{number}/9") for number in range(1, 10)]
    assert sorted(each.shards for each in results) == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert results[-1].store is not None
    assert contents(tmp_path / "store") == expected


def test_parts_of_another_count_fit_together(photos, expected, tmp_path) -> None:
    store = tmp_path / "store"
    make(photos, store, "1/2")
    assert list(make(photos, store, "3/3").missing) == [Part(2, 3)]
    assert make(photos, store, "2/3").store is not None
    assert contents(store) == expected


def test_progress_counts_the_photos_of_the_part(photos, tmp_path) -> None:
    counts: list[int] = []
    make(photos, tmp_path / "store", "1/3", progress=counts.append)
    assert sum(counts) == Part(1, 3).images(photos, SETTINGS) == 16


def test_a_stopped_part_keeps_its_finished_shards(photos, expected, tmp_path) -> None:
    store, done = tmp_path / "store", 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(photos, store, "1/2", progress=stop)
    assert sorted(path.name for path in store.glob("*.arrow")) == ["train-00000.arrow"]
    assert not (store / "parts").exists()
    make(photos, store, "2/2")
    counts: list[int] = []
    assert make(photos, store, "1/2", progress=counts.append).store is not None
    assert counts[0] == 8  # not made again
    assert contents(store) == expected


def test_what_a_killed_part_left_is_removed(photos, expected, tmp_path, monkeypatch) -> None:
    store = tmp_path / "store"
    make(photos, store, "1/2")
    host = "".join(each if each.isalnum() or each == "-" else "_" for each in platform.node())
    killed, running = (store / "parts" / f"2-of-2.{host}.{process}.x" for process in (10**9, os.getpid()))
    elsewhere = store / "parts" / "2-of-2.other-host.1.x"
    for folder in (killed, running, elsewhere):
        folder.mkdir(parents=True)
        (folder / ".train-00003.arrow.1.part").write_bytes(b"half")
    with pytest.raises(KeyboardInterrupt):
        make(photos, store, "2/2", progress=_interrupt)
    assert sorted(path.name for path in (store / "parts").iterdir()) == sorted([running.name, elsewhere.name])
    assert make(photos, store, "2/2").store is not None
    assert contents(store) == expected


def _interrupt(count: int) -> None:
    raise KeyboardInterrupt


def test_a_part_that_two_processes_make_at_the_same_time(photos, expected, tmp_path) -> None:
    store = tmp_path / "store"
    make(photos, store, "1/2")
    inner: list[PartResult] = []

    def again(count: int) -> None:
        if not inner:
            inner.append(make(photos, store, "2/2"))  # starts and finishes while the first one works

    outer = make(photos, store, "2/2", progress=again)
    assert inner[0].store is not None
    assert outer.store is not None
    assert contents(store) == expected


def test_parts_that_finish_at_the_same_time_join_once(photos, expected, tmp_path, monkeypatch) -> None:
    store, results = tmp_path / "store", queue.Queue[PartResult | BaseException]()
    together, joined = threading.Barrier(3), list[int]()
    missing, join = prepare_parts._missing, module._finish

    def waiting(*arguments):
        together.wait()  # all shards are finished before any process checks
        return missing(*arguments)

    def counting(*arguments):
        joined.append(1)
        return join(*arguments)

    monkeypatch.setattr(prepare_parts, "_missing", waiting)
    monkeypatch.setattr(module, "_finish", counting)

    def work(part: str) -> None:
        try:
            results.put(make(photos, store, part))
        except BaseException as error:
            together.abort()
            results.put(error)
            raise

    for part in ("1/3", "2/3", "3/3"):
        threading.Thread(target=work, args=(part,), daemon=True).start()
    found = [results.get() for _ in range(3)]
    assert [isinstance(each, PartResult) and each.store is not None for each in found] == [True] * 3
    assert len(joined) == 1
    assert contents(store) == expected


def test_a_process_that_ends_while_another_joins_waits_for_the_same_lock(
    photos, expected, tmp_path, monkeypatch
) -> None:
    """The folder of parts, which is removed when it is empty, is gone before the first process has joined."""
    store, join, lock = tmp_path / "store", module._finish, prepare_parts.exclusive_lock
    results, comes, locked = queue.Queue[PartResult | BaseException](), threading.Event(), list[int]()

    def work() -> None:
        try:
            results.put(make(photos, store, "2/2"))
        except BaseException as error:
            results.put(error)
        finally:
            comes.set()

    def noticed(folder: Path, wait: bool = False):
        locked.append(folder.stat().st_ino)
        if len(locked) == 2:
            comes.set()
        return lock(folder, wait)

    def interrupted(*arguments):
        threading.Thread(target=work, daemon=True).start()
        comes.wait()
        return join(*arguments)

    make(photos, store, "1/2")
    monkeypatch.setattr(module, "_finish", interrupted)
    monkeypatch.setattr(prepare_parts, "exclusive_lock", noticed)
    assert make(photos, store, "2/2").store is not None
    found = results.get()
    assert isinstance(found, PartResult) and found.store is not None
    assert len(locked) == 2 and len({*locked}) == 1
    assert contents(store) == expected


def test_a_folder_that_another_process_begins_meanwhile_is_a_store(tmp_path, monkeypatch) -> None:
    store, is_ours = tmp_path / "store", module._is_ours
    store.mkdir()
    (store / "other.txt").write_text("")

    def begins(path: Path) -> bool:
        (store / module.FINGERPRINT_FILE).write_text("{}")
        return is_ours(path)

    with pytest.raises(AlreadyExists, match="not empty and not a store"):
        module.make_folder(store)
    monkeypatch.setattr(module, "_is_ours", begins)
    module.make_folder(store)


def test_other_settings_and_photos_are_refused(photos, expected, tmp_path) -> None:
    store = tmp_path / "store"
    make(photos, store, "1/2")
    before = contents(store)
    with pytest.raises(CommandError, match=r"prepared with side 24 \(now 32\)"):
        make(photos, store, "2/2", PrepareSettings(side=32))
    others = source(train=examples(38), val=examples(5, first_seed=100))
    with pytest.raises(CommandError, match="prepared with other photos"):
        make(others, store, "2/2")
    assert contents(store) == before
    assert make(photos, store, "2/2").store is not None
    assert contents(store) == expected


def test_of_two_settings_at_the_same_time_one_is_refused(photos, tmp_path, monkeypatch) -> None:
    store = tmp_path / "store"
    link = os.link

    def late(own: Path, recorded: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        make(photos, store, "1/2", PrepareSettings(side=32))
        link(own, recorded)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(CommandError, match=r"prepared with side 32 \(now 24\)"):
        make(photos, store, "2/2")


def test_a_disk_without_links(photos, expected, tmp_path, monkeypatch) -> None:
    def no_links(own: Path, recorded: Path) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", no_links)
    for part in ("1/2", "2/2"):
        make(photos, tmp_path / "store", part)
    assert contents(tmp_path / "store") == expected


def test_something_else_is_not_overwritten(photos, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(CommandError, match="is not empty and not a store"):
        make(photos, tmp_path / "mine", "1/2")
    assert contents(tmp_path / "mine") == {"notes.txt": b"mine"}


def test_a_part_of_a_finished_store_brings_it_up_to_date(photos, expected, tmp_path) -> None:
    store = tmp_path / "store"
    prepare(photos, store, SETTINGS, workers=1)
    assert make(photos, store, "1/3").store is not None
    assert contents(store) == expected
    changed = source(train=examples(37), val=[*examples(4, first_seed=100), *examples(1, first_seed=500)])
    changed.splits["val"].examples[4] = (
        changed.splits["val"].examples[4].__class__(png(make_photo(500)), 1, "class-4/photo-4.png")
    )
    lines: list[str] = []
    assert make(changed, store, "1/3", log=lines.append).store is not None
    assert "updating " in lines[0]
    prepare(changed, tmp_path / "new", SETTINGS, workers=1)
    assert contents(store) == contents(tmp_path / "new")


def test_a_shard_of_photos_that_changed_since_is_made_again(photos, tmp_path) -> None:
    store = tmp_path / "store"
    make(photos, store, "1/2")
    first = photos.splits["train"].examples[0]
    photos.splits["train"].examples[0] = first.__class__(png(make_photo(500)), first.label, first.key)
    make(photos, store, "1/2")
    assert make(photos, store, "2/2").store is not None
    prepare(photos, tmp_path / "new", SETTINGS, workers=1)
    assert contents(store) == contents(tmp_path / "new")


def test_parts_continue_an_unfinished_store_and_are_continued(photos, expected, tmp_path) -> None:
    store = tmp_path / "store"
    make(photos, store, "2/3")
    (store / "parts" / "1-of-3.other.1.x").mkdir(parents=True)
    prepare(photos, store, SETTINGS, workers=1)
    assert contents(store) == expected


def test_the_last_part_reports_what_spoils_the_store(photos, tmp_path) -> None:
    photos.splits["train"].examples[3] = (
        photos.splits["train"].examples[3].__class__(b"", 0, "class-0/bad.png")
    )
    store = tmp_path / "store"
    make(photos, store, "1/2", strict=True)
    with pytest.raises(DataError, match="1 unreadable photos"):
        make(photos, store, "2/2", strict=True)
    made = make(photos, store, "2/2").store
    assert made is not None
    assert [each.key for each in made.manifest.unreadable] == ["class-0/bad.png"]


def test_a_full_disk_keeps_finished_shards(photos, expected, tmp_path, monkeypatch) -> None:
    store = tmp_path / "store"
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(WorkError, match="has 0 bytes free"):
            make(photos, store, "1/2")
    for part in ("1/2", "2/2"):
        make(photos, store, part)
    assert contents(store) == expected


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", " 1/2", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="expected I/N, such as 1/5"):
        Part.parse(text)


def test_the_command_prints_what_is_missing_and_what_to_type(tmp_path, capsys, monkeypatch) -> None:
    for name in ("train/ant", "train/bee", "val/ant", "val/bee"):
        for number in range(12):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(make_photo(number + 100 * len(name), 30, 30)))
    store = tmp_path / "store"

    def prepare_command(*words: str) -> tuple[int, str]:
        code = main(
            ["prepare", str(tmp_path / "photos"), str(store), "--side", "16", "--workers", "1", *words]
        )
        return code, capsys.readouterr().out

    code, out = prepare_command("--part", "2/3")
    assert code == 0
    assert out.splitlines() == [
        f"{store}: part 2/3 is finished (2 of 6 shards); missing: 1/3 (2 shards), 3/3 (2 shards)",
        "if no machine is making them, type the same command with --part 1/3, --part 3/3; the last part that "
        "is finished joins all",
    ]
    assert main(["inspect", str(store)]) == 3
    assert "not a store yet" in capsys.readouterr().err
    code, out = prepare_command("--part", "1/3")
    assert "if no machine is making it, type the same command with --part 3/3;" in out
    code, out = prepare_command("--part", "3/3")
    assert (code, out) == (0, f"{store}: 24 train, 24 val images of 2 classes, side 16\n")
    assert Store.open(store, verify=True).manifest.splits["train"].count == 24
    code, out = prepare_command("--part", "3/3")
    assert out.endswith("already finished, nothing was done\n")
    assert store_notes.read_all(store)
