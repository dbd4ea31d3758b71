"""Executes the notebooks of the documentation and saves their outputs."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SECONDS = 600
"""Of one cell, at most."""


def execute(notebook: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a new run; CellExecutionError if a cell fails."""
    document = nbformat.read(notebook, as_version=4)
    NotebookClient(document, timeout=SECONDS, kernel_name="python3", record_timing=False).execute()
    return document


def main(names: list[str]) -> None:
    """`python -m tools.notebooks [NAME...]`: executes these notebooks, or all, in place."""
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        if not names or notebook.stem in names:
            nbformat.write(execute(notebook), notebook)
            print(notebook.relative_to(FOLDER.parents[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
