"""A run directory: its files and its configuration. Everything after training reads run directories."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from alexnet import old_names
from alexnet.checksum import write_json_with_checksum
from alexnet.config import RunConfig, config_from_dict, from_dict, split_setting, to_dict
from alexnet.errors import AlreadyExists, CommandError, DataError, NotFound, WorkError
from alexnet.io import exclusive_lock, is_left_over
from alexnet.json_reader import as_object, read_object
from alexnet.runs import hugging_face
from alexnet.runs.checkpoints import WEIGHTS, CheckpointName, checkpoint_folders, find_checkpoint
from alexnet.runs.environment import Environment
from alexnet.runs.metrics_log import has_finished, has_logged

FIT_FILE, FIT_STORE = "fit.json", "store"
"""In the directory of `alexnet fit`: what `runs.fit_record` describes, and the store of its photos."""
RUNS_NAMED = 3
"""Number of runs in a folder that an error lists."""


def is_fit(path: Path) -> bool:
    """Whether `alexnet fit` made this directory."""
    return (path / FIT_FILE).is_file()


def why_no_run(path: Path) -> str:
    """A description of what is at `path` instead of a run, and what to type."""
    if not path.exists():
        return f"there is no run at {path}: type the path of a run (`alexnet train` makes one)"
    if (path / "header.json").is_file():
        return f"{path} is a store of photos: type the path of a run (`alexnet train` makes one)"
    if is_fit(path):
        return f"{path} is a fit that is not finished: type its `alexnet fit` command again with --resume"
    within = sorted(file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/config.json"))
    if within:
        more = " ..." if len(within) > RUNS_NAMED else ""
        return (
            f"{path} is a folder of runs: type their paths, {' '.join(map(str, within[:RUNS_NAMED]))}{more}"
        )
    return f"no run at {path}: it has no config.json; train one there first"


@dataclass(frozen=True)
class RunDir:
    """The files in a run directory."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunDir:
        """A new run at `path`; errors as `refuse_taken`, WorkError if it cannot be made."""
        cls.refuse_taken(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(
                f"cannot make {path} ({error.strerror}): choose another directory with --run"
            ) from error
        run = cls(path)
        run.write_config(config)
        return run

    @classmethod
    def refuse_taken(cls, path: Path) -> None:
        """AlreadyExists if no new run can start at `path`: it must not exist, or be empty."""
        if path.is_file():
            raise AlreadyExists(f"{path} is a file: choose another directory with --run")
        if path.exists() and not all(map(is_left_over, path.iterdir())):
            begun = cls(path).config_file.is_file()
            resume_hint = "type --resume to continue that run, or " if begun else ""
            what = "exists" if begun else "is not empty, but has no run that could be continued"
            raise AlreadyExists(f"{path} {what}: {resume_hint}choose another directory with --run")

    @classmethod
    def open(cls, path: Path, or_file: bool = False) -> RunDir:
        """The run at `path`; NotFound if there is none.

        With `or_file`, an exported file is accepted, too: it has weights, but none of the other files. So is
        what `located` makes one of.
        """
        run = cls(located(path) if or_file else path)
        if not run.config_file.is_file() and not (or_file and run.is_exported):
            raise NotFound(why_no_run(path))
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

    @property
    def has_trained(self) -> bool:
        """Whether anything was measured or saved there that training would have to repeat."""
        places = (self.config_file, self.environment_file, self.metrics_file, self.tensorboard)
        others = set(self.path.iterdir()) - set(places) if self.path.is_dir() else set[Path]()
        return has_logged(self.metrics_file) or not all(map(is_left_over, others))

    def remove(self) -> None:
        """Deletes the run."""
        shutil.rmtree(self.path, ignore_errors=True)

    def config(self) -> RunConfig:
        """The run's configuration; DataError if the file is not one."""
        return read_object(self.config_file, config_from_dict, "is not a configuration", "restore it")

    def environment(self) -> Environment:
        """The environment in which the run was made; all fields are unknown without a file. DataError if it
        is broken.
        """
        return Environment.read(self.environment_file)

    def write_config(self, config: RunConfig) -> None:
        """Writes the configuration atomically."""
        write_json_with_checksum(self.config_file, to_dict(config))

    def write_environment(self, environment: Environment) -> None:
        """Writes the environment atomically."""
        environment.write(self.environment_file)


@dataclass(frozen=True, kw_only=True)
class EnsembleMember:
    """One model of an ensemble, as `ensemble.json` describes it."""

    name: str
    """Of its run directory, within that of the ensemble."""
    pretraining: bool
    """Whether another member is initialized from it; it is not averaged then."""
    recipe: str = ""
    """Of its run."""
    seed: int = 0
    """Of its training."""
    init_from: str = ""
    """Name of the member that it is initialized from."""
    settings: tuple[str, ...] = ()
    """`key=value` changes of the recipe, the seed among them."""
    store_digest: str = ""
    """Of the store that it is trained on."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EnsembleMember:
        """From a file of any version; keys that this version does not know are ignored."""
        known = {each.name for each in fields(cls)}
        made: dict[str, Any] = {key: value for key, value in values.items() if key in known}
        return from_dict(cls, {**made, "settings": old_names.new_settings(made.get("settings", []))})

    def difference(self, other: EnsembleMember) -> str:
        """The differences to the other member, with the values of this one; empty if there are none."""
        # The last setting of a key counts; the order of different keys does not matter.
        mine, theirs = (dict(map(split_setting, each.settings)) for each in (self, other))
        apart = [
            f"{key}={mine.get(key, 'its own')}" for key in mine | theirs if mine.get(key) != theirs.get(key)
        ]
        for each in fields(self):
            own = getattr(self, each.name)
            if each.name != "settings" and own != getattr(other, each.name):
                apart.append(f"{each.name} {own!r}")
        return ", ".join(apart)


@dataclass(frozen=True)
class EnsembleDir:
    """The files in the directory of an ensemble."""

    path: Path

    @property
    def members_file(self) -> Path:
        """`{name, members: [{name, recipe, seed, init_from, pretraining, settings, store, ...}]}`, JSON."""
        return self.path / "ensemble.json"

    @classmethod
    def begin(cls, path: Path, name: str, members: Sequence[EnsembleMember]) -> EnsembleDir:
        """The directory for this ensemble: a new one, or an existing one with all or some of its members.

        CommandError, with the difference, if members of another ensemble were started there.
        """
        if path.is_file():
            raise CommandError(f"{path} contains something else: choose another --out folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"cannot make {path} ({error.strerror}): choose another --out folder") from error
        folder = cls(path)
        with exclusive_lock(path, wait=True):  # several processes may share the members
            if is_ensemble(path) and any(path.glob("*/config.json")):
                other = _difference(folder.members(), members)
                if other:
                    raise CommandError(
                        f"{path} was started with {other}: type the same settings again, or choose another "
                        "--out folder"
                    )
            elif not is_ensemble(path) and not all(map(is_left_over, path.iterdir())):
                raise CommandError(f"{path} contains something else: choose another --out folder")
            folder.write(name, members)  # there may be more members now
        return folder

    def write(self, name: str, members: Sequence[EnsembleMember]) -> None:
        """Writes `ensemble.json` atomically."""
        values = {"name": name, "members": [asdict(each) for each in members]}
        write_json_with_checksum(self.members_file, values)

    def voting(self) -> list[Path]:
        """The run directories whose probabilities are averaged; DataError if the training of one is not
        finished.
        """
        names = [member.name for member in self.members() if not member.pretraining]
        absent = [name for name in names if not has_finished(self.path / name / "metrics.jsonl")]
        if absent:
            raise DataError(
                f"in {self.path} {', '.join(absent)} must be trained to the end: "
                "type the `alexnet ensemble` command again to resume"
            )
        return [self.path / name for name in names]

    def members(self) -> list[EnsembleMember]:
        """The contents of `ensemble.json`; DataError if it does not describe an ensemble."""
        return read_object(
            self.members_file,
            lambda values: [EnsembleMember.from_dict(as_object(each)) for each in values["members"]],
            "does not describe an ensemble",
            "restore it",
        )


def _difference(begun: Sequence[EnsembleMember], wanted: Sequence[EnsembleMember]) -> str:
    """How the members begun differ from those wanted; empty if those are the same and maybe more."""
    if len(wanted) < len(begun):
        return f"{len(begun)} members, not {len(wanted)}"
    for old, new in zip(begun, wanted, strict=False):
        if apart := old.difference(new):
            return f"{apart} for {old.name}"
    return ""


def is_ensemble(path: Path) -> bool:
    """Whether `alexnet ensemble` made this directory."""
    return EnsembleDir(path).members_file.is_file()


PRETRAINED = "pretrained"
"""In place of a path: the model that comes with the package; `docs/pretrained.md` describes it."""


def located(path: Path) -> Path:
    """The model file for `PRETRAINED`, `hf:owner/name` and the folder of a model repository.

    Any other path is returned as it is. Errors as `hugging_face.download_model` and `weights_in`.
    """
    if path.is_dir():
        return hugging_face.weights_in(path) if hugging_face.is_model_repository(path) else path
    if path.exists():
        return path
    if address := hugging_face.hub_address(path):
        return hugging_face.download_model(address)
    if str(path) == PRETRAINED:
        return Path(__file__).parents[1] / "models" / "pretrained.safetensors"
    return path


def model_name(path: Path) -> str:
    """The name of a run directory or model file in tables: of a model repository its own."""
    return hugging_face.repository_name(path) or path.resolve().name


def members_of(paths: Sequence[Path]) -> list[Path]:
    """Run directories and model files unchanged, other models as their files (see `located`); an ensemble's
    voting members.
    """
    return [
        member
        for path in map(located, paths)
        for member in (EnsembleDir(path).voting() if is_ensemble(path) else [path])
    ]


CHECKPOINTS: tuple[CheckpointName, ...] = ("last", "best")
"""`best` was chosen by its error on the validation images, so its error there is slightly optimistic."""


def find_weights(path: Path, checkpoint: str = "last") -> Path:
    """The weights of a run directory's checkpoint; a file is returned as it is.

    They are in the checkpoint's own folder, since a run in training moves the links to it. NotFound if there
    is nothing; DataError if a checkpoint is damaged.
    """
    if checkpoint not in CHECKPOINTS:
        raise CommandError(f"no checkpoint {checkpoint!r}; it must be {' or '.join(CHECKPOINTS)}")
    path = located(path)
    if path.is_file():
        return _without_link(path)
    if is_ensemble(path):
        raise CommandError(
            f"{path} is an ensemble: choose one of its models, such as {_a_net(path)}; their mean has no "
            "weights of its own, but predict, evaluate, calibrate, serve, export to .onnx and alexnet.load "
            "take the directory"
        )
    if not path.is_dir():
        raise NotFound(f"no run directory or model file at {path}")
    file = _weights_of(path / "checkpoints", checkpoint)
    if not (path / "config.json").is_file() and not file.is_file():
        raise NotFound(why_no_run(path))
    if not file.is_file():
        raise NotFound(f"no weights at {file.parent}; train it first")
    return file


def has_weights(run: RunDir) -> bool:
    """Whether the run has a checkpoint."""
    return bool(checkpoint_folders(run.checkpoints)) or (run.checkpoints / "last").exists()


def _weights_of(folder: Path, checkpoint: CheckpointName) -> Path:
    """The weights of the checkpoint, which may not exist; where its link leads if there are no others."""
    found = find_checkpoint(folder, checkpoint)
    return _without_link(folder / checkpoint / WEIGHTS) if found is None else found.weights


def _without_link(weights: Path) -> Path:
    """The same file, in the folder to which the link of a checkpoint leads."""
    link = weights.parent
    is_link = link.name in CHECKPOINTS and link.is_symlink()
    return link.parent / link.readlink() / weights.name if is_link else weights


def _a_net(ensemble: Path) -> Path:
    return min((file.parent for file in ensemble.glob("*/config.json")), default=ensemble / "seed-0")
