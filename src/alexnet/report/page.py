"""HTML put together from elements: whatever is not an element itself is text, and escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from alexnet import __version__
from alexnet.report.tables import Table


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *inner: str, **attributes: str) -> Html:
    """`<name attribute="...">inner</name>`; plain text inside and in attributes is escaped.

    A trailing underscore of an attribute's name goes, so that `class_` can be said; others become hyphens.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(*inner)}</{name}>")


def joined(*parts: str) -> Html:
    """All of them one after the other, plain text escaped."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


_EMPTY = ("img", "meta", "br")


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    source: str
    """A `data:` address."""
    width_pixels: int
    """As wide as it is meant to be shown; on a narrow screen it is scrolled rather than made tiny."""
    height_pixels: int
    alt: str
    """What is seen, for those who do not see it."""
    caption: str = ""


@dataclass(frozen=True)
class Commands:
    """Lines for a terminal."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Missing:
    """A sentence that says what is not there, why, and what to type for it."""

    sentence: str


@dataclass(frozen=True)
class Folded:
    """What is shown when its summary is opened, and in print."""

    summary: str
    table: Table


FEW = 6
"""Chapters whose inner ones the contents name too."""
Part = str | Picture | Table | Commands | Missing | Folded
"""Of a chapter; text is a paragraph of its own."""


@dataclass(frozen=True)
class Chapter:
    """A heading with what stands below it; `inner` have headings a level lower."""

    title: str
    parts: Sequence[Part]
    inner: Sequence[Chapter] = ()


def page(title: str, lead: Sequence[str], chapters: Sequence[Chapter]) -> str:
    """The whole document; `lead` are the sentences below its title, before the list of its chapters."""
    anchors = list(_anchors(chapters))
    body = [
        element("a", "To the contents", href="#contents", class_="skip"),
        element(
            "header", element("h1", title), *(element("p", sentence, class_="lead") for sentence in lead)
        ),
        _contents(chapters, iter(anchors)),
        element("main", *_chapters(chapters, 2, iter(anchors))),
        element("footer", element("p", f"Written by alexnet {__version__}. The page needs no network.")),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(files("alexnet.report").joinpath("page.css").read_text(encoding="utf-8"))),
    ]
    whole = element("html", element("head", *head), "\n", element("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def _anchors(chapters: Sequence[Chapter]) -> Iterator[str]:
    """An id for each chapter and those in it, in reading order, no two alike."""
    for number, _ in enumerate(_all(chapters)):
        yield f"part-{number}"


def _all(chapters: Sequence[Chapter]) -> Iterator[Chapter]:
    for chapter in chapters:
        yield chapter
        yield from _all(chapter.inner)


def _contents(chapters: Sequence[Chapter], anchors: Iterator[str]) -> Html:
    """Links to the chapters and, unless these are many, to those in each."""
    items: list[Html] = []
    for chapter in chapters:
        link = element("a", chapter.title, href=f"#{next(anchors)}")
        inner = [element("li", element("a", each.title, href=f"#{next(anchors)}")) for each in chapter.inner]
        shown = [element("ul", *inner)] if inner and len(chapters) <= FEW else []
        items.append(element("li", link, *shown))
    return element("nav", element("ul", *items), id="contents", aria_label="Contents")


def _chapters(chapters: Sequence[Chapter], level: int, anchors: Iterator[str]) -> list[Html]:
    made: list[Html] = []
    for chapter in chapters:
        anchor = next(anchors)
        heading = element(f"h{level}", chapter.title, id=anchor)
        inner = [_part(part) for part in chapter.parts], _chapters(chapter.inner, level + 1, anchors)
        whole = element("section", heading, *inner[0], *inner[1], aria_labelledby=anchor, class_=f"l{level}")
        made.append(joined("\n", whole))
    return made


def _part(part: Part) -> Html:
    match part:
        case str():
            return element("p", part)
        case Picture():
            return _picture(part)
        case Table():
            return _table(part)
        case Commands():
            return element("pre", *(element("code", line) for line in part.lines))
        case Missing():
            return element("p", part.sentence, class_="missing")
        case Folded():
            return element("details", element("summary", part.summary), _table(part.table))


def _picture(picture: Picture) -> Html:
    width, height = picture.width_pixels, picture.height_pixels
    image = element(
        "img",
        src=picture.source,
        alt=picture.alt,
        width=str(width),
        height=str(height),
        style=f"min-width: min({width}px, 48rem)",
    )
    label = picture.caption or re.split(r"[.:;]", picture.alt, maxsplit=1)[0]
    scrolled = element("div", image, class_="scrolled", tabindex="0", role="group", aria_label=label)
    below = [element("figcaption", picture.caption)] if picture.caption else []
    return element("figure", scrolled, *below)


def _table(table: Table) -> Html:
    """Its first column heads the rows; empty rows part them into groups."""
    groups: list[list[Html]] = [[]]
    for row in table.rows:
        if row:
            groups[-1].append(_row(row, table))
        else:
            groups.append([])
    head = element("tr", *(element("th", name, scope="col", **_look(name, table)) for name in table.columns))
    caption = [element("caption", element("span", table.title))] if table.title else []
    bodies = [element("tbody", *rows) for rows in groups if rows]
    whole = element("table", *caption, element("thead", head), *bodies)
    label = table.title or ", ".join(table.columns)
    scrolled = element("div", whole, class_="scrolled", tabindex="0", role="group", aria_label=label)
    return joined(scrolled, *(element("p", note, class_="note") for note in table.notes))


def _row(row: Sequence[str], table: Table) -> Html:
    first = element("th", row[0], scope="row")
    rest = zip(table.columns[1:], row[1:], strict=True)
    return element("tr", first, *(element("td", cell, **_look(name, table, cell)) for name, cell in rest))


def _look(column: str, table: Table, cell: str = "") -> dict[str, str]:
    """Numbers are set flush right, and what is short stays on its line."""
    numeric, whole = column in table.numeric, 0 < len(cell) <= _ON_ONE_LINE
    classes = ["number"] * numeric + ["whole"] * whole
    return {"class_": " ".join(classes)} if classes else {}


_ON_ONE_LINE = 22
"""Characters of a cell that is not broken."""
