"""An ensemble's folder: a run folder for each member, and `ensemble.json`, which says who they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import CommandError, DataError, WorkError
from alexnet.files import is_left_over, write_json
from alexnet.runs.metrics_log import has_finished


@dataclass(frozen=True)
class EnsembleFolder:
    """The places in one ensemble's folder."""

    path: Path

    @property
    def members_file(self) -> Path:
        """`{name, members: [{name, recipe, seed, init_from, pretraining, settings, store, ...}]}`, JSON."""
        return self.path / "ensemble.json"

    @classmethod
    def begin(cls, path: Path, description: Mapping[str, Any]) -> EnsembleFolder:
        """The folder for the ensemble described, new, or begun before with all or fewer of its members.

        CommandError where it is another's, which says how they differ.
        """
        folder = cls(path)
        if is_ensemble(path):
            wanted = json.loads(json.dumps(description))
            other = _difference(folder.description()["members"], wanted["members"])
            if other:
                raise CommandError(
                    f"{path} was begun with {other}: give the same again, or another --out folder"
                )
            write_json(folder.members_file, wanted)  # there may be more members now
            return folder
        if path.is_file() or (path.exists() and not all(map(is_left_over, path.iterdir()))):
            raise CommandError(f"{path} holds something else: give another --out folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"cannot make {path} ({error.strerror}): give another --out folder") from error
        write_json(folder.members_file, description)
        return folder

    def voting(self) -> list[Path]:
        """The run folders whose probabilities are averaged; DataError where one is not trained to its end."""
        names = [member["name"] for member in self.description()["members"] if not member["pretraining"]]
        absent = [name for name in names if not has_finished(self.path / name / "metrics.jsonl")]
        if absent:
            raise DataError(
                f"in {self.path} {', '.join(absent)} must be trained to the end: "
                "type the `alexnet ensemble` command again to go on"
            )
        return [self.path / name for name in names]

    def description(self) -> dict[str, Any]:
        """What `ensemble.json` holds; DataError where it does not describe an ensemble."""
        description: dict[str, Any] = {}
        try:
            description = json.loads(self.members_file.read_text(encoding="utf-8"))
            described = all({"name", "pretraining"} <= {*member} for member in description["members"])
        except (ValueError, KeyError, TypeError):
            described = False
        if not described:
            raise DataError(f"{self.members_file} does not describe an ensemble: restore it")
        return description


def _difference(begun: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> str:
    """How the members begun differ from those wanted; empty where those are the same and maybe more."""
    if len(wanted) < len(begun):
        return f"{len(begun)} members, not {len(wanted)}"
    for old, new in zip(begun, wanted, strict=False):
        # What is set last counts: in which order other things were set does not matter.
        settings = [dict(each.partition("=")[::2] for each in member["settings"]) for member in (old, new)]
        apart = [
            f"{key}={settings[0].get(key, 'its own')}"
            for key in settings[0] | settings[1]
            if settings[0].get(key) != settings[1].get(key)
        ]
        apart += [f"{key} {old.get(key)!r}" for key in new if key != "settings" and old.get(key) != new[key]]
        if apart:
            return f"{', '.join(apart)} for {old['name']}"
    return ""


def is_ensemble(path: Path) -> bool:
    """Whether `alexnet ensemble` made this folder."""
    return EnsembleFolder(path).members_file.is_file()


def members_of(paths: Sequence[Path]) -> list[Path]:
    """Run folders and model files as they are; an ensemble's folder as its voting members."""
    return [
        member
        for path in paths
        for member in (EnsembleFolder(path).voting() if is_ensemble(path) else [path])
    ]
