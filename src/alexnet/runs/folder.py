"""A run folder: what lies where, and its configuration. Everything after training reads run folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config import ConfigError, RunConfig, from_dict, to_dict
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.files import is_left_over, write_json

RUNS_NAMED = 3
"""Of a folder of runs, in an error."""


def why_no_run(path: Path) -> str:
    """What is at `path` instead of a run, and what to type."""
    if not path.exists():
        return f"there is no {path}: name a run, which `alexnet train` makes"
    if (path / "header.json").is_file():
        return f"{path} is a store of photos: name a run, which `alexnet train` makes"
    within = sorted(file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/config.json"))
    if within:
        more = " ..." if len(within) > RUNS_NAMED else ""
        return f"{path} is a folder of runs: name those, {' '.join(map(str, within[:RUNS_NAMED]))}{more}"
    return f"no run at {path}: it has no config.json; train one there first"


@dataclass(frozen=True)
class RunFolder:
    """The places in one run folder."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunFolder:
        """A new run at `path`; errors as `refuse_taken`, WorkError where it cannot be made."""
        cls.refuse_taken(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"cannot make {path} ({error.strerror}): give another --run folder") from error
        run = cls(path)
        run.write_config(config)
        return run

    @classmethod
    def refuse_taken(cls, path: Path) -> None:
        """CommandError where no new run can begin at `path`: it must not exist, or be empty."""
        if path.is_file():
            raise CommandError(f"{path} is a file: give another --run folder")
        if path.exists() and not all(map(is_left_over, path.iterdir())):
            begun = cls(path).config_file.is_file()
            go_on = "type --resume to go on with that run, or " if begun else ""
            what = "exists" if begun else "holds something, but no run to go on with"
            raise CommandError(f"{path} {what}: {go_on}give another --run folder")

    @classmethod
    def open(cls, path: Path, or_file: bool = False) -> RunFolder:
        """The run at `path`; CommandError where there is none.

        With `or_file` an exported file may stand for a run: it has weights, but none of a folder's places.
        """
        run = cls(path)
        if not run.config_file.is_file() and not (or_file and run.is_exported):
            raise CommandError(why_no_run(path))
        return run

    @property
    def is_exported(self) -> bool:
        """Whether it is one file, as `alexnet export` writes it, instead of a folder."""
        return self.path.is_file()

    @property
    def config_file(self) -> Path:
        """The configuration, JSON."""
        return self.path / "config.json"

    @property
    def environment_file(self) -> Path:
        """Versions, commit, device and store of the run's start, JSON."""
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        """A JSON object per logged step or event."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, with `last` and `best`."""
        return self.path / "checkpoints"

    def config(self) -> RunConfig:
        """The run's configuration; DataError where the file is not one."""
        try:
            return from_dict(RunConfig, json.loads(self.config_file.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, ConfigError) as error:
            raise DataError(f"{self.config_file} is no configuration ({error}): restore it") from error

    def environment(self) -> dict[str, Any]:
        """What `write_environment` was given, or nothing; DataError where the file is broken."""
        if not self.environment_file.is_file():
            return {}
        try:
            return json.loads(self.environment_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{self.environment_file} is not JSON ({error}): restore it") from error

    def write_config(self, config: RunConfig) -> None:
        """Writes the configuration, whole or not at all."""
        write_json(self.config_file, to_dict(config))

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Writes what `environment.describe` found."""
        write_json(self.environment_file, environment)
