"""Seeded mutations of bytes and of JSON documents."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

DEEP = "[" * 100_000 + "]" * 100_000
TEXTS: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b'"text"',
    b"0",
    b"[[]]",
    b"[null]",
    b"{",
    b'{"a": }',
    b"\xff\xfe",
    b'{"\xff": 1}',
    b"\x00" * 20,
    b'{"version": NaN, "format_version": NaN}',
    b'{"version": 99, "format_version": 99}',
    b'{"version": null, "format_version": null}',
    b'{"a": ' + b"9" * 400 + b"}",
    b'{"a": ' + b"9" * 5000 + b"}",
    DEEP.encode(),
    b'{"a": ' * 600 + b"1" + b"}" * 600,
)
"""Contents of a file that should have a JSON object."""
VALUES: tuple[Any, ...] = (
    None,
    True,
    [],
    {},
    [None],
    [[[]]],
    {"a": {"b": []}},
    "",
    "text",
    "\x1b[31m\n",
    "\ud800",
    -1,
    0,
    2**62,
    2**70,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
)
"""What a value of a document is replaced by."""


def changed_documents(document: Any, count: int, seed: int) -> Iterator[str]:
    """JSON texts of the document, each with one to three values replaced or removed."""
    generator = random.Random(seed)
    for _ in range(count):
        made = copy.deepcopy(document)
        for _ in range(generator.randint(1, 3)):
            places = list(_places(made))
            if not places:
                break
            container, key = generator.choice(places)
            if generator.random() < 0.2:
                del container[key]
            else:
                container[key] = copy.deepcopy(generator.choice(VALUES))
        yield json.dumps(made)


def changed_bytes(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The bytes with some of them changed, removed, inserted, doubled or cut off."""
    generator = random.Random(seed)
    for _ in range(count):
        made = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(made) + 1)
            length = generator.choice((1, 1, 1, 4, 100))
            kind = generator.randrange(5)
            if kind == 0:
                made[place : place + length] = generator.randbytes(length)
            elif kind == 1:
                del made[place : place + length]
            elif kind == 2:
                made[place:place] = generator.choice((b"\0", b"\xff", b"\x7f")) * length
            elif kind == 3:
                made[place:place] = made[place : place + length]
            elif generator.random() < 0.3:
                del made[place:]
        yield bytes(made)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container within a document, with each of its keys."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(entries):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
