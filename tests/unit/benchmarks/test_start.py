"""The benchmark of the start compares a prediction with an import of torch, by the same Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alexnet.data.sources import open_source
from alexnet.data.synthetic import synthesize
from benchmarks import start


def test_both_are_run_in_turn(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesize(tmp_path / "photos", classes=2, train_per_class=1, val_per_class=1, layout="folder")
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda words, **_: commands.append(words))
    ours, peer = start.measure(open_source(tmp_path / "photos"))
    assert (ours.unit, ours.peer, peer.name) == ("s", peer.name, "import torch")
    assert ours.ratio == pytest.approx(ours.value / peer.value)
    assert commands[0][:4] == [sys.executable, "-m", "alexnet", "predict"]
    assert commands[1] == [sys.executable, "-c", "import torch"]
    assert commands[2:] == commands[:2] * (len(commands) // 2 - 1)
