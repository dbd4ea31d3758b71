"""The requests in the documents, sent by curl to a real server, have the documented responses."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import odd_uploads
import pytest

DOCS = Path(__file__).parents[3] / "docs"
ADDRESS = "http://127.0.0.1:8000"
"""Of the documents; the default port."""
REQUEST = re.compile(r"^(curl [^\n]*)\n```\n+```json\n(.*?)```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def documented() -> list[tuple[str, Any]]:
    """Each command with the response below it; `"..."` in a list stands for more of the same."""
    texts = [(DOCS / name).read_text("utf-8") for name in ("serve.md", "own-photos.md")]
    found = [(command, json.loads(response)) for text in texts for command, response in REQUEST.findall(text)]
    assert len(found) == sum(text.count("\ncurl ") for text in texts) >= 3
    return found


@pytest.mark.parametrize(("command", "response"), documented())
def test_a_documented_request_has_the_documented_response(
    url: str, tmp_path: Path, command: str, response: Any
) -> None:
    (photo,) = re.findall(r"@(\S+)", command)
    damaged = odd_uploads.plain()[:300] if "error" in response else odd_uploads.plain()
    (tmp_path / photo).write_bytes(damaged)
    assert ADDRESS in command
    words = shlex.split(command.replace(ADDRESS, url))
    words = [words[0], "--silent", "--noproxy", "*", *words[1:]]
    sent = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True)
    assert shape(json.loads(sent.stdout)) == shape(response)


def shape(document: Any) -> Any:
    """The keys and the kinds of values; of a list those of its first entry."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    return float if isinstance(document, float) else type(document)
