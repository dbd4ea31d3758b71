"""One file from the first of several places that has it: continued where an earlier try stopped, checked."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alexnet import __version__
from alexnet.errors import DataError, WorkError

Progress = Callable[[int], None]
"""Called with the number of bytes that came; with a negative number where a start from scratch loses some."""

_BLOCK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30
_WAITS_SECONDS = (1, 3, 9)
_PASSING = {408, 429}
"""HTTP errors below 500 that another try may cure."""


def download(
    urls: Sequence[str],
    target: Path,
    right: Callable[[Path], bool],
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Gets `target` from the first of `urls` whose bytes are `right`; no others ever bear its name.

    Until then they are in `target.part`, from whose end a later try goes on. Each place is tried a few times.
    WorkError where no place can be reached, DataError where the last one gave wrong bytes.
    """
    part = target.with_name(target.name + ".part")
    if part.exists():
        progress(part.stat().st_size)
    wrong, failures = False, list[str]()
    for url in urls:
        failure, wrong = _from_one_place(url, part, right, progress, pause)
        if not failure:
            part.replace(target)
            return
        failures.append(f"{url}: {failure}")
    advice = "give another place with --from URL-or-DIR"
    if wrong:
        raise DataError(f"{failures[-1]}; nothing was kept: try again, or {advice}")
    raise WorkError(
        f"{target.name} could not be fetched ({'; '.join(failures)}): try again later, or {advice}"
    )


def _from_one_place(
    url: str, part: Path, right: Callable[[Path], bool], progress: Progress, pause: Callable[[float], None]
) -> tuple[str, bool]:
    """Why the file did not come ("" if it did), and whether that was wrong bytes."""
    failure = ""
    for wait_seconds in (*_WAITS_SECONDS, 0):
        begun = part.exists()
        try:
            _read_on(url, part, progress)
        except urllib.error.HTTPError as error:
            failure = f"{error.code} {error.reason}"
            error.close()
            if error.code < 500 and error.code not in _PASSING:
                return failure, False
        except (OSError, http.client.HTTPException) as error:
            failure = str(getattr(error, "reason", error)) or type(error).__name__
        else:
            if right(part):
                return "", False
            _discard(part, progress)
            if not begun:  # else the part may have been of another file: once more, from scratch
                return "its bytes are not those of the published file (checksum differs)", True
            continue
        pause(wait_seconds)
    return failure, False


def _read_on(url: str, part: Path, progress: Progress) -> None:
    """Appends to `part` what it lacks; starts from scratch where the server cannot send a part of a file."""
    have_bytes = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"alexnet/{__version__}"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    try:
        response: Any = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS
        )
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have_bytes:
            raise
        error.close()
        # Nothing comes after what we have: the part is whole, or of a longer file, as its checksum will tell.
        return
    with response:
        if have_bytes and response.status != 206:
            _discard(part, progress)
            have_bytes = 0
        length = response.headers["Content-Length"]
        _append(response, part, progress)
    if length is not None and part.stat().st_size < have_bytes + int(length):
        raise ConnectionError(f"the connection broke after {part.stat().st_size:,} bytes")


def _append(response: Any, part: Path, progress: Progress) -> None:
    try:
        file = part.open("ab")
    except OSError as error:
        raise WorkError(f"{part} cannot be written ({error.strerror}): name another folder") from error
    with file:
        while block := response.read(_BLOCK_BYTES):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise WorkError(
                    f"{part} cannot be written ({error.strerror}): make room and try again"
                ) from error
            progress(len(block))


def _discard(part: Path, progress: Progress) -> None:
    progress(-part.stat().st_size)
    part.unlink()
