"""Caffe's binary files: the layers of a `.caffemodel`, and the mean image of a `.binaryproto`.

Both are protocol buffers. Of their schema (BVLC/caffe, src/caffe/proto/caffe.proto) only the fields that
matter here are described; the rest is passed over. Nets of 2013, of 2014 and of later years nest their layers
differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from torch import Tensor

from alexnet import published, recipes
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.interop.importers import NO_COLOR_STATISTICS, about, put_together
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import from_caffe

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


RECIPES = {"caffe": "alexnet-caffe", "caffenet": "caffenet"}
"""By variant."""


def read(
    path: Path, mean: Path | None = None, variant: str = "", classes: Sequence[Class] = ()
) -> ModelBundle:
    """The net in a `.caffemodel`, by default with ImageNet's classes, to be shown photos as Caffe does.

    `mean` is a `.binaryproto` with the mean image; without it the mean color of Caffe's own is subtracted.
    `variant`, `caffe` or `caffenet`, is for files that do not say which of the two they are. CommandError
    where there is no file, or where `variant` or `classes` are wanted; DataError where the file is another.
    """
    if variant and variant not in RECIPES:
        raise CommandError(f"no variant {variant!r} of Caffe's; it must be {' or '.join(RECIPES)}")
    net = read_net(path)
    config = recipes.get(RECIPES[variant or _variant(path, net)])
    if mean is None:
        config = replace(config, data=replace(config.data, normalization="channel-mean"))
    preprocessing = Preprocessing(
        data=config.data,
        mean=torch.tensor(published.alexnet.CAFFE_CHANNEL_MEANS)
        if mean is None
        else _mean_image(mean, config.data.image_size),
        std=torch.ones(3),
        resized={"shape": "square", "resize": "warp", "resampling": "bilinear"},
        channels="BGR",
        **NO_COLOR_STATISTICS,
    )
    with about(path):
        weights = from_caffe({layer.name: tuple(map(torch.from_numpy, layer.blobs)) for layer in net.layers})
    return put_together(path, config, preprocessing, weights, classes)


def _variant(path: Path, net: Net) -> str:
    """By the order of layers, else by the net's name: CaffeNet pools before it normalizes."""
    order = [layer.name for layer in net.layers if layer.name in ("norm1", "pool1")]
    if sorted(order) == ["norm1", "pool1"]:
        return "caffe" if order[0] == "norm1" else "caffenet"
    by_name = {"AlexNet": "caffe", "CaffeNet": "caffenet"}
    if net.name in by_name:
        return by_name[net.name]
    raise CommandError(
        f"{path} does not say whether it is AlexNet or CaffeNet: type --variant caffe or --variant caffenet"
    )


def _mean_image(path: Path, side: int) -> Tensor:
    """(side, side, 3), blue first, as the net sees colors."""
    found = torch.from_numpy(read_blob(path))
    if found.shape[-3:] != (3, side, side) or found.numel() != 3 * side * side:
        raise DataError(
            f"{path} is {tuple(found.shape)}: the mean image of this net is (1, 3, {side}, {side})"
        )
    return found.reshape(3, side, side).permute(1, 2, 0).contiguous()
