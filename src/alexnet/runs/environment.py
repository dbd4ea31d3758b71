"""Where and with what a run was made: versions, commit, device, store, command line."""

from __future__ import annotations

import platform
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from alexnet.machine import cores

PACKAGES = ("alexnet", "torch", "numpy", "pillow", "simplejpeg", "pyarrow", "safetensors")


def describe(
    device: str, store_digest: str, command: Sequence[str], processes: int = 1, store: str = ""
) -> dict[str, Any]:
    """What `RUN/environment.json` holds; `device` is in words, `command` the words of the command line.

    `store` is the name of the store's folder.

    `commit` and `uncommitted_changes` (a diff) are empty where the program does not run from a checkout.
    """
    commit, changes = _checkout(Path(__file__).parent)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "device": device,
        "processor": processor(),
        "cores": cores(),
        "processes": processes,
        "store": store,
        "store_digest": store_digest,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": commit,
        "uncommitted_changes": changes,
    }


def processor() -> str:
    """The processor's name as its maker gives it, or its kind."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _checkout(folder: Path) -> tuple[str, str]:
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
