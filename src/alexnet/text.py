"""Counts, percentages and names in lines of text, written alike everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `1,200 epochs`, `2 batches`."""
    plural = f"{noun}es" if noun.endswith(("tch", "s", "x")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def all_of(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def first_few(names: Sequence[str], most: int) -> str:
    """`a, b, c`, or `a, b, ...` if there are more than `most`."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant: the one rule for suggestions. Empty if none is near enough.

    It begins with `name` (of 3 letters or more; the shortest such), or at most a third of the letters of
    `name`, and always one, are to be inserted, deleted, replaced or exchanged with their neighbor. Upper and
    lower case, `-` and `_` are the same.
    """
    typed, known = _plain(name), list(names)
    begun = [each for each in known if len(typed) >= 3 and _plain(each).startswith(typed)]
    if begun:
        return min(begun, key=len)
    # Of names that are equally near, the last: conv7 was probably one too many.
    distances = [(_edits(typed, _plain(each)), -place, each) for place, each in enumerate(known)]
    edits, _, found = min(distances, default=(len(typed), 0, ""))
    return found if edits <= max(1, len(typed) // 3) < len(typed) else ""


def suggestion(name: str, names: Iterable[str], otherwise: str = "") -> str:
    """`the nearest is 'conv5'`; where none is near, `otherwise`, or the names to choose from."""
    known = list(names)
    if near := nearest(name, known):
        return f"the nearest is {near!r}"
    return otherwise or f"choose from: {first_few(known, 20)}"


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")


def _edits(one: str, other: str) -> int:
    """The number of insertions, deletions, replacements and exchanges of neighbors between two words.

    Source: Damerau 1964; "optimal string alignment", in which no letter is edited twice.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            edits = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                edits = min(edits, before[j - 2] + 1)
            row.append(edits)
        before, last = last, row
    return last[-1]


def printable(text: str) -> str:
    r"""The text without what a terminal would act on: a control character becomes `\x1b`, a line break
    `\n`, and a byte of a name that is not UTF-8 `\x80`. Spaces and letters of all scripts are unchanged.
    """
    return _NOT_PRINTABLE.sub(_escaped, text)


_NOT_PRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, changes of the writing direction, and surrogates."""


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    # Python decodes the bytes 0x80 to 0xff of a name that is not UTF-8 as surrogates.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(found[0])[1:-1]


def shown_path(path: str) -> str:
    """A path as a user types it: relative to the working directory if it is below it, else unchanged."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def percentage(fraction: float) -> str:
    """`16.7 %`; two decimals below 1 %, as in tables."""
    return f"{100 * fraction:.{2 if 0 < fraction < 0.01 else 1}f} %"


def sized(count: float) -> str:
    """`740 bytes`, `1.2 kB`, `34 MB`, `5.6 GB`; a unit is 1,000 of the one before it."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5 or unit == "GB":
            break
    return f"{count:,.1f} {unit}" if count < 9.95 else f"{count:,.0f} {unit}"


def duration(seconds: float) -> str:
    """`0.031 s`, `12 s`, `5 min` or `2 h 10 min`."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def encodable(text: str) -> str:
    """The text with what UTF-8 cannot encode escaped, such as the lone surrogate that JSON's "\\ud800" is."""
    return text.encode("utf-8", "backslashreplace").decode()
