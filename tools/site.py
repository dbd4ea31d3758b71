"""The site of the documentation: `python -m tools.site` builds it from README, docs and results, offline.

The documents are plain Markdown that links to files of the repository. `stage` copies them to a folder in the
same places, with the pictures and files they link to; a link to a folder leads to its README. mkdocs makes
pages of them, and fails if a link leads nowhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, SITE = Path("build", "site-source"), Path("build", "site")
DOCUMENTS = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("docs/**/*.md", "docs/**/*.ipynb", "results/**/*.md"),
)
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(\))")


def stage(root: Path, target: Path) -> list[Path]:
    """Copies all documents and what they link to into `target`; returns the documents, relative to it.

    FileNotFoundError for a link that leads nowhere.
    """
    shutil.rmtree(target, ignore_errors=True)
    documents = sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)})
    for document in documents:
        staged_link = partial(_staged_link, document=document, root=root, target=target)
        text = _LINK.sub(staged_link, document.read_text())
        _write(target / document.relative_to(root), text)
    return [document.relative_to(root) for document in documents]


def _staged_link(found: re.Match[str], document: Path, root: Path, target: Path) -> str:
    """The link, which leads to a folder's README; copies a file that is no document."""
    opening, link, anchor, closing = found.groups(default="")
    linked = document.parent / link
    if linked.is_dir():
        linked, link = linked / "README.md", f"{link.rstrip('/')}/README.md"
    if not linked.is_file():
        raise FileNotFoundError(f"{document.relative_to(root)} links to {link}, which does not exist")
    if linked.suffix not in (".md", ".ipynb"):
        copy = target / os.path.relpath(linked, root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(linked, copy)
    return f"{opening}{link}{anchor}{closing}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main() -> int:
    """Builds the site; returns the exit code of mkdocs, whose warnings are errors."""
    os.chdir(ROOT)
    stage(ROOT, ROOT / SOURCE)
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--clean"]
    code = subprocess.run(words, check=False).returncode
    if code == 0:
        print(f"{SITE / 'index.html'}: open it, or `python -m http.server --directory {SITE}`")
    return code


if __name__ == "__main__":
    sys.exit(main())
