"""The lines of docs/python.md for experiment trackers log a run on this machine alone."""

from __future__ import annotations

import importlib
import importlib.util
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny

import alexnet
from alexnet.data.store import Store
from alexnet.runs.metrics_log import LogEvent, read_metrics

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
LINES = {
    before.split(".")[0]: (before, callback, after)
    for before, callback, after in re.findall(
        r"^\| [\w &]+ \| `(\w+\..*?)` \| `(lambda .*?)` \| `(.*?)` \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
}


def read_wandb(tracker: Any) -> dict[str, float]:
    tracker.log({}, commit=True)  # the last step is otherwise written at the end of the run
    return dict(tracker.run.summary)


def read_mlflow(tracker: Any) -> dict[str, float]:
    return tracker.last_active_run().data.metrics


def read_trackio(tracker: Any) -> dict[str, float]:
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    (run,) = storage.get_runs("photos")
    return {name: value for line in storage.get_logs("photos", run) for name, value in line.items()}


LAST_VALUES = {"wandb": read_wandb, "mlflow": read_mlflow, "trackio": read_trackio}
"""Functions that read the last value of each number of the run; of Weights & Biases, while it is open."""


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The proxy through which this process and those that it starts must reach other machines."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for name in (variable, variable.lower()):
                monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield listener


TRACKERS = (
    "wandb",
    "mlflow",
    pytest.param(
        "trackio",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("trackio") is None,
            reason="trackio is not installed: it needs older versions of packages than constraints.txt has",
        ),
    ),
)


@pytest.mark.filterwarnings("default")  # of the trackers
@pytest.mark.parametrize("name", TRACKERS)
def test_the_lines_of_the_documents_log_a_run(
    name: str, tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: socket.socket
) -> None:
    before, callback, after = LINES[name]
    folder = tmp_path / "tracked"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for variable in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "TRACKIO_DIR"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("DO_NOT_TRACK", "true")  # MLflow's own statistics of its use
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    tracker = importlib.import_module(name)
    events: list[LogEvent] = []
    exec(before, {name: tracker})
    track = eval(callback, {name: tracker})

    def track_and_keep(event: LogEvent) -> None:
        track(event)
        events.append(event)

    result = alexnet.train(
        tiny.RECIPE,
        tiny_store,
        tmp_path / "run",
        *(*tiny.SETTINGS, "schedule.epochs=1"),
        device="cpu",
        callback=track_and_keep,
    )
    found = LAST_VALUES[name](tracker) if name == "wandb" else {}
    exec(after, {name: tracker})
    found = found or LAST_VALUES[name](tracker)
    wanted = {key: value for event in events for key, value in event.numbers.items()}
    assert len(events) == len(read_metrics(tmp_path / "run" / "metrics.jsonl"))
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)
    assert wanted["result/top1_error"] == result.errors["top1_error"]
    with pytest.raises(BlockingIOError):  # no client has connected
        network.accept()


def test_the_page_has_the_lines_of_each_tracker() -> None:
    assert set(LINES) == set(LAST_VALUES)
