"""The files of the page, for the server and for a folder of static files."""

from __future__ import annotations

from importlib.resources import files

import jinja2

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "page.js": "text/javascript",
    "api.js": "text/javascript",
    "render.js": "text/javascript",
    "canvas.js": "text/javascript",
    "camera.js": "text/javascript",
}
"""The page's files and their types. The server reads them once and serves no others."""


def page_file(name: str, source: str = "", **values: object) -> bytes:
    """The contents of one of the page's files; `index.html` is a template, rendered with `values`.

    `source` is another file of the folder that takes its place.
    """
    text = (files("alexnet.web") / "page" / (source or name)).read_text("utf-8")
    if name == "index.html":
        text = (
            jinja2.Environment(autoescape=True, keep_trailing_newline=True).from_string(text).render(values)
        )
    return text.encode()
