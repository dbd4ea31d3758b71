"""The HTML page of a report: its parts, and its rendering by Jinja2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2

from alexnet import __version__
from alexnet.report.tables import Table
from alexnet.text import printable


@dataclass(frozen=True)
class Picture:
    """An image inside the page."""

    source: str
    """A `data:` address."""
    width_pixels: int
    """Its full width; on a narrow screen it scrolls instead of becoming too small to read."""
    height_pixels: int
    alt: str
    """A description for readers who cannot see the image."""
    label: str
    """What it shows, in a few words."""
    caption: str = ""


@dataclass(frozen=True)
class Commands:
    """Lines for a terminal."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Missing:
    """A sentence on what is missing, why, and what to type to get it."""

    sentence: str


@dataclass(frozen=True)
class Folded:
    """Parts that are hidden until their summary is opened; they are shown in print."""

    summary: str
    content: Table | Commands


Part = str | Picture | Table | Commands | Missing | Folded
"""A part of a section; text is a paragraph."""


@dataclass(frozen=True)
class Section:
    """A heading with its parts; `inner` sections have headings one level lower."""

    title: str
    parts: Sequence[Part]
    inner: Sequence[Section] = ()


FEW_SECTIONS = 6
"""Up to this many sections, the contents list their inner sections too."""


def page(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole document; `lead` are the sentences below its title, before the contents."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alexnet.report"),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=sections,
        few=FEW_SECTIONS,
        style=files("alexnet.report").joinpath("page.css").read_text(encoding="utf-8"),
        version=__version__,
        kind_of=_kind_of,
        groups=_groups,
        cell_class=_cell_class,
    )


def _printable(value: Any) -> Any:
    """Text, such as the name of a file, without control characters other than line breaks."""
    if not isinstance(value, str) or hasattr(value, "__html__"):  # of the template itself
        return value
    return "\n".join(map(printable, value.split("\n")))


def _kind_of(part: Part) -> str:
    return type(part).__name__


def _groups(table: Table) -> list[list[Sequence[str]]]:
    """Groups of the table's rows, split at the empty ones."""
    groups: list[list[Sequence[str]]] = [[]]
    for row in table.rows:
        if row:
            groups[-1].append(row)
        else:
            groups.append([])
    return [rows for rows in groups if rows]


ON_ONE_LINE = 22
"""Cells of up to this many characters are not wrapped."""


def _cell_class(table: Table, column: str, cell: str = "") -> str | None:
    """CSS classes: numbers are right-aligned, short cells are not wrapped; None without any."""
    classes = ["number"] * (column in table.numeric) + ["whole"] * (0 < len(cell) <= ON_ONE_LINE)
    return " ".join(classes) or None
