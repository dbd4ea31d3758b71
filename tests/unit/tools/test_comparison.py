"""docs/comparison.md: forty needs, counted, each with a link to what shows it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

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


def test_the_tests_that_are_linked_exist() -> None:
    linked = re.findall(r"\]\(\.\./([^)#]+)#(\w+)\)", TEXT)
    assert len(linked) > 30
    for file, name in linked:
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), (file, name)


def test_sources_of_others_are_named_with_a_commit_that_the_page_names() -> None:
    used = {key for row in rows() for key in re.findall(r"\]\[(\w+)\]", " ".join(row))}
    assert used == set(REFERENCES)
    commits = set(re.findall(r"/tree/([0-9a-f]{40})\)", TEXT))
    assert len(commits) == 3
    for url in REFERENCES.values():
        commit = re.match(r"https://github.com/[\w/-]+/blob/([0-9a-f]{40})/\S+", url)
        assert commit and commit[1] in commits, url
