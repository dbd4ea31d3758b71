"""Which store a folder is to become: written first, so that half-done work goes on as what it began as."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from alexnet.data.header import VERSION, read_header
from alexnet.data.settings import Settings
from alexnet.data.sources import Source
from alexnet.errors import CommandError
from alexnet.files import is_left_over, write_json

Plan = dict[str, Any]
"""All settings, and what identifies the source."""

PLAN_FILE = "preparing.json"
_LEFT_BEHIND = (PLAN_FILE, "*.part", "*.note.json", "*.statistics.npz")


def make_plan(source: Source, settings: Settings) -> Plan:
    """What determines the store's bytes, but for the photos' own: half-done work is recognised by it."""
    facts = hashlib.sha256()
    for name, split in source.splits.items():
        facts.update(f"{name} {len(split)} ".encode() + split.labels.tobytes())
        for index in range(len(split)):
            facts.update(split.key(index).encode() + b"\n")
    facts.update(json.dumps([each.wnid for each in source.classes]).encode())
    return {"version": VERSION, **settings.to_dict(), "source": source.form, "photos": facts.hexdigest()}


def begin(path: Path, plan: Plan) -> None:
    """Makes the folder, or finds it half done with the same plan; CommandError where it is something else."""
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is a file: choose another STORE")
    if (path / PLAN_FILE).exists():
        _same_plan(path, json.loads((path / PLAN_FILE).read_text()), plan)
    elif path.exists() and not all(map(is_left_over, path.iterdir())):
        raise CommandError(f"{path} is not empty and no store: choose another STORE")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / PLAN_FILE, plan)


def _same_plan(path: Path, found: Plan, wanted: Plan) -> None:
    found = {"channels": 3, **found}  # what stores were before they said
    differ = [
        f"{key} {found.get(key)} (now {wanted[key]})" for key in wanted if found.get(key) != wanted[key]
    ]
    if differ:
        what = ", ".join("other photos" if each.startswith("photos ") else each for each in differ)
        raise CommandError(f"{path} was prepared with {what}: use the same settings, or choose another STORE")


def check_finished(path: Path, plan: Plan) -> None:
    """CommandError where the store at `path` is of another plan."""
    header = read_header(path)
    found = {name: getattr(header, name) for name in plan if name not in ("photos", "source")}
    _same_plan(path, {**found, "source": header.source["form"], "photos": header.source["sha256"]}, plan)


def forget(path: Path) -> None:
    """Leaves the folder free for other settings, if nothing in it is done yet."""
    if not any(path.glob("*.note.json")):
        clear(path)


def clear(path: Path) -> None:
    """Removes all that only unfinished work needs."""
    for pattern in _LEFT_BEHIND:
        for left in path.glob(pattern):
            left.unlink(missing_ok=True)
