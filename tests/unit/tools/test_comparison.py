"""docs/comparison.md: forty needs, counted, each with a link to what shows it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "comparison.md").read_text("utf-8")
LIBRARIES = ("alexnet", "timm", "torchvision's references", "fastai")
REFERENCES = dict(re.findall(r"^\[(\w+)\]: (\S+)$", TEXT, re.MULTILINE))


def rows() -> list[list[str]]:
    """The cells of the rows of the tables of needs."""
    lines = TEXT.partition("## The forty needs")[2].partition("\n## ")[0].splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return [row for row in cells if row[0] != "need"]


def test_there_are_forty_needs_and_the_summary_counts_them() -> None:
    found = rows()
    assert len(found) == len({row[0] for row in found}) == 40
    for column, library in enumerate(LIBRARIES, 1):
        counts = Counter(re.match(r"\[?(yes|partly|no)\b", row[column])[1] for row in found)  # pyright: ignore[reportOptionalSubscript]
        assert f"| {library} | {counts['yes']} | {counts['partly']} | {counts['no']} |" in TEXT


def test_what_is_met_has_a_link_and_what_is_not_has_none() -> None:
    for need, own, *others in rows():
        assert own == "no" or re.match(r"\[(yes|partly)\]\(\S+\)(: |$)", own), need
        for cell in others:
            assert cell == "no" or re.match(r"\[(yes|partly)\]\[\w+\](: |$)", cell), need
            assert not cell.startswith("[partly]") or ": " in cell, (need, cell)


DEVELOPMENT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
INSTALLED = {re.split(r"[^\w-]", each)[0] for group in DEVELOPMENT.values() for each in group}
"""Packages that are there where all tests run."""
ABSENT = ("shared_data", "chromium", "gpu", "data")
"""Fixtures and marks of tests that need what a machine may not have."""


def reasons_to_skip(module: ast.Module, name: str) -> Iterator[str]:
    """Why a whole test may be skipped: its fixtures, marks and lines, and the marks of its file for all."""
    (test,) = [each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name]
    outside = [each for each in module.body if not isinstance(each, ast.FunctionDef | ast.ClassDef)]
    marks = [each for each in outside if ast.unparse(each).startswith("pytestmark")]
    yield from (each.arg for each in test.args.args if each.arg in ABSENT)
    for decorator in test.decorator_list:
        mark = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if mark.rpartition(".")[2] in ("skip", "skipif", *ABSENT):
            yield mark
    for node in [inner for each in (*marks, *test.body) for inner in ast.walk(each)]:
        if isinstance(node, ast.Attribute) and node.attr in ("skip", "skipif"):
            yield ast.unparse(node)
    for node in [inner for each in (*outside, *test.body) for inner in ast.walk(each)]:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
            (package,) = node.args
            if not (isinstance(package, ast.Constant) and package.value in INSTALLED):
                yield ast.unparse(node)


def test_the_tests_that_are_linked_exist_and_are_not_skipped() -> None:
    linked = re.findall(r"\]\(\.\./([^)#]+)#(\w+)\)", TEXT)
    assert len(linked) > 30
    for file, name in linked:
        module = ast.parse((ROOT / file).read_text("utf-8"))
        assert not list(reasons_to_skip(module, name)), (file, name)


@pytest.mark.parametrize(
    ("test", "reasons"),
    [
        ("def test():\n    pytest.importorskip('datasets')", []),
        ("def test():\n    pytest.importorskip('trackio')", ["pytest.importorskip('trackio')"]),
        ("other = pytest.importorskip(name)\ndef test(): ...", ["pytest.importorskip(name)"]),
        ("pytestmark = pytest.mark.skipif(x)\ndef test(): ...", ["pytest.mark.skipif"]),
        ("@pytest.mark.skipif(x)\ndef test(): ...", ["pytest.mark.skipif"]),
        ("@pytest.mark.gpu\ndef test(shared_data):\n    pass", ["shared_data", "pytest.mark.gpu"]),
        ("def test():\n    if x:\n        pytest.skip('none here')", ["pytest.skip"]),
        ("@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.skip)])\ndef test(x): ...", []),
        ("@pytest.mark.skip\ndef other(): ...\ndef test(): ...", []),
        ("CASES = [pytest.param(1, marks=pytest.mark.skip)]\ndef test(): ...", []),
    ],
)
def test_reasons_to_skip(test: str, reasons: list[str]) -> None:
    assert list(reasons_to_skip(ast.parse(test), "test")) == reasons


def test_sources_of_others_are_named_with_a_commit_that_the_page_names() -> None:
    used = {key for row in rows() for key in re.findall(r"\]\[(\w+)\]", " ".join(row))}
    assert used == set(REFERENCES)
    commits = set(re.findall(r"/tree/([0-9a-f]{40})\)", TEXT))
    assert len(commits) == 3
    for url in REFERENCES.values():
        commit = re.match(r"https://github.com/[\w/-]+/blob/([0-9a-f]{40})/\S+", url)
        assert commit and commit[1] in commits, url
