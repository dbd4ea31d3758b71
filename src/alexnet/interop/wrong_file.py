"""What people give in place of a file of weights: pages and pointers that downloads leave, other formats."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from alexnet.errors import CommandError, DataError

_START_BYTES = 1024
_POINTERS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_PAGE = re.compile(rb"(<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_PROTOTXT = re.compile(rb"(#[^\n]*\n|\s)*(name|layers?|input|force_backward)\s*[:{]")
_STATE_DICT = "save the weights with torch.save(model.state_dict(), FILE)"


def refuse_wrong_file(path: Path) -> None:
    """CommandError if there is no file; DataError, naming what it is, if it cannot be a file of weights."""
    if not path.is_file():
        raise CommandError(f"no file at {path}")
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise DataError(f"{path} is empty: download it again")
    if text.startswith(_POINTERS):
        raise DataError(
            f"{path} is a Git-LFS pointer of {path.stat().st_size:,} bytes, not the weights it stands for: "
            "run `git lfs pull`, or download the file itself"
        )
    if _PAGE.match(text):
        raise DataError(
            f"{path} is a web page (HTML), not a file of weights: open its address in a browser, and "
            "download the file that the page links to"
        )
    if text.startswith((b"<?xml", b"<Error", b'{"')):
        raise DataError(
            f"{path} is a text, perhaps a server's error message, not a file of weights: open it to see why"
        )
    for magic, what in (
        (b"\x1f\x8b", "compressed: run `gunzip` first"),
        (b"\x89HDF", "an HDF5 file (Keras, or Caffe's snapshots in HDF5), which cannot be imported"),
    ):
        if start.startswith(magic):
            raise DataError(f"{path} is {what}")
    if start[8:10] == b'{"':
        raise DataError(
            f"{path} is a safetensors file: load it with safetensors.torch.load_file, then {_STATE_DICT}"
        )


def refuse_other_zip(path: Path) -> None:
    """DataError if it is a zip archive of torch, but not of `torch.save`."""
    if not _is_zip(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError) as error:
        raise DataError(f"a damaged zip archive ({error}): copy it again") from error
    inside = {name.partition("/")[2] for name in names}
    if any(name.startswith("code/") for name in inside) or "model.json" in inside:
        raise DataError(
            f"a TorchScript archive (torch.jit.save): load it with torch.jit.load, then {_STATE_DICT}"
        )
    if "archive_format" in inside or any(name.startswith("serialized_") for name in (*inside, *names)):
        raise DataError(f"an exported program (torch.export.save): {_STATE_DICT} from the model in Python")
    if "data.pkl" not in inside:
        raise DataError(
            f"a zip archive of {len(names):,} files without weights: unpack it, and give one of them"
        )


def _is_zip(path: Path) -> bool:
    """Whether it is a zip archive, perhaps a damaged one."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # such as one of several disks
        return True


def refuse_other_than_caffe(path: Path) -> None:
    """DataError if it is a text of Caffe or a file of `torch.save`, in place of a binary file of Caffe."""
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if _PROTOTXT.match(start):
        raise DataError(
            f"{path} is a .prototxt, which describes a model without weights: give its .caffemodel"
        )
    if _is_zip(path):
        raise DataError(f"{path} is a zip archive, perhaps of torch.save: type --as torchvision for that")
