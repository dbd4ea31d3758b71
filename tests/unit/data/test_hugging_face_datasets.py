from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
from unit.data.source_makers import photo

import alexnet
from alexnet.data.store import Store
from alexnet.errors import CommandError

NAMES = ("dog", "cat")


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Photos that are not in the data set's own files."""
    (tmp_path / "files").mkdir()
    paths = [tmp_path / "files" / f"{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(photo(number, (40, 32)))
    return list(map(str, paths))


def data_set(files: list[str], first: int = 0):
    labels = [(first + number) % 2 for number in range(len(files))]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(NAMES))})
    return datasets.Dataset.from_dict({"image": files, "label": labels}, features=features)


def prepared(source, store: Path, **options) -> Store:
    return alexnet.prepare(source, store, side=16, val_fraction=0.25, workers=1, **options)


def test_a_data_set_is_a_source(files, tmp_path) -> None:
    store = prepared(data_set(files), tmp_path / "store")
    assert [each.name for each in store.classes] == list(NAMES)
    assert {name: len(store.split(name)) for name in store.splits} == {"train": 8, "val": 4}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "store"]


def test_the_store_is_that_of_the_saved_data_set(files, tmp_path) -> None:
    whole = datasets.DatasetDict({"train": data_set(files[:8]), "validation": data_set(files[8:])})
    whole.save_to_disk(tmp_path / "saved")
    saved, direct = prepared(tmp_path / "saved", tmp_path / "a"), prepared(whole, tmp_path / "b")
    assert saved.digest == direct.digest
    assert {name: len(direct.split(name)) for name in direct.splits} == {"train": 8, "val": 4}


def test_the_same_call_continues_and_follows_the_data_set(files, tmp_path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(data_set(files), tmp_path / "store", progress=stop)
    assert not list(tmp_path.glob(".store*"))
    first = prepared(data_set(files), tmp_path / "store").digest
    assert prepared(data_set(files), tmp_path / "store").digest == first
    lines: list[str] = []
    Path(files[0]).with_name("new.jpg").write_bytes(photo(500, (40, 32)))
    changed = data_set([*files[:11], str(Path(files[0]).with_name("new.jpg"))])
    assert prepared(changed, tmp_path / "store", log=lines.append).digest != first
    assert "updating " in lines[0]


def test_a_selection_of_a_data_set_is_a_source(files, tmp_path) -> None:
    some = data_set(files).shuffle(seed=1).select(range(8))
    store = prepared(some, tmp_path / "store")
    assert sum(len(store.split(name)) for name in store.splits) == 8


def test_what_is_no_source_is_refused(files, tmp_path) -> None:
    for other in (data_set(files).to_iterable_dataset(), SimpleNamespace()):
        with pytest.raises(CommandError, match=f"{type(other).__name__} is not a source: pass a path"):
            prepared(other, tmp_path / "store")
    assert not (tmp_path / "store").exists()
