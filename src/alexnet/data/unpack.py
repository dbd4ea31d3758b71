"""Unpacks an archive into a folder, all or nothing, and never outside it."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from alexnet.errors import DataError, WorkError


def unpack(archive: Path, top: str, inner: str = "") -> Path:
    """Unpacks the folder `top` of a .zip or .tgz beside it, and the archive `inner` in it; returns it.

    It gets its name only when all is there. DataError for an archive that is broken, lacks `top` or `inner`,
    or has files that would land elsewhere; WorkError where the folder cannot be written.
    """
    part = archive.with_name(f".{archive.name}.unpacking")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _extract(archive, part)
        if inner:
            _extract(part / top / inner, part / top)
        return (part / top).rename(archive.with_name(top))
    except FileNotFoundError as error:
        raise DataError(f"{archive} holds no {top}/{inner}: delete it and fetch it again") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{archive} cannot be unpacked safely ({error}): delete it and fetch it again"
        ) from error
    except OSError as error:
        raise WorkError(f"unpacking {archive} failed ({error.strerror}): make room and try again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                _stay_inside(name)
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")


def _stay_inside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise zipfile.BadZipFile(f"{name!r} would land outside the folder")
