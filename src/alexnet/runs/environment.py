"""`RUN/environment.json`: the environment in which a run was made."""

from __future__ import annotations

import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from alexnet import old_names
from alexnet.checksum import write_json_with_checksum
from alexnet.hardware import cpu_count
from alexnet.json_reader import read_object
from alexnet.serialization import from_dict

RECORDED_PACKAGES = ("alexnet", "torch", "numpy", "pillow", "simplejpeg", "pyarrow", "safetensors")


@dataclass(frozen=True)
class Imported:
    """The file that imported weights were read from."""

    file: str
    """Name of the file."""
    sha256: str
    """Of the file."""
    program: str
    """The program whose format the file has, such as `torchvision`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Imported:
        """From what `to_dict` gave; empty if a field is missing."""
        return cls(values.get("file", ""), values.get("sha256", ""), values.get("as", ""))

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"file": self.file, "sha256": self.sha256, "as": self.program}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, commit, device, store and command line of a run; empty if a field is unknown."""

    started: str = ""
    """UTC, ISO 8601."""
    command: str = ""
    """The command line, quoted for a shell."""
    device: str = ""
    """Where the model was trained, in words, such as `cpu (2 threads)`."""
    processor: str = ""
    """The processor's name."""
    cores: int | None = None
    """CPU cores that the process may use."""
    processes: int | None = None
    """Number of processes that trained together."""
    store: str = ""
    """Name of the store's folder."""
    store_path: str = ""
    """Path of the store's folder."""
    store_digest: str = ""
    """SHA-256 over the hashes of the store's shards."""
    python: str = ""
    """Version of Python."""
    platform: str = ""
    """Operating system and architecture."""
    packages: dict[str, str] = field(default_factory=dict[str, str])
    """Versions of the packages that results depend on, by name."""
    commit: str = ""
    """Empty unless the program runs from a checkout; so are the changes."""
    uncommitted_changes: str = ""
    """The uncommitted changes, as a diff."""
    imported: Imported | None = None
    """Set if the weights are those of another program."""

    @classmethod
    def of_this_process(
        cls,
        device: str,
        command: Sequence[str],
        store: Path | None = None,
        store_digest: str = "",
        processes: int = 1,
    ) -> Environment:
        """The environment of a run that starts now.

        `device` is described in words, `command` are the words of the command line.
        """
        commit, changes = checkout(Path(__file__).parent)
        place = None if store is None else store.resolve()
        return cls(
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(command),
            device=device,
            processor=processor(),
            cores=cpu_count(),
            processes=processes,
            store="" if place is None else place.name,
            store_path="" if place is None else str(place),
            store_digest=store_digest,
            python=platform.python_version(),
            platform=platform.platform(),
            packages={name: _version(name) for name in RECORDED_PACKAGES},
            commit=commit,
            uncommitted_changes=changes,
        )

    @classmethod
    def read(cls, file: Path) -> Environment:
        """From a file of any version; all unknown if there is none, DataError if it is broken.

        Fields that this version does not know are ignored.
        """
        if not file.is_file():
            return cls()
        return read_object(file, cls.from_dict, "is not an environment", "restore it")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Environment:
        """Parses the result of `to_dict` of any version."""
        known = {each.name for each in fields(cls)}
        made = {key: value for key, value in old_names.new_environment(values).items() if key in known}
        if made.get("imported"):
            made["imported"] = asdict(Imported.from_dict(made["imported"]))
        return from_dict(cls, made)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `imported` only where the weights were imported."""
        values = asdict(self)
        del values["imported"]
        return values | ({"imported": self.imported.to_dict()} if self.imported else {})

    def write(self, file: Path) -> None:
        """Writes the file atomically."""
        write_json_with_checksum(file, self.to_dict())


def processor() -> str:
    """The processor's name according to its manufacturer, or its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def checkout(folder: Path) -> tuple[str, str]:
    """Commit and diff of the checkout that `folder` is tracked in, or two empty texts."""
    if not _git(folder, "ls-files", "--error-unmatch", "."):
        return "", ""
    package = str(folder.parent)
    new_files = _git(folder, "ls-files", "--others", "--exclude-standard", "--", package)
    changes = _git(folder, "diff", "HEAD", "--", package)
    return _git(folder, "rev-parse", "HEAD"), "\n".join(part for part in (new_files, changes) if part)


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
