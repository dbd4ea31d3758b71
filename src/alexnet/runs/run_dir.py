"""A run folder: what lies where, and its configuration. Everything after training reads run folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet import old_names
from alexnet.config import ConfigError, RunConfig, from_dict, to_dict
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.io import exclusive_lock, is_left_over, write_json
from alexnet.runs.environment import Environment
from alexnet.runs.metrics_log import has_finished

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
class RunDir:
    """The places in one run folder."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunDir:
        """A new run at `path`; errors as `refuse_taken`, WorkError if it cannot be made."""
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
        """CommandError if no new run can begin at `path`: it must not exist, or be empty."""
        if path.is_file():
            raise CommandError(f"{path} is a file: give another --run folder")
        if path.exists() and not all(map(is_left_over, path.iterdir())):
            begun = cls(path).config_file.is_file()
            go_on = "type --resume to go on with that run, or " if begun else ""
            what = "exists" if begun else "holds something, but no run to go on with"
            raise CommandError(f"{path} {what}: {go_on}give another --run folder")

    @classmethod
    def open(cls, path: Path, or_file: bool = False) -> RunDir:
        """The run at `path`; CommandError if there is none.

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
        """The run's configuration; DataError if the file is not one."""
        try:
            values = json.loads(self.config_file.read_text(encoding="utf-8"))
            return from_dict(RunConfig, old_names.new_config(values))
        except (json.JSONDecodeError, ConfigError) as error:
            raise DataError(f"{self.config_file} is no configuration ({error}): restore it") from error

    def environment(self) -> Environment:
        """Where and with what the run was made; all unknown without a file, DataError if it is broken."""
        return Environment.read(self.environment_file)

    def write_config(self, config: RunConfig) -> None:
        """Writes the configuration, whole or not at all."""
        write_json(self.config_file, to_dict(config))

    def write_environment(self, environment: Environment) -> None:
        """Writes it, whole or not at all."""
        environment.write(self.environment_file)


@dataclass(frozen=True)
class EnsembleDir:
    """The places in one ensemble's folder."""

    path: Path

    @property
    def members_file(self) -> Path:
        """`{name, members: [{name, recipe, seed, init_from, pretraining, settings, store, ...}]}`, JSON."""
        return self.path / "ensemble.json"

    @classmethod
    def begin(cls, path: Path, description: Mapping[str, Any]) -> EnsembleDir:
        """The folder for the ensemble described, new, or begun before with all or fewer of its members.

        CommandError if it is another's, which says how they differ.
        """
        if path.is_file():
            raise CommandError(f"{path} holds something else: give another --out folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"cannot make {path} ({error.strerror}): give another --out folder") from error
        folder = cls(path)
        with exclusive_lock(path, wait=True):  # several processes may share the members
            if is_ensemble(path):
                wanted = json.loads(json.dumps(description))
                other = _difference(folder.description()["members"], wanted["members"])
                if other:
                    raise CommandError(
                        f"{path} was begun with {other}: give the same again, or another --out folder"
                    )
            elif not all(map(is_left_over, path.iterdir())):
                raise CommandError(f"{path} holds something else: give another --out folder")
            write_json(folder.members_file, description)  # there may be more members now
        return folder

    def voting(self) -> list[Path]:
        """The run folders whose probabilities are averaged; DataError if one is not trained to its end."""
        names = [member["name"] for member in self.description()["members"] if not member["pretraining"]]
        absent = [name for name in names if not has_finished(self.path / name / "metrics.jsonl")]
        if absent:
            raise DataError(
                f"in {self.path} {', '.join(absent)} must be trained to the end: "
                "type the `alexnet ensemble` command again to go on"
            )
        return [self.path / name for name in names]

    def description(self) -> dict[str, Any]:
        """What `ensemble.json` holds; DataError if it does not describe an ensemble."""
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
    """How the members begun differ from those wanted; empty if those are the same and maybe more."""
    if len(wanted) < len(begun):
        return f"{len(begun)} members, not {len(wanted)}"
    for old, new in zip(begun, wanted, strict=False):
        # What is set last counts: in which order other things were set does not matter.
        settings = [
            {
                key: value
                for key, _, value in (
                    each.partition("=") for each in old_names.new_settings(member["settings"])
                )
            }
            for member in (old, new)
        ]
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
    return EnsembleDir(path).members_file.is_file()


def members_of(paths: Sequence[Path]) -> list[Path]:
    """Run folders and model files as they are; an ensemble's folder as its voting members."""
    return [
        member for path in paths for member in (EnsembleDir(path).voting() if is_ensemble(path) else [path])
    ]


CHECKPOINTS = ("last", "best")
"""`best` was chosen by its error on the validation images, so testing it on them flatters it a little."""


def find_weights(path: Path, checkpoint: str = "last") -> Path:
    """The weights of a run folder, of the checkpoint named.

    A file is returned as it is. CommandError if there is nothing.
    """
    if checkpoint not in CHECKPOINTS:
        raise CommandError(f"no checkpoint {checkpoint!r}; it must be {' or '.join(CHECKPOINTS)}")
    if path.is_file():
        return path
    if is_ensemble(path):
        raise CommandError(f"{path} is an ensemble: name one of its nets, such as {_a_net(path)}")
    if not path.is_dir():
        raise CommandError(f"no run folder or model file at {path}")
    file = path / "checkpoints" / checkpoint / "weights.safetensors"
    if not (path / "config.json").is_file() and not file.is_file():
        raise CommandError(why_no_run(path))
    if not file.is_file():
        raise CommandError(f"no weights at {file.parent}; train it first")
    return file


def _a_net(ensemble: Path) -> Path:
    return min((file.parent for file in ensemble.glob("*/config.json")), default=ensemble / "seed-0")
