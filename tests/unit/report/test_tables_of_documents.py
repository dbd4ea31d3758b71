"""Tables in documents come from results/, and a stale one is found."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tools import documents

PLACE = "before\n<!-- table: imagenette -->\n<!-- end -->\nafter\n"


def write_result(root: Path, recipe: str, ten: float) -> None:
    folder = root / "results" / f"imagenette-{recipe}"
    folder.mkdir(parents=True)
    entries = [
        {"views": "center", "top1_error": ten + 0.02, "top1_interval": [0.1, 0.2], "runs": [{"epochs": 20}]},
        {"views": "ten", "top1_error": ten, "top1_interval": [ten - 0.01, ten + 0.01]},
    ]
    config = {"recipe": recipe, "schedule": {"epochs": 91}, "data": {"side": 128}, "training": {"seed": 0}}
    files = {
        "evaluation.json": entries,
        "config.json": config,
        "environment.json": {"device": "cpu (2 threads)", "processor": "Test"},
    }
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    (folder / "metrics.jsonl").write_text('{"seconds": 60.0}\n{"seconds": 600.0}\n{"event": "end"}\n')


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["documents", *words])
    return documents.main()


def test_the_table_is_written_best_first_and_then_found_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text(PLACE)
    write_result(tmp_path, "worse", 0.3)
    write_result(tmp_path, "better", 0.2)
    write_result(tmp_path, "whole-squares", 0.1)
    pipeline = tmp_path / "results" / "imagenette-whole-squares" / "evaluation.json"
    pipeline.write_text(json.dumps(json.loads(pipeline.read_text())[:1]))
    assert run(monkeypatch, str(tmp_path), "--check") == 1
    assert (tmp_path / "README.md").read_text() == PLACE
    assert run(monkeypatch, str(tmp_path)) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.index("better") < text.index("worse")
    assert "whole-squares" not in text
    assert "| 22.0 | 20.0 | 19.0-21.0 | 20 | 10 | 0 |" in text
    assert run(monkeypatch, str(tmp_path), "--check") == 0
    (tmp_path / "README.md").write_text(text.replace("20.0", "15.0"))
    assert run(monkeypatch, str(tmp_path), "--check") == 1


def test_a_picture_is_drawn_where_its_words_change_or_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, image = tmp_path / "docs" / "page.md", tmp_path / "docs" / "images" / "why-so-long.png"
    document.parent.mkdir()
    (tmp_path / "README.md").touch()
    document.write_text("<!-- picture: why-so-long -->\n<!-- end -->\n")
    assert run(monkeypatch, str(tmp_path), "--check") == 1
    assert not image.exists()
    assert run(monkeypatch, str(tmp_path)) == 0
    assert "](images/why-so-long.png)\n<!-- end -->" in document.read_text()
    assert image.is_file()
    assert run(monkeypatch, str(tmp_path), "--check") == 0
    image.with_suffix(".svg").unlink()
    assert run(monkeypatch, str(tmp_path), "--check") == 1


def test_benchmarks_are_rows_of_their_csv(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "step.csv").write_text(
        "benchmark,name,value,unit,peer,ratio,target\nstep,training,65.43,images/s,stock,1.0512,>= 1\n"
    )
    assert "| training | 65.4 | images/s | stock | 1.05 | >= 1 |" in documents.benchmarks(tmp_path).markdown()


def test_experiments_are_rows_of_their_csv(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "alexnet-modern.csv").write_text(
        "settings,top1_error,low,high,nll,training_error,remark\n"
        "schedule.epochs=40,0.1711,0.1484,0.1964,0.582,0.107,best\nmodel.dropout=0,,,,,,given up\n"
    )
    text = documents.experiments("alexnet-modern", "ten crops", tmp_path).markdown()
    assert "| `schedule.epochs=40` | 17.1 | 14.8-19.6 | 0.582 | 10.7 | best |" in text
    assert "given up" in text


def test_every_link_inside_the_project_leads_somewhere() -> None:
    root = Path(__file__).parents[3]
    for document in documents.documents(root):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
