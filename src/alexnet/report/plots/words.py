"""Words on pictures."""

from __future__ import annotations


def short(name: str, characters: int = 26) -> str:
    """The first of several synonyms, cut where it would not fit."""
    first = name.split(",")[0]
    return first if len(first) <= characters else first[: characters - 1] + "…"


def about(run: str, data: str, images: int | None) -> str:
    """What every picture is titled with, such as `modern - nette val, 1,975 images`; None is not known."""
    many = "" if images is None else f", {images:,} image{'' if images == 1 else 's'}"
    return f"{run} \N{EN DASH} {data}{many}"
