"""Downloads public data sets: resumable, verified by checksum, unpacked for `prepare`."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from alexnet import __version__
from alexnet.errors import AlexNetError, CommandError, DataError, WorkError
from alexnet.text import sized

BytesReceived = Callable[[int], None]
"""Called with the number of bytes received; with a negative number if received bytes are discarded."""

_BLOCK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30
_WAITS_SECONDS = (1, 3, 9)
_TEMPORARY = {408, 429}
"""HTTP errors below 500 for which a retry may help."""
_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256"}
"""By number of hexadecimal digits."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str
    size_bytes: int
    digest: str
    """SHA-256 of the file, or SHA-1 (40 digits) or MD5 (32) if the publisher gives no other. For a single
    file in `.gz` it is of its contents, so that a recompressed copy is valid too."""
    folder_urls: tuple[str, ...]
    """URLs of the folders that contain it, in the order in which they are tried."""


@dataclass(frozen=True)
class DataSet:
    """A public data set; an archive is unpacked, since `prepare` reads class folders."""

    files: tuple[RemoteFile, ...]
    unpacks_to: str = ""
    """The folder in its only archive; empty if files are read as they are."""
    inner: str = ""
    """The archive in that folder that holds the photos."""


_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

DATA_SETS: dict[str, DataSet] = {
    "imagenette": DataSet(
        (
            RemoteFile(
                "imagenette2-320.tgz",
                341_663_724,
                "569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
                ("https://s3.amazonaws.com/fast-ai-imageclas/",),
            ),
        ),
        unpacks_to="imagenette2-320",
    ),
    "mnist": DataSet(
        (
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                _MNIST,
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                _MNIST,
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                _MNIST,
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                _MNIST,
            ),
        )
    ),
    "tiny-imagenet": DataSet(
        (
            RemoteFile(
                "tiny-imagenet-200.zip",
                248_100_043,
                "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
                ("http://cs231n.stanford.edu/", "https://cs231n.stanford.edu/"),
            ),
        ),
        unpacks_to="tiny-imagenet-200",
    ),
    "cifar-10": DataSet(
        (
            RemoteFile(
                "cifar-10-python.tar.gz",
                170_498_071,
                "c58f30108f718f92721af3b95e74349a",
                ("https://www.cs.toronto.edu/~kriz/",),
            ),
        ),
        unpacks_to="cifar-10-batches-py",
    ),
    "cifar-100": DataSet(
        (
            RemoteFile(
                "cifar-100-python.tar.gz",
                169_001_437,
                "eb9058c3a382ffc7106e4002c42a8d85",
                ("https://www.cs.toronto.edu/~kriz/",),
            ),
        ),
        unpacks_to="cifar-100-python",
    ),
    "caltech-101": DataSet(
        (
            RemoteFile(
                "caltech-101.zip",
                137_414_764,
                "331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
                ("https://data.caltech.edu/records/mzrjq-6wc02/files/",),
            ),
        ),
        unpacks_to="caltech-101",
        inner="101_ObjectCategories.tar.gz",
    ),
}
"""The data sets by their names for `fetch`. CIFAR's publisher gives MD5; the others give no digest, and the
SHA-256 is that of the copies in common use."""


def size_bytes(name: str) -> int:
    """Download size of a data set; CommandError for a name that `DATA_SETS` lacks."""
    return sum(file.size_bytes for file in _data_set(name).files)


def fetch(
    name: str, folder: Path, location: str | None = None, progress: BytesReceived | None = None
) -> Path:
    """Downloads a data set of `DATA_SETS` into `folder`; returns the path to give to `prepare`.

    `location`, a folder or its URL, replaces the publisher; it must hold files of the same names. Valid files
    are kept and partial ones continued. CommandError for an unknown data set or folder, WorkError without
    network or disk space, DataError for bytes that are not the published ones.
    """
    data_set = _data_set(name)
    photos = folder / data_set.unpacks_to / data_set.inner.removesuffix(".tar.gz")
    if data_set.unpacks_to and photos.exists():
        return photos
    # Photos unpack to about the size of their archive; of an archive in an archive, both exist for a while.
    copies = 1 + bool(data_set.unpacks_to) + bool(data_set.inner)
    fetch_files(data_set.files, folder, location, progress or (lambda done_bytes: None), copies)
    if data_set.unpacks_to:
        unpack(folder / data_set.files[0].name, data_set.unpacks_to, data_set.inner)
    return photos


def fetch_files(
    files: Sequence[RemoteFile], folder: Path, location: str | None, progress: BytesReceived, copies: int = 1
) -> None:
    """Downloads `files` into `folder`, with disk space for `copies` of them; errors as for `fetch`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be created ({error.strerror}): choose another folder") from error
    _check_space(files, folder, copies)
    for file in files:
        _get(file, folder, location, progress)


def download(
    urls: Sequence[str],
    target: Path,
    is_valid: Callable[[Path], bool],
    progress: BytesReceived,
    most_bytes: int,
    pause: Callable[[float], None] = time.sleep,
    otherwise: str = "use another location with --from URL-or-DIR",
) -> None:
    """Downloads `target` from the first of `urls` that gives valid bytes; it never contains any others.

    Until then they are in `target.part`, which a later call continues. Each URL is tried a few times.
    WorkError if no URL can be reached, DataError if the last one gave invalid bytes or more than
    `most_bytes`; the messages end with `otherwise`.
    """
    part = target.with_name(target.name + ".part")
    if part.exists():
        progress(part.stat().st_size)
    invalid, failures = False, list[str]()
    for url in urls:
        failure, invalid = _download_from(url, part, is_valid, progress, pause, most_bytes)
        if not failure:
            part.replace(target)
            return
        failures.append(f"{shown_address(url)}: {failure}")
    if invalid:
        raise DataError(f"{failures[-1]}; nothing was kept: try again, or {otherwise}")
    name = unquote(re.split("[?#]", urls[0])[0].rpartition("/")[2])  # also of what is no valid URL
    raise WorkError(
        f"{name} could not be downloaded ({'; '.join(failures)}): try again later, or {otherwise}"
    )


def shown_address(address: str) -> str:
    """The address without a password and without a query, which may be a signature."""
    return re.sub(r"(://)[^/@]*@", r"\1", address.partition("?")[0])


def _download_from(
    url: str,
    part: Path,
    is_valid: Callable[[Path], bool],
    progress: BytesReceived,
    pause: Callable[[float], None],
    most_bytes: int,
) -> tuple[str, bool]:
    """Why the download failed ("" if it did not), and whether because of invalid bytes."""
    failure = ""
    for wait_seconds in (*_WAITS_SECONDS, 0):
        continued = part.exists()
        try:
            _continue(url, part, most_bytes, progress)
        except urllib.error.HTTPError as error:
            failure = f"{error.code} {error.reason}"
            error.close()
            if error.code < 500 and error.code not in _TEMPORARY:
                return failure, False
        except TooLong as error:
            _discard(part, progress)
            return str(error), True
        except AlexNetError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = str(getattr(error, "reason", error)) or type(error).__name__
        else:
            if is_valid(part):
                return "", False
            _discard(part, progress)
            if not continued:  # else the part may be of another file: retry from scratch
                return "its bytes are not those of the published file (checksum differs)", True
            continue
        pause(wait_seconds)
    return failure, False


def _continue(url: str, part: Path, most_bytes: int, progress: BytesReceived) -> None:
    """Appends to `part` what it lacks; starts from scratch if the server cannot send a part of a file.

    TooLong for more than `most_bytes`.
    """
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
        # There is nothing after the part: it is complete, or of a longer file, which its checksum shows.
        return
    with response:
        if have_bytes and response.status != 206:
            _discard(part, progress)
            have_bytes = 0
        length = _length(response)
        if length is not None and have_bytes + length > most_bytes:
            raise TooLong(have_bytes + length, most_bytes)
        append_blocks(response, part, most_bytes, progress)
    if length is not None and part.stat().st_size < have_bytes + length:
        raise ConnectionError(f"the connection was lost after {part.stat().st_size:,} bytes")


class TooLong(ConnectionError):  # noqa: N818 - what a reply is
    """More bytes than a file may have."""

    def __init__(self, received: int, most: int) -> None:
        super().__init__(f"it sends {sized(received)} or more, and the file has at most {sized(most)}")


def _length(response: Any) -> int | None:
    """The announced number of bytes; None without one. ConnectionError for other text."""
    text = response.headers["Content-Length"]
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ConnectionError(f"the server announces a length of {text[:40]!r}")
    return int(text)


def append_blocks(response: Any, part: Path, most_bytes: int, progress: BytesReceived) -> None:
    """Appends to the file `part` what can be read from `response`, in blocks.

    WorkError if the disk is full or not writable; TooLong for more than `most_bytes`.
    """
    try:
        file = part.open("ab")
    except OSError as error:
        raise WorkError(f"{part} cannot be written ({error.strerror}): choose another folder") from error
    with file:
        while block := response.read(_BLOCK_BYTES):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise WorkError(
                    f"{part} cannot be written ({error.strerror}): free some space and try again"
                ) from error
            progress(len(block))
            if file.tell() > most_bytes:
                raise TooLong(file.tell(), most_bytes)


def _discard(part: Path, progress: BytesReceived) -> None:
    if not part.exists():
        return
    progress(-part.stat().st_size)
    part.unlink()


def unpack(archive: Path, top: str, inner: str = "") -> Path:
    """Unpacks the folder `top` of a .zip or .tgz beside it, and its archive `inner`; returns the folder.

    It gets its name only when it is complete. DataError for an archive that is broken, lacks `top` or
    `inner`, or has files outside; WorkError if the folder cannot be written.
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
        raise WorkError(
            f"unpacking {archive} failed ({error.strerror}): free some space and try again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                _check_inside(name)
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")


def _check_inside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise zipfile.BadZipFile(f"{name!r} would be written outside the folder")


def _data_set(name: str) -> DataSet:
    if name not in DATA_SETS:
        raise CommandError(f"unknown data set {name!r}; it must be one of {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


def _check_space(files: Sequence[RemoteFile], folder: Path, copies: int) -> None:
    size = sum(file.size_bytes for file in files)
    present = sum(
        path.stat().st_size for file in files for path in folder.glob(f"{file.name}*") if path.is_file()
    )
    free, wanted = shutil.disk_usage(folder).free, size * copies - present
    if free < wanted:
        found = f"{folder} has {sized(free)} free, and {sized(wanted)} are needed"
        raise WorkError(f"{found}: free some space or choose another folder")


def _get(file: RemoteFile, folder: Path, location: str | None, progress: BytesReceived) -> None:
    target = folder / file.name
    if not target.exists():
        urls = (
            [url + file.name for url in file.folder_urls] if location is None else [_url(location, file.name)]
        )
        # Another copy may be packed a little differently; its digest is that of its contents.
        most_bytes = file.size_bytes + max(file.size_bytes // 10, 65_536)
        download(urls, target, lambda path: _is_published(file, path), progress, most_bytes)
    elif _is_published(file, target):
        progress(file.size_bytes)
    else:
        raise DataError(
            f"{target} is not the published file (checksum differs): move it elsewhere and try again"
        )


def _url(location: str, name: str) -> str:
    """The URL of the file at `location`, a URL or a local folder."""
    if "://" in location:
        return f"{location.rstrip('/')}/{name}"
    path = Path(location).resolve() / name
    if not path.is_file():
        raise CommandError(f"{path} does not exist: type --from with the folder or URL that contains {name}")
    return path.as_uri()


def _is_published(file: RemoteFile, path: Path) -> bool:
    opener = gzip.open if file.name.endswith(".gz") and not file.name.endswith(".tar.gz") else open
    try:
        with opener(path, "rb") as data:
            kind = _DIGESTS[len(file.digest)]
            return hashlib.file_digest(data, kind).hexdigest() == file.digest
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False
