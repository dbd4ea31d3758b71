"""Which part may import which: the edges that docs/design.md forbids, no import circles, and which packages
pyproject.toml must name.

Imports inside functions and under TYPE_CHECKING count too. The package's own `__init__` stands outside: it
offers everything and imports it when it is first used.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
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


PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = [
    each for name, each in PROJECT["optional-dependencies"].items() if name not in ("all", "docs", "dev")
]
ONLY_IF_FOUND = {"triton"}
"""Modules that torch brings along on some machines; they are imported where they are found."""


def _names(requirements: list[str]) -> set[str]:
    return {_normal(re.split(r"[^\w.-]", each)[0]) for each in requirements}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _outer_imports(node: ast.AST, always: bool = True) -> Iterator[tuple[str, bool]]:
    """Top names of the modules that a file imports, and whether each is imported with the file."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name.partition(".")[0], always) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module.partition(".")[0], always
        else:
            is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_type = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _outer_imports(child, always and not is_later and not is_type)


def test_what_is_imported_is_required_by_the_package_and_extras_are_imported_when_used() -> None:
    required, extra = _names(PROJECT["dependencies"]), _names([name for each in EXTRAS for name in each])
    distributions = packages_distributions()
    seen: set[str] = set()
    for path in MODULES.values():
        for name, always in _outer_imports(ast.parse(path.read_text(encoding="utf-8"))):
            if name not in {*sys.stdlib_module_names, *ONLY_IF_FOUND, "alexnet"}:
                packages = {_normal(each) for each in distributions[name]}
                assert packages & (required if always else required | extra), (path.name, name)
                seen |= packages
    assert {"h11", "torch", "scikit-learn", "onnx"} <= seen
