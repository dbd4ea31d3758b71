"""Photos at an address of fsspec, such as `s3://bucket/photos`: a copy on disk, which any source can be.

The copy is in the cache of the user. Files that are there are not fetched again, unless the remote file has
another size, or another ETag or time by which its file system identifies a version. `files.jsonl` beside the
copy has these of each fetched file.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from alexnet.cache import cache_folder
from alexnet.data.download import TooLong, append_blocks, download, shown_address
from alexnet.errors import CommandError, DataError, MissingPackage, NotFound, WorkError
from alexnet.io import exclusive_lock
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.text import counted, printable, sized

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_WEB = ("http", "https")
_PACKAGES = {
    "http": "'alexnet[cloud]'",
    "https": "'alexnet[cloud]'",
    "hf": "'alexnet[hub]'",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
"""What `pip install` needs for a scheme, where fsspec itself does not read it."""
_VERSIONS = {
    *("etag", "contentmd5", "digest", "lastmodified", "mtime", "modify", "modified", "updated", "created"),
    *("generation", "md5hash", "crc32c", "blobid", "sha", "sha256", "oid", "versionid"),
}
"""Entries of a file's description that change with its contents, without `-` and `_`, in lower case."""
_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("fsspec.exceptions", "FSTimeoutError"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
)
"""Exceptions of file systems that are no OSError, with their modules."""
_DEEPEST = 20
"""Folders in each other, on a web server."""
_MAX_FOLDERS, _MAX_FILES = 100_000, 2_000_000
"""On a web server, where each costs a request."""
_MAX_UNKNOWN_BYTES = 2**38
"""Of a file whose size its server does not tell: twice ImageNet's training photos."""
_FETCHED_AT_ONCE, _SUBMITTED_AT_ONCE = 8, 1000
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]|[\ud800-\udfff]" + (r'|[<>:"|?*]' if os.name == "nt" else ""))


@dataclass(frozen=True)
class _RemoteFile:
    name: str
    """On its file system."""
    path: str
    """Relative to the address; empty for the only file."""
    size: int | None
    version: str
    """Empty if unknown."""

    @property
    def most_bytes(self) -> int:
        """The largest number of bytes that may be received."""
        return _MAX_UNKNOWN_BYTES if self.size is None else self.size

    @property
    def part_name(self) -> str:
        """Of the file that is unfinished: one of another version has another name."""
        return hashlib.sha256(f"{self.path}\n{self.size}\n{self.version}".encode()).hexdigest()[:24]


def is_address(source: str | Path) -> bool:
    """Whether it is an address such as `s3://bucket/photos`, and no path."""
    return isinstance(source, str) and _SCHEME.match(source) is not None


def is_web_file(source: str | Path) -> bool:
    """Whether it is the http(s) address of one file; that of a folder ends in `/`."""
    return isinstance(source, str) and _scheme(source) in _WEB and not urlsplit(source).path.endswith("/")


def local_source(
    source: str | Path,
    progress: ProgressBar = no_progress_bar,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """The path of a source, which for an address of fsspec is that of a copy in the cache.

    `file://` is a path, too. Files are fetched that are not in the cache, or have changed; an interrupted
    call is continued. Others are removed from the copy. `progress` counts bytes; `log` receives a line on
    what was fetched. Of `http(s)://`, an address that ends in `/` is a folder, whose files are the links on
    its page.

    MissingPackage without fsspec or the package for the scheme; NotFound if there is nothing at the address;
    CommandError for an unknown scheme and where a login is needed; DataError for names that are no paths
    below the address; WorkError if files cannot be fetched or written.
    """
    if not isinstance(source, str) or not is_address(source):
        return Path(source)
    if _scheme(source) == "file":
        return Path(url2pathname(urlsplit(source).path))
    try:
        place = cache_folder() / "remote" / hashlib.sha256(source.encode()).hexdigest()[:16]
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise WorkError(
            f"cannot store a copy of {shown_address(source)} ({error}): set XDG_CACHE_HOME to a writable "
            "folder"
        ) from error
    with exclusive_lock(place, wait=True):
        return _Copy(source, place, progress, log).bring_up_to_date()


def _scheme(address: str) -> str:
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


class _Copy:
    """The copy of one address, in the folder `place` that this process has locked."""

    def __init__(self, address: str, place: Path, progress: ProgressBar, log: Callable[[str], None]) -> None:
        self.address, self.shown, self.place = address, shown_address(address), place
        self.progress, self.log = progress, log
        self.record, self.parts = place / "files.jsonl", place / "parts"
        self._lock, self._stop = threading.Lock(), threading.Event()

    def bring_up_to_date(self) -> Path:
        with _one_line_errors(self.shown):
            system, root = _open(self.address)
            files = _list(system, root, self.address)
            if not files:
                raise NotFound(f"there is nothing at {self.shown}")
            self._check_names(files)
            target = self.place / "files" / self._name()
            known = _read_record(self.record)
            missing = [file for file in files if not _is_there(file, target / file.path, known)]
            self._remove_others(target, files)
            self._check_space(missing)
            fetched = self._fetch(system, missing, target)
        shutil.rmtree(self.parts, ignore_errors=True)
        kept = len(files) - len(missing)
        unknown = sum(not file.version for file in files)
        notes = [
            f"{self.shown}: {counted(len(missing), 'file')} ({sized(fetched)}) fetched",
            *([f"{kept:,} unchanged"] if kept else []),
            *([f"{unknown:,} have no ETag or time, so they are fetched each time"] if unknown else []),
        ]
        self.log(f"{', '.join(notes)}; copy: {target}")
        return target

    def _name(self) -> str:
        """The last part of the address, by which messages name the copy."""
        parts = [part for part in re.split("[/:]+", unquote(self.shown)) if part]
        name = _FORBIDDEN.sub("_", parts[-1])
        return name if name not in (".", "..") else "photos"

    def _check_names(self, files: Sequence[_RemoteFile]) -> None:
        """DataError for a name that is no path below a folder, and for two that are one on this disk."""
        folders, seen = set[str](), set[str]()
        if not files[0].path:
            return
        for file in files:
            if not _is_safe(file.path):
                raise DataError(
                    f"{self.shown} has a file named {printable(file.path)!r}, which is not a valid path "
                    "on this machine"
                )
            folders |= {str(parent) for parent in PurePosixPath(file.path).parents}
        fold = str.casefold if sys.platform in ("win32", "darwin") else str
        for file in files:
            if file.path in folders:
                raise DataError(f"{self.shown} has a file and a folder named {file.path}: rename one")
            if fold(file.path) in seen:
                raise DataError(f"{self.shown} has two files named {file.path}: rename one")
            seen.add(fold(file.path))

    def _remove_others(self, target: Path, files: Sequence[_RemoteFile]) -> None:
        """Removes what is in the copy and not at the address."""
        single = not files[0].path
        if target.is_dir() == single and target.exists():
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        if single:
            return
        expected = {file.path for file in files}
        for folder, _, names in os.walk(target, topdown=False):
            for name in names:
                path = Path(folder, name)
                if path.relative_to(target).as_posix() not in expected:
                    path.unlink()
            with suppress(OSError):  # not empty
                Path(folder).rmdir()

    def _check_space(self, missing: Sequence[_RemoteFile]) -> None:
        needed = sum(file.size or 0 for file in missing)
        free = shutil.disk_usage(self.place).free
        if needed > free:
            raise WorkError(
                f"{self.shown} has {sized(needed)} to fetch, and the disk of {self.place} has {sized(free)} "
                "free: free some space, or set XDG_CACHE_HOME to another disk"
            )

    def _fetch(self, system: Any, missing: Sequence[_RemoteFile], target: Path) -> int:
        """Fetches the files, several at once; the number of their bytes."""
        if not missing:
            return 0
        self.parts.mkdir(exist_ok=True)
        wanted = {file.part_name for file in missing}
        for part in self.parts.iterdir():  # of other versions
            if part.name.removesuffix(".part") not in wanted:
                part.unlink()
        total = 0
        with (
            self.progress(f"fetching {self.shown}", sum(file.size or 0 for file in missing)) as advance,
            self.record.open("a", encoding="utf-8") as record,
            ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool,
        ):
            received = self._received(advance)
            try:
                for start in range(0, len(missing), _SUBMITTED_AT_ONCE):
                    waiting = [
                        pool.submit(self._fetch_part, system, file, received)
                        for file in missing[start : start + _SUBMITTED_AT_ONCE]
                    ]
                    for done in as_completed(waiting):
                        file, part = done.result()
                        final = target / file.path if file.path else target
                        final.parent.mkdir(parents=True, exist_ok=True)
                        size = part.stat().st_size
                        part.replace(final)
                        line = {"path": file.path, "size": size, "version": file.version}
                        record.write(json.dumps(line) + "\n")
                        record.flush()
                        total += size
            except BaseException:  # also a signal: the threads end at their next block
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return total

    def _received(self, advance: Callable[[int], None]) -> Callable[[int], None]:
        def received(count: int) -> None:
            if self._stop.is_set():
                raise _Cancelled
            with self._lock:
                advance(count)

        return received

    def _fetch_part(
        self, system: Any, file: _RemoteFile, received: Callable[[int], None]
    ) -> tuple[_RemoteFile, Path]:
        """A file and the path of its finished bytes."""
        part = self.parts / file.part_name
        if not file.version:  # it may have changed since
            for old in (part, part.with_name(f"{part.name}.part")):
                old.unlink(missing_ok=True)
        if part.exists():
            received(part.stat().st_size)
            return file, part
        if _scheme(self.address) in _WEB:
            again = "type the same command again: what was fetched is kept"
            download(
                [file.name],
                part,
                lambda path: _has_size(path, file.size),
                received,
                file.most_bytes,
                otherwise=again,
            )
        else:
            _read_on(system, file, part, received)
        return file, part


class _Cancelled(Exception):  # noqa: N818 - what happened
    """Another file could not be fetched."""


def _read_on(system: Any, file: _RemoteFile, target: Path, received: Callable[[int], None]) -> None:
    """Appends to `target.part` what it lacks, and renames it. ConnectionError for a file of another size."""
    part = target.with_name(f"{target.name}.part")
    have = part.stat().st_size if part.exists() else 0
    if file.size is None or have > file.size:
        part.unlink(missing_ok=True)
        have = 0
    with system.open(file.name, "rb") as stream:
        if have:
            stream.seek(have)
            received(have)
        try:
            append_blocks(stream, part, file.most_bytes, received)
        except TooLong:
            part.unlink()
            raise
    if not part.exists():
        part.touch()
    if not _has_size(part, file.size):
        found = part.stat().st_size
        part.unlink()
        raise ConnectionError(f"{file.name} has {found:,} bytes instead of {file.size:,}: it was changed")
    part.replace(target)


def _has_size(path: Path, size: int | None) -> bool:
    return size is None or path.stat().st_size == size


def _is_there(file: _RemoteFile, path: Path, known: Mapping[str, tuple[int, str]]) -> bool:
    """Whether the copy has this version of the file; never if its version is unknown."""
    size, version = known.get(file.path, (-1, ""))
    return (
        bool(file.version)
        and version == file.version
        and size == (size if file.size is None else file.size)
        and path.is_file()
        and path.stat().st_size == size
    )


def _read_record(path: Path) -> dict[str, tuple[int, str]]:
    """Size and version of each fetched file, by its path; lines that are cut off or damaged are left out."""
    known: dict[str, tuple[int, str]] = {}
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    for line in text.split("\n"):
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(line)
            known[str(found["path"])] = int(found["size"]), str(found["version"])
    return known


def _open(address: str) -> tuple[Any, str]:
    """The file system of an address, with nothing remembered of earlier listings, and the path on it."""
    scheme = _scheme(address)
    try:
        fsspec: Any = importlib.import_module("fsspec")
        if scheme not in fsspec.available_protocols():
            raise CommandError(
                f"{shown_address(address)}: {scheme}:// is not a kind of address that fsspec supports"
            )
        system, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        needed = _PACKAGES.get(scheme) or f"what it needs: {error}"
        if importlib.util.find_spec("fsspec") is None:
            needed = "'alexnet[cloud]'"
        raise MissingPackage(f"{scheme}:// needs another package: type pip install {needed}") from None
    system.invalidate_cache()
    return system, str(root)


def _list(system: Any, root: str, address: str) -> list[_RemoteFile]:
    """The files at an address, sorted by path."""
    if _scheme(address) in _WEB:
        return _list_web(system, root)
    root = root.rstrip("/")
    described: dict[str, Mapping[str, Any]] = system.find(root, detail=True)
    if set(described) == {root}:
        return [_described(system, root, "", described[root])]
    return sorted(
        (
            _described(system, name, _below(name, root), info)
            for name, info in described.items()
            if info.get("type", "file") == "file" and not name.endswith("/")
        ),
        key=lambda file: file.path,
    )


def _below(name: str, root: str) -> str:
    if not root:
        return name.lstrip("/") if not name.startswith("//") else name
    if not name.startswith(f"{root}/"):
        raise DataError(f"{name} is not below {root}")
    return name[len(root) + 1 :]


def _list_web(system: Any, root: str) -> list[_RemoteFile]:
    if is_web_file(root):
        return [_described(system, root, "", {})]
    names, folders, listed = list[str](), [root], 1
    for _ in range(_DEEPEST):
        found = [
            link
            for folder in folders
            for link in sorted(set(system.ls(folder, detail=False)))
            if link.startswith(folder) and link != folder and not {"?", "#"} & set(link[len(folder) :])
        ]
        names += [link for link in found if not link.endswith("/")]
        folders = [link for link in found if link.endswith("/")]
        listed += len(folders)
        for count, most, what in ((listed, _MAX_FOLDERS, "folders"), (len(names), _MAX_FILES, "files")):
            if count > most:
                raise DataError(f"{shown_address(root)} has more than {most:,} {what}: use a part of it")
    if folders:
        raise DataError(
            f"{shown_address(root)} has folders more than {_DEEPEST} levels deep: use one of them"
        )
    with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
        files = pool.map(lambda name: _described(system, name, unquote(name[len(root) :]), {}), names)
        return sorted(files, key=lambda file: file.path)


def _described(system: Any, name: str, path: str, info: Mapping[str, Any]) -> _RemoteFile:
    """The file, as a listing describes it or, where that is not enough, as the file system does."""
    if info.get("size") is None or not _version(info):
        info = {**info, **cast("Mapping[str, Any]", system.info(name))}
    size = info.get("size")
    return _RemoteFile(name, path, None if size is None else int(size), _version(info))


def _version(info: Mapping[str, Any]) -> str:
    """The entries that identify a version; empty without any."""
    found = {
        plain: str(value)
        for key, value in info.items()
        if value is not None and (plain := re.sub("[-_]", "", str(key)).lower()) in _VERSIONS
    }
    return json.dumps(found, sort_keys=True) if found else ""


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not _FORBIDDEN.search(path)


@contextmanager
def _one_line_errors(shown: str) -> Generator[None]:
    again = "what was fetched is kept, type the same command again to continue"
    try:
        yield
    except (CommandError, DataError, WorkError):
        raise
    except FileNotFoundError as error:
        reason = error.__cause__
        if reason is not None and _is_failed_request(reason):
            raise WorkError(f"{shown} cannot be read ({_first_line(reason)}): {again}") from error
        raise NotFound(f"there is nothing at {shown}") from error
    except PermissionError as error:
        raise CommandError(f"no permission to read {shown} ({_first_line(error)}): log in first") from error
    except tuple(_known_errors()) as error:
        raise WorkError(f"{shown} cannot be read ({_first_line(error)}): {again}") from error


def _is_failed_request(error: BaseException) -> bool:
    """Whether it is another error of a web server than that there is no such file."""
    web: Any = sys.modules.get("aiohttp")
    failed = web is not None and isinstance(error, web.ClientError)
    return failed and getattr(error, "status", 0) not in (404, 410)


def _known_errors() -> Iterable[type[Exception]]:
    """What file systems raise: OSErrors, and the exceptions of the packages that were imported."""
    yield OSError
    yield ValueError
    for module, name in _ERRORS:
        if module in sys.modules and hasattr(sys.modules[module], name):
            yield getattr(sys.modules[module], name)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
