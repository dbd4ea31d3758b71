"""The house keeps its shape: levels, who may import torch, documented names, sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "alexnet"
FILES = sorted(SOURCE.rglob("*.py"))

LEVELS = (
    {
        "published",
        "config",
        "classic_config",
        "schedule_config",
        "optimizer_config",
        "box_config",
        "plain",
        "errors",
        "files",
    }
    | {"machine", "distributed", "cost"},
    {"layers", "optim", "data", "runs", "recipes", "classic"},
    {"models"},
    {"training", "evaluation"},
    {"features", "figures"},
    {"report", "benchmarks", "exchange"},
    {"pictures"},
    {"recorded", "web", "claims"},
    {"cli"},
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
ROOTS = {"__init__", "__main__"}
"""The package's face: it may import any room, and any room may import its version."""
WITHOUT_TORCH = ("runs", "figures", "report")
MAX_LINES = 300
MAX_FUNCTION_LINES = 60


def name(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def room_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Full names of what is imported, `from a import b` as `a.b`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def all_imports(file: Path) -> set[str]:
    return set(imports(ast.walk(tree_of(file))))


def imports_at_start(file: Path) -> set[str]:
    """What importing the module imports: all but what stands in functions."""

    def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not _for_types_only(child):
                yield child
                yield from outside_functions(child)

    return set(imports(outside_functions(tree_of(file))))


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def is_package(imported: str, *packages: str) -> bool:
    return any(imported == package or imported.startswith(package + ".") for package in packages)


def test_every_room_has_a_level() -> None:
    rooms = {room_of(file) for file in FILES} - ROOTS
    assert rooms <= set(LEVEL_OF), "put the new room into docs/design.md's levels and into this test"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_imports_only_from_lower_levels(file: Path) -> None:
    here = room_of(file)
    if here in ROOTS:
        return
    used = {full.split(".")[1] for full in all_imports(file) if full.startswith("alexnet.")} & set(LEVEL_OF)
    foundations = LEVELS[0] if here in LEVELS[0] else {here}
    wrong = {room for room in used - foundations if LEVEL_OF[room] >= LEVEL_OF[here]}
    assert not wrong, f"{here} (level {LEVEL_OF[here]}) imports {sorted(wrong)}: not below it"


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_reading_runs_needs_no_torch(room: str) -> None:
    users = [
        name(f) for f in FILES if room_of(f) == room if any(is_package(i, "torch") for i in all_imports(f))
    ]
    assert not users


def test_only_one_file_knows_torch_distributed() -> None:
    users = [name(f) for f in FILES if any(is_package(i, "torch.distributed") for i in all_imports(f))]
    assert set(users) <= {"distributed.py"}


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) == "cli"], ids=name)
def test_a_verb_imports_nothing_heavy_before_it_runs(file: Path) -> None:
    heavy = ("torch", "numpy", "pyarrow", "scipy", "matplotlib", "starlette", "uvicorn")
    assert not {i for i in imports_at_start(file) if is_package(i, *heavy)}


@pytest.mark.parametrize("file", FILES, ids=name)
def test_files_and_functions_are_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    functions = [n for n in ast.walk(tree_of(file)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f.name for f in functions if (f.end_lineno or f.lineno) - f.lineno + 1 > MAX_FUNCTION_LINES]
    assert not long


@pytest.mark.parametrize("file", FILES, ids=name)
def test_public_names_are_documented(file: Path) -> None:
    tree = tree_of(file)
    holders: list[ast.AST] = [tree]
    missing = [] if ast.get_docstring(tree) else ["the module"]
    while holders:
        for node in ast.iter_child_nodes(holders.pop()):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overloaded = any("overload" in ast.unparse(d) for d in node.decorator_list)
            if not ast.get_docstring(node) and not overloaded:
                missing.append(node.name)
            if isinstance(node, ast.ClassDef):
                holders.append(node)
    assert not missing


def test_no_rooms_for_odds_and_ends() -> None:
    names = {part.removesuffix(".py") for file in FILES for part in file.relative_to(SOURCE).parts}
    assert not names & {"utils", "util", "helpers", "helper", "legacy", "misc", "common"}


def test_the_design_names_the_same_levels() -> None:
    text = (SOURCE.parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```") if "published config classic_config" in part)
    assert [set(level.split()) for level in block.split("<")] == [set(level) for level in LEVELS]
