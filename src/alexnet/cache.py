"""The folder in which compiled libraries and copies of remote files are kept."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The folder of what can be made or fetched again.

    It is in the user's cache, or a temporary one if that cannot be written.

    OSError if neither can be.
    """
    try:
        home = os.environ.get("XDG_CACHE_HOME")
        folder = (Path(home) if home else Path.home() / ".cache") / "alexnet"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return _temporary_cache()


def _temporary_cache() -> Path:
    """A folder of this user in the system's temporary one; PermissionError if another user made it."""
    user = (
        os.getuid() if hasattr(os, "getuid") else None
    )  # on Windows, users have temporary folders of their own
    folder = Path(tempfile.gettempdir(), "alexnet-cache" if user is None else f"alexnet-cache-{user}")
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if user is not None and (found.st_uid != user or found.st_mode != stat.S_IFDIR | 0o700):
        raise PermissionError(f"{folder} may have files of other users: delete it")
    return folder
