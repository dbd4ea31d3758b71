"""The site has every document, and its sources lead where the documents do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from alexnet import errors
from tools.site import stage

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for folder in ("docs/images", "results/run"):
        (root / folder).mkdir(parents=True)
    (root / "README.md").write_text("[docs](docs/page.md#a-title) [elsewhere](https://example.org/x)")
    (root / "docs" / "page.md").write_text(
        "![picture](images/a.png) [run](../results/run) [code](../code.py)"
    )
    (root / "docs" / "images" / "a.png").write_bytes(b"png")
    (root / "results" / "run" / "README.md").write_text("# A run")
    (root / "code.py").write_text("pass")
    return root


def test_documents_are_copied_with_what_they_link_to(project: Path, tmp_path: Path) -> None:
    staged = stage(project, tmp_path / "site")
    assert [path.as_posix() for path in staged] == ["README.md", "docs/page.md", "results/run/README.md"]
    assert (tmp_path / "site" / "README.md").read_text() == (project / "README.md").read_text()
    page = (tmp_path / "site" / "docs" / "page.md").read_text()
    assert page == "![picture](images/a.png) [run](../results/run/README.md) [code](../code.py)"
    assert (tmp_path / "site" / "docs" / "images" / "a.png").read_bytes() == b"png"
    assert (tmp_path / "site" / "code.py").exists()


def test_a_link_that_leads_nowhere_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "docs" / "images" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"docs/page.md links to images/a.png, which does not exist"):
        stage(project, tmp_path / "site")


def test_every_document_is_in_the_navigation() -> None:
    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for each in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from pages(each)

    known = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    documents = [path for form in ("md", "ipynb") for path in (ROOT / "docs").rglob(f"*.{form}")]
    assert len(set(known)) == len(known)
    assert {path.relative_to(ROOT).as_posix() for path in documents} <= set(known)
    index = (ROOT / "docs" / "index.md").read_text()
    for path in documents:
        assert path.name == "index.md" or path.relative_to(ROOT / "docs").as_posix() in index, path


def test_every_exception_is_listed_with_its_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "docs/reference/exit-codes.md").read_text(), re.M)
    listed = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = [each for each in found if issubclass(each, errors.AlexNetError)]
    assert listed == {each.__name__: each.exit_code for each in kinds if each is not errors.AlexNetError}
