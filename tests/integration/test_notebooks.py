"""Every notebook of the documentation runs from its first to its last cell, in a new kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tools.notebooks import FOLDER, execute, read

SHORTER = {"epochs=8": "epochs=2", "epochs=3": "epochs=1", "minutes=1,": "minutes=0.3,"}
"""Settings that are made smaller, since the test is not about errors."""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook's client, on its event loop
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.ipynb")))
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kept, made = read(name), read(name)
    for cell in made.cells:
        for long, short in SHORTER.items():
            cell.source = cell.source.replace(long, short)
    execute(made)
    for new, old in zip(made.cells, kept.cells, strict=True):
        if new.cell_type == "code":
            assert [each.output_type for each in _shown(new)] == [each.output_type for each in _shown(old)]


def _shown(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cell's results and pictures; how printed lines are grouped depends on their timing."""
    return [each for each in cell.outputs if each.output_type != "stream"]
