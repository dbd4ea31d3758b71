"""The training loop stays a page: variants are functions handed in, not flags."""

from __future__ import annotations

import ast
from pathlib import Path

LOOP = Path(__file__).parents[2] / "src" / "alexnet" / "training" / "loop.py"
MAX_LINES = 200
MAX_IFS = 10


def test_the_loop_is_a_page() -> None:
    text = LOOP.read_text(encoding="utf-8")
    ifs = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.If | ast.IfExp)]
    assert len(text.splitlines()) <= MAX_LINES
    assert len(ifs) <= MAX_IFS
