"""Output of figures: to a file, or as SVG inside a page, in light and dark mode, with photos as WebP."""

from __future__ import annotations

import base64
import io
import re
import warnings
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from alexnet.errors import CommandError, WorkError
from alexnet.report.plots.style import DOTS_PER_INCH
from alexnet.text import printable

KEPT_SUFFIXES = (".png", ".svg")
"""File formats of saved figures, for pages and for slides."""
WEBP_QUALITY = 82
PIXELS_PER_INCH = 96
_FONTS = "'DejaVu Sans', Verdana, 'Segoe UI', Arial, sans-serif"
"""First the font with which widths were measured, then similar and narrower ones, so that nothing is cut
off."""
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DARK = {
    "#000000": "#e9e7e2",
    "#ffffff": "#16181b",
    "#b0b0b0": "#8a9096",
    "#0072b2": "#4aa3df",
    "#56b4e9": "#2d6690",
    "#e69f00": "#8f6300",
    "#d55e00": "#e8762b",
}
"""Colors on a dark page. Backgrounds of text become darker, because the text becomes light."""
_BEHIND_TEXT = ("#56b4e9", "#e69f00")
"""Colors that remain light if they are marks in a chart."""


FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def refuse_other_suffix(out: Path) -> None:
    """CommandError if the suffix is not that of a figure format."""
    if out.suffix not in FIGURE_SUFFIXES:
        raise CommandError(
            f"{out} is not the name of a figure: it must end in {' or '.join(FIGURE_SUFFIXES)}"
        )


def save(figure: Figure, path: Path) -> Path:
    """Writes PNG, SVG or PDF by the suffix of `path`, and returns it; a figure always gives the same PNG.

    WorkError if it cannot be written.
    """
    _make_printable(figure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except OSError as error:
        raise WorkError(f"cannot write {path} ({error.strerror or error}): choose another place") from error
    return path


def embedded(figure: Figure) -> tuple[str, int, int]:
    """A `data:` address of the figure as SVG, with its width and height in pixels of a page.

    The background is transparent; black and white are swapped if the reader prefers a dark page. The same
    figure always gives the same text.
    """
    _make_printable(figure)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", _svg(figure), flags=re.DOTALL)
    text = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", _smaller, text[text.index("<svg") :])
    text = text.replace("'DejaVu Sans'", _FONTS)
    text = text.replace("<defs>", f"<style>{_dark_rules()}</style>\n <defs>", 1)
    source = "data:image/svg+xml;base64," + base64.b64encode(text.encode("utf-8", "replace")).decode()
    width, height = (round(inches * PIXELS_PER_INCH) for inches in figure.get_size_inches())
    return source, width, height


def _make_printable(figure: Figure) -> None:
    """Escapes what no font has, in all texts: control characters, and bytes of names that are not UTF-8."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "alexnet"}):
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from", UserWarning
        )  # the reader's fonts have these glyphs
        figure.savefig(buffer, format="svg", dpi=DOTS_PER_INCH, transparent=True, metadata={"Date": None})
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", buffer.getvalue())


def _smaller(found: re.Match[str]) -> str:
    """The same image as WebP if that is smaller."""
    png = base64.b64decode(found[1])
    with Image.open(io.BytesIO(png)) as image:
        webp = io.BytesIO()
        image.save(webp, "WEBP", quality=WEBP_QUALITY, method=4)
    if webp.tell() >= len(png):
        return found[0]
    return "data:image/webp;base64," + base64.b64encode(webp.getvalue()).decode()


def _dark_rules() -> str:
    rules = [f"text {{ fill: {_DARK['#000000']} }}"]
    for light, dark in _DARK.items():
        for kind in ("fill", "stroke"):
            rules.append(f'[style*="{kind}: {light}"], [{kind}="{light}"] {{ {kind}: {dark} !important }}')
    rules += [f'use[style*="fill: {light}"] {{ fill: {light} !important }}' for light in _BEHIND_TEXT]
    # Matplotlib writes no color for black marks.
    rules.append(f'use[style*="fill-opacity"]:not([style*="fill:"]) {{ fill: {_DARK["#000000"]} }}')
    return f"@media screen and (prefers-color-scheme: dark) {{ {' '.join(rules)} }}"
