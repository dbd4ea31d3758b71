"""Tables in documents come from results/, and a stale one is found."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from evaluations import evaluation, write

from tools import documents

PLACE = "before\n<!-- table: imagenette -->\n<!-- end -->\nafter\n"


def write_result(root: Path, recipe: str, top1_errors: int) -> None:
    folder = root / "results" / f"imagenette-{recipe}"
    write(folder, evaluation(top1_errors + 20, "center"), evaluation(top1_errors, "ten"))
    config = {
        "recipe": recipe,
        "schedule": {"epochs": 91},
        "data": {"image_size": 128, "input_size": 112},
        "training": {"seed": 0},
    }
    files = {
        "config.json": config,
        "environment.json": {"device": "cpu (2 threads)", "processor": "Test"},
    }
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    lines = [{"event": "train", "step": 1, "epoch": 0, "seconds": seconds} for seconds in (60.0, 600.0)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["documents", *words])
    return documents.main()


def test_the_table_is_written_best_first_and_then_found_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text(PLACE)
    write_result(tmp_path, "worse", 300)
    write_result(tmp_path, "better", 200)
    write_result(tmp_path, "whole-squares", 100)
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
    assert "| 22.0 | 20.0 | 17.6-22.6 | 20 | 10 | - | - | 0 |" in text
    assert run(monkeypatch, str(tmp_path), "--check") == 0
    (tmp_path / "README.md").write_text(text.replace("20.0", "15.0"))
    assert run(monkeypatch, str(tmp_path), "--check") == 1


def test_a_picture_is_drawn_if_its_description_changes_or_it_is_missing(
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


def test_every_link_inside_the_project_leads_somewhere() -> None:
    root = Path(__file__).parents[3]
    for document in documents.documents(root):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
