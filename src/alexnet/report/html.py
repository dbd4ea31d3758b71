"""HTML put together from elements: whatever is not an element itself is text, and escaped."""

from __future__ import annotations

import html


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
