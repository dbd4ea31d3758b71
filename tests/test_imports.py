"""Which part may import which: the edges that docs/design.md forbids, and no import circles.

Imports inside functions and under TYPE_CHECKING count too. The package's own `__init__` stands outside: it
offers everything and imports it when it is first used.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src"
FORBIDDEN = [
    ("alexnet.models", "alexnet.training"),
    ("alexnet.data", "alexnet.models"),
    ("alexnet.training", "alexnet.report"),
    ("alexnet.runs", "torch"),
    ("alexnet.report.plots", "torch"),
    ("alexnet", "tools"),
    ("alexnet", "benchmarks"),
]
ENTRY_POINTS = ("alexnet.cli", "alexnet.__main__")


def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "alexnet").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def _imports(path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of the package that a file imports, and the top names of other packages."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # What a package offers it imports when it is first used.
    for node in tree.body if path.name == "__init__.py" else ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in inner]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            # To import a module is to import the packages it is in.
            found |= (
                {".".join([first, *rest[:depth]]) for depth in range(len(rest) + 1)}
                if first == "alexnet"
                else {first}
            )
    return found


def _packages_of(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}


MODULES = _modules()
GRAPH = {name: _imports(path, MODULES) - _packages_of(name) for name, path in MODULES.items()}


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize(("importer", "imported"), FORBIDDEN)
def test_no_file_imports_what_its_package_must_not(importer: str, imported: str) -> None:
    sources = [name for name in GRAPH if _is_in(name, importer)]
    assert sources, f"there is no {importer}"
    found = [(name, other) for name in sources for other in sorted(GRAPH[name]) if _is_in(other, imported)]
    assert not found


@pytest.mark.parametrize(
    ("imported", "importers"),
    [("alexnet.cli", ENTRY_POINTS), ("alexnet.web", (*ENTRY_POINTS, "alexnet.web"))],
)
def test_only_entry_points_import_the_command_line_and_the_web_server(
    imported: str, importers: tuple[str, ...]
) -> None:
    assert any(_is_in(name, imported) for name in GRAPH)
    found = [
        (name, other)
        for name in sorted(GRAPH)
        if not any(_is_in(name, allowed) for allowed in importers)
        for other in sorted(GRAPH[name])
        if _is_in(other, imported)
    ]
    assert not found


def test_there_are_no_import_circles() -> None:
    inner = {name: others & MODULES.keys() - {"alexnet"} for name, others in GRAPH.items()}
    TopologicalSorter(inner).prepare()  # CycleError names the modules of a circle
