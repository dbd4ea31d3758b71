"""Executes the notebooks of the documentation and saves their outputs."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SECONDS = 600
"""Of one cell, at most."""


def read(name: str) -> nbformat.NotebookNode:
    """The notebook of this name."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def execute(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells in a new kernel and replaces their outputs; CellExecutionError if a cell fails."""
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False).execute()


def main(names: list[str]) -> None:
    """`python -m tools.notebooks [NAME...]`: executes these notebooks, or all, in place."""
    for file in sorted(FOLDER.glob("*.ipynb")):
        if not names or file.stem in names:
            notebook = read(file.stem)
            execute(notebook)
            nbformat.write(notebook, file)
            print(file.relative_to(FOLDER.parents[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
