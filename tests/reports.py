"""Pages of `alexnet report` as a browser would read them, and commands as they are typed."""

from __future__ import annotations

import base64
import re
import sys
from html.parser import HTMLParser

import pytest

from alexnet.cli.main import main


class Seen(HTMLParser):
    """What a browser would make of the page, as far as the tests need it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != [("style", {})]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def pictures(seen: Seen) -> list[str]:
    """The SVG of each picture of the page."""
    start = "data:image/svg+xml;base64,"
    sources = [image["src"] for image in seen.all("img")]
    assert all(source.startswith(start) for source in sources)
    return [base64.b64decode(source.removeprefix(start)).decode() for source in sources]


def typed(words: list[str]) -> None:
    """As if typed in a terminal: the run keeps the command line of its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["alexnet", *words])
        assert main(words) == 0
