"""JSON files of runs and stores with other contents: each is read, or refused in one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attack.json_files import READERS, whole
from changed_contents import TEXTS, changed_documents

from alexnet.errors import DataError
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.results import read_results

CHANGED = 60


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A run directory with weights."""
    last = tmp_path / "checkpoints" / "last"
    last.mkdir(parents=True)
    (last / "weights.safetensors").symlink_to(run / "checkpoints" / "last" / "weights.safetensors")
    (last / "meta.json").write_text('{"step": 18, "epoch": 3}')
    return tmp_path


def read_or_refuse(read: Callable[[Path], object], folder: Path, name: str) -> None:
    """Fails where anything but a DataError of one line that names the file is raised."""
    try:
        read(folder)
    except DataError as error:
        assert name in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 1500


@pytest.mark.parametrize("name", READERS)
def test_other_texts_are_refused_in_one_line(folder: Path, name: str) -> None:
    for text in TEXTS:
        (folder / name).write_bytes(text)
        read_or_refuse(READERS[name], folder, Path(name).name)


@pytest.mark.parametrize("name", READERS)
def test_documents_with_other_values_are_read_or_refused(run: Path, store, folder: Path, name: str) -> None:
    document = whole(name, run, store.path)
    (folder / name).write_text(json.dumps(document) + "\n")
    READERS[name](folder)
    for text in changed_documents(document, CHANGED, seed=1):
        (folder / name).write_text(text + "\n")
        read_or_refuse(READERS[name], folder, Path(name).name)


@pytest.mark.parametrize("text", [b"null", b"[]", b"[1]", b'{"format_version": 99}', b"\xff"])
def test_a_list_of_results_is_proven_entry_by_entry(folder: Path, text: bytes) -> None:
    (folder / "evaluation.json").write_bytes(b"[" + text + b"]")
    with pytest.raises(DataError, match=r"evaluation\.json"):
        read_results(folder)


def test_a_log_names_its_line(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"event": "start", "step": 0, "epoch": 0}\n[]\n{}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        read_metrics(folder / "metrics.jsonl")
