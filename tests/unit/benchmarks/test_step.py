"""The hours of the whole run follow from each training rate."""

from __future__ import annotations

import pytest
import torch

from benchmarks import step


def test_hours_of_the_whole_run_compared_with_those_of_the_arithmetic() -> None:
    row = step.whole_run("training", rate=100.0, product_flops=4 * 2 * 2_067_805_248 * 100.0)
    assert row.unit == "hours"
    assert row.value == pytest.approx(90 * 1_281_167 / 100 / 3600)
    assert row.ratio == pytest.approx(4)


def test_only_training_has_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "MATRIX", 8)
    for name in ("trainer", "_tester"):
        monkeypatch.setattr(step, name, lambda *words: lambda: None)
    rows = step._rates(torch.device("cpu"), 2, torch.float32)
    whole = [row for row in rows if row.name.endswith("90 epochs of ILSVRC-2012")]
    assert [row.name for row in whole] == [f"{rows[0].name}: 90 epochs of ILSVRC-2012"]
    assert whole[0].value == pytest.approx(90 * 1_281_167 / rows[0].value / 3600)
