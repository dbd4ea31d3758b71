"""Damage to files, as disks and careless hands do it; a function of a random generator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

Mutation = Callable[[bytes, random.Random], bytes]


def flip_bit(data: bytes, chance: random.Random) -> bytes:
    """One bit."""
    changed, place = bytearray(data), chance.randrange(len(data))
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def change_digit(data: bytes, chance: random.Random) -> bytes:
    """One digit into another; a bit without digits."""
    places = [place for place, each in enumerate(data[:200_000]) if chr(each).isdigit() and each < 128]
    if not places:
        return flip_bit(data, chance)
    changed, place = bytearray(data), chance.choice(places)
    changed[place] = ord("0") + (changed[place] - ord("0") + chance.randrange(1, 10)) % 10
    return bytes(changed)


def truncate(data: bytes, chance: random.Random) -> bytes:
    """Its end is missing."""
    return data[: chance.randrange(len(data))]


def cut_line(data: bytes, chance: random.Random) -> bytes:
    """The last lines are missing, which leaves whole ones; the end of a file of one line."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return truncate(data, chance)
    return b"".join(lines[: chance.randrange(1, len(lines))])


def zero(data: bytes, chance: random.Random) -> bytes:
    """A range of it, or all of it, is zero, as after a loss of power."""
    start = chance.choice((0, chance.randrange(len(data))))
    stop = chance.choice((len(data), min(len(data), start + 512)))
    return data[:start] + bytes(stop - start) + data[stop:]


def swap_fields(data: bytes, chance: random.Random) -> bytes:
    """The values of two keys of a JSON object, somewhere in it; two blocks of another file."""
    try:
        document = json.loads(data)
    except ValueError:
        return swap_blocks(data, chance)
    objects = [each for each in _containers(document) if len(each) > 1]
    if not objects:
        return swap_blocks(data, chance)
    chosen = chance.choice(objects)
    keys = list(chosen) if isinstance(chosen, dict) else range(len(chosen))
    one, other = chance.sample(keys, 2)
    chosen[one], chosen[other] = chosen[other], chosen[one]
    return json.dumps(document, indent=2).encode() + b"\n"


def swap_blocks(data: bytes, chance: random.Random) -> bytes:
    """Two blocks of up to 512 bytes."""
    size = min(512, len(data) // 2)
    first = chance.randrange(len(data) - 2 * size + 1)
    second = chance.randrange(first + size, len(data) - size + 1)
    one, other = data[first : first + size], data[second : second + size]
    return data[:first] + other + data[first + size : second] + one + data[second + size :]


MUTATIONS: tuple[Mutation, ...] = (flip_bit, change_digit, truncate, cut_line, zero, swap_fields)


def mutate(path: Path, mutation: Mutation, chance: random.Random) -> bool:
    """Damages the file in place; returns whether it differs."""
    data = path.read_bytes()
    changed = mutation(data, chance) if data else b"x"
    path.write_bytes(changed)
    return changed != data


def _containers(document: object) -> list[dict[str, object] | list[object]]:
    """The objects and lists in a JSON document."""
    found: list[dict[str, object] | list[object]] = []
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            found.append(each)  # pyright: ignore[reportUnknownArgumentType]
            waiting.extend(each.values() if isinstance(each, dict) else each)  # pyright: ignore
    return found
