"""MATLAB files before version 7.3: vectors and struct arrays as Python's own values."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np

from alexnet.data.sources.tree import MAX_LISTED
from alexnet.errors import DataError

_MAX_UNPACKED_BYTES = 200_000_000
"""Of all compressed variables of a file."""
_HEADER_BYTES, _TAG_BYTES = 128, 8
_UNCOMPRESSED, _COMPRESSED = 14, 15
"""The types of variables in their tags."""
_BLOCK_BYTES = 2**20
_FAILURES = (
    *(ValueError, TypeError, KeyError, IndexError, OSError, OverflowError, MemoryError),
    *(struct.error, zlib.error),
)
"""What scipy raises on damaged files."""


def read_vectors(data: bytes, file: str) -> dict[str, list[Any]]:
    """The vectors and struct arrays in a MATLAB file, as lists of plain values or of dictionaries of them.

    Matrices and single values are left out. They are read in a process of their own, since scipy's reader
    ends with a segmentation fault on some damaged files. DataError if the file cannot be read, or is too
    large: vectors of more than `MAX_LISTED` values, or compressed variables of more than
    `_MAX_UNPACKED_BYTES`.
    """
    try:
        _refuse_large(data, file)
    except _FAILURES as error:
        raise _incomplete(file, error) from error
    reader = f"from {__name__} import print_vectors; print_vectors({MAX_LISTED})"
    done = subprocess.run([sys.executable, "-c", reader], input=data, capture_output=True)
    if done.returncode:
        raise _incomplete(file, "its reader crashed")
    found = json.loads(done.stdout)
    if "too_long" in found:
        name, count = found["too_long"]
        raise DataError(f"{file}: {name} has {count:,} values, more than {MAX_LISTED:,}")
    if "newer" in found:
        raise DataError(f"{file} is of MATLAB 7.3, which is not read: save it with -v7")
    if "reason" in found:
        raise _incomplete(file, found["reason"])
    return found["vectors"]


def _incomplete(file: str, reason: object) -> DataError:
    return DataError(f"{file} is not a complete MATLAB file ({reason})")


def print_vectors(longest: int) -> None:
    """Prints the vectors in the file on standard input as JSON, or why there are none, for `read_vectors`."""
    json.dump(_vectors(io.BytesIO(sys.stdin.buffer.read()), longest), sys.stdout)


def _vectors(content: io.BytesIO, longest: int) -> dict[str, Any]:
    """`vectors`, or `too_long` with a name and a number, `newer`, or the `reason` of a failure."""
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        shapes = {name: shape for name, shape, _ in whosmat(content)}
        names = [name for name, shape in shapes.items() if math.prod(shape) == max(shape) > 1]
        for name in names:
            if max(shapes[name]) > longest:
                return {"too_long": [name, max(shapes[name])]}
        content.seek(0)
        found = loadmat(content, variable_names=names, simplify_cells=True) if names else {}
        listed = {name: python_value(found[name]) for name in names if name in found}
        vectors = {name: value if isinstance(value, list) else [value] for name, value in listed.items()}
        json.dumps(vectors)  # it has nothing but plain values
    except NotImplementedError:
        return {"newer": True}
    except (MatReadError, *_FAILURES) as error:
        return {"reason": str(error)}
    return {"vectors": vectors}


def _refuse_large(data: bytes, file: str) -> None:
    """DataError if the compressed variables of a file of version 5 are too large; keeps none of them."""
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(data[124:128], "")  # the version and the order of bytes
    position, unpacked = _HEADER_BYTES, 0
    while order and position + _TAG_BYTES <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, position)
        if kind not in (_UNCOMPRESSED, _COMPRESSED):
            return
        position += _TAG_BYTES
        if kind == _COMPRESSED:
            unpacker, rest = zlib.decompressobj(), data[position : position + length]
            while rest and not unpacker.eof:
                unpacked += len(unpacker.decompress(rest, _BLOCK_BYTES))
                rest = unpacker.unconsumed_tail
                if unpacked > _MAX_UNPACKED_BYTES:
                    raise DataError(
                        f"{file} has more than {_MAX_UNPACKED_BYTES:,} bytes when decompressed: it is too "
                        "large for a list"
                    )
        position += length


def python_value(value: Any) -> Any:
    """The value as Python's own: a list of an array, a whole number of a float without a fraction."""
    if isinstance(value, np.ndarray | list):
        return [python_value(each) for each in value]
    if isinstance(value, dict):
        return {name: python_value(each) for name, each in value.items()}
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
