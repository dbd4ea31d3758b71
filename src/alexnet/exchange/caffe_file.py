"""Caffe's binary files: the layers of a `.caffemodel`, and the mean image of a `.binaryproto`.

Both are protocol buffers. Of their schema (BVLC/caffe, src/caffe/proto/caffe.proto) only the fields that
matter here are described; the rest is passed over. Nets of 2013, of 2014 and of later years nest their layers
differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from alexnet.errors import CommandError, DataError

Array = npt.NDArray[np.float32]

_MAX_BYTES = 2**31 - 1
"""Of a protocol buffer; no file that holds a net for this program comes near."""
_SCHEMA = {
    "BlobShape": "repeated int64 dim 1",
    "BlobProto": (
        "optional int32 num 1, optional int32 channels 2, optional int32 height 3, optional int32 width 4, "
        # Packed numbers are on the wire what bytes are, and as bytes they are read a hundred times faster.
        "repeated bytes data 5, optional BlobShape shape 7, repeated bytes double_data 8"
    ),
    "V0LayerParameter": "optional bytes name 1, repeated BlobProto blobs 50",
    "V1LayerParameter": (
        "optional V0LayerParameter layer 1, optional bytes name 4, repeated BlobProto blobs 6"
    ),
    "LayerParameter": "optional bytes name 1, repeated BlobProto blobs 7",
    "NetParameter": (
        "optional bytes name 1, repeated V1LayerParameter layers 2, repeated LayerParameter layer 100"
    ),
}


@dataclass(frozen=True)
class Layer:
    """One layer of a net."""

    name: str
    blobs: tuple[Array, ...]
    """What it learned, in the shapes the file gives: weights, then biases."""


@dataclass(frozen=True)
class Net:
    """A net as its file has it."""

    name: str
    layers: tuple[Layer, ...]
    """In the file's order, which is that of computation."""


def read_net(path: Path) -> Net:
    """The net in a `.caffemodel`. CommandError where there is no file; DataError where it is no whole one."""
    message = _parse(path, "NetParameter")
    nested = [each.layer if each.HasField("layer") else each for each in message.layers]
    layers = tuple(
        Layer(_text(each.name), tuple(_array(path, blob) for blob in each.blobs))
        for each in [*nested, *message.layer]
    )
    if not layers:
        raise DataError(f"{path} holds no layers: give a .caffemodel")
    return Net(_text(message.name), layers)


def read_blob(path: Path) -> Array:
    """The array in a `.binaryproto`, such as a mean image (1, 3, H, W). Errors as for `read_net`."""
    return _array(path, _parse(path, "BlobProto"))


def _parse(path: Path, kind: str) -> Any:
    if not path.is_file():
        raise CommandError(f"no file at {path}")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is larger than any file of Caffe's can be: give another")
    message = _messages()[kind]()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise DataError(f"{path} is no whole file of Caffe's ({error}): copy it again") from error
    return message


def _array(path: Path, blob: Any) -> Array:
    old = [blob.num, blob.channels, blob.height, blob.width]
    shape = list(blob.shape.dim) if blob.HasField("shape") else old
    chunks, kind = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    data = b"".join(chunks)
    wanted = int(np.prod(shape, dtype=object)) * int(kind[2])
    if min(shape, default=0) < 1 or len(data) != wanted:
        raise DataError(f"{path} is broken: {len(data):,} bytes for an array {tuple(shape)}; copy it again")
    return np.frombuffer(data, kind).astype(np.float32).reshape(shape)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


@cache
def _messages() -> dict[str, Any]:
    """A class for each message of the schema."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            label, kind, key, number = field.split()
            _add_field(message, label, kind, key, int(number))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"caffe.{name}")) for name in _SCHEMA}


def _add_field(message: Any, label: str, kind: str, name: str, number: int) -> None:
    types = descriptor_pb2.FieldDescriptorProto
    scalar = kind not in _SCHEMA
    message.field.add(
        name=name,
        number=number,
        label=getattr(types, f"LABEL_{label.upper()}"),
        type=getattr(types, f"TYPE_{kind.upper()}") if scalar else types.TYPE_MESSAGE,
        type_name=None if scalar else f".caffe.{kind}",
    )
