"""Caffe's binary files: the layers of a `.caffemodel`, and the mean image of a `.binaryproto`.

Both are protocol buffers. Only the needed fields of their schema (BVLC/caffe, src/caffe/proto/caffe.proto)
are defined; others are skipped. Files of 2013, of 2014 and of later years nest their layers differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
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
from alexnet.interop.importers import NO_COLOR_STATISTICS, make_bundle, prefixed_errors, renamed_layers
from alexnet.interop.wrong_file import refuse_other_than_caffe, refuse_wrong_file
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import from_caffe

_Array = npt.NDArray[np.float32]

_MAX_BYTES = 2**31 - 1
"""Largest size of a protocol buffer, far above any supported model."""
_MAX_LAYERS = 10_000
_MAX_DIMENSIONS = 8
"""Of an array; those of convolutions have four."""
_SCHEMA = {
    "BlobShape": "repeated int64 dim 1",
    "BlobProto": (
        "optional int32 num 1, optional int32 channels 2, optional int32 height 3, optional int32 width 4, "
        # Packed numbers are encoded like bytes, and reading them as bytes is a hundred times faster.
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
class CaffeLayer:
    """One layer of a `.caffemodel`."""

    name: str
    blobs: tuple[_Array, ...]
    """Its parameters in the file's shapes: weights, then biases."""


@dataclass(frozen=True)
class CaffeModel:
    """The contents of a `.caffemodel`."""

    name: str
    layers: tuple[CaffeLayer, ...]
    """The layers in the file's order, which is that of the forward pass."""


def read_caffemodel(path: Path) -> CaffeModel:
    """Reads a `.caffemodel`. CommandError if there is no file; DataError if it is not complete."""
    message = _parse(path, "NetParameter")
    count = len(message.layers) + len(message.layer)
    if count > _MAX_LAYERS:
        raise DataError(f"{path} has {count:,} layers, more than {_MAX_LAYERS:,}: use another")
    nested = [each.layer if each.HasField("layer") else each for each in message.layers]
    layers = tuple(
        CaffeLayer(_text(each.name), tuple(_array(path, blob) for blob in each.blobs))
        for each in [*nested, *message.layer]
    )
    if not layers:
        raise DataError(f"{path} has no layers: use a .caffemodel")
    return CaffeModel(_text(message.name), layers)


def read_blob(path: Path) -> _Array:
    """The array in a `.binaryproto`, such as a mean image (1, 3, H, W). Errors as for `read_caffemodel`."""
    return _array(path, _parse(path, "BlobProto"))


def _parse(path: Path, kind: str) -> Any:
    refuse_wrong_file(path)
    refuse_other_than_caffe(path)
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is too large for a file of Caffe: use another")
    message = _messages()[kind]()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise DataError(f"{path} is not a complete file of Caffe ({error}): copy it again") from error
    return message


def _array(path: Path, blob: Any) -> _Array:
    old = [blob.num, blob.channels, blob.height, blob.width]
    shape = list(blob.shape.dim) if blob.HasField("shape") else old
    chunks, kind = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    data = b"".join(chunks)
    if len(shape) > _MAX_DIMENSIONS:
        raise DataError(f"{path} is broken: an array of {len(shape):,} dimensions: copy it again")
    expected = int(np.prod(shape, dtype=object)) * int(kind[2])
    if min(shape, default=0) < 1 or len(data) != expected:
        raise DataError(f"{path} is broken: {len(data):,} bytes for an array {tuple(shape)}: copy it again")
    return np.frombuffer(data, kind).astype(np.float32).reshape(shape)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


@cache
def _messages() -> dict[str, Any]:
    """A Python class for each message of the schema."""
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


CAFFE_RECIPES = {"caffe": "alexnet-caffe", "caffenet": "caffenet"}
"""Recipes by variant."""


def read_caffe(
    path: Path,
    mean: Path | None = None,
    variant: str = "",
    classes: Sequence[Class] = (),
    renames: Mapping[str, str] = MappingProxyType({}),
) -> ModelBundle:
    """The model in a `.caffemodel`, with ImageNet's classes by default and Caffe's preprocessing.

    `mean` is a `.binaryproto` or `.npy` with the mean image or mean color (BGR); without it, Caffe's mean
    color is subtracted. `variant`, `caffe` or `caffenet`, is for files that do not identify it. `renames` are
    new names of layers. CommandError if there is no file, or if `variant`, `classes` or `renames` are needed
    or do not fit; DataError if the file contains another model.
    """
    if variant and variant not in CAFFE_RECIPES:
        raise CommandError(f"no variant {variant!r} of Caffe; it must be {' or '.join(CAFFE_RECIPES)}")
    net = read_caffemodel(path)
    config = recipes.get(CAFFE_RECIPES[variant or _variant(path, net)])
    side = config.data.image_size
    subtracted = (
        torch.tensor(published.alexnet.CAFFE_CHANNEL_MEANS) if mean is None else read_mean(mean, side)
    )
    if subtracted.ndim == 1:
        config = replace(config, data=replace(config.data, normalization="channel-mean"))
    preprocessing = Preprocessing(
        data=config.data,
        mean=subtracted,
        std=torch.ones(3),
        resized={"shape": "square", "resize": "warp", "resampling": "bilinear"},
        channels="BGR",
        **NO_COLOR_STATISTICS,
    )
    with_weights = [layer for layer in net.layers if layer.blobs]
    names = renamed_layers(path, [layer.name for layer in with_weights], renames)
    blobs = {names[layer.name]: tuple(map(torch.from_numpy, layer.blobs)) for layer in with_weights}
    with prefixed_errors(path):
        weights = from_caffe(blobs)
    return make_bundle(path, config, preprocessing, weights, classes)


def _variant(path: Path, net: CaffeModel) -> str:
    """The variant, from the order of layers or else the model's name: CaffeNet pools before it normalizes."""
    order = [layer.name for layer in net.layers if layer.name in ("norm1", "pool1")]
    if sorted(order) == ["norm1", "pool1"]:
        return "caffe" if order[0] == "norm1" else "caffenet"
    by_name = {"AlexNet": "caffe", "CaffeNet": "caffenet"}
    if net.name in by_name:
        return by_name[net.name]
    raise CommandError(f"{path} may be AlexNet or CaffeNet: type --variant caffe or --variant caffenet")


def read_mean(path: Path, side: int) -> Tensor:
    """A mean image (side, side, 3), BGR, or the mean color (3,) if the file has one pixel.

    From a `.npy` or `.binaryproto`. DataError if it is not one of that size.
    """
    found = torch.from_numpy(_read_npy(path) if path.suffix.lower() == ".npy" else read_blob(path))
    if found.numel() == 3:
        return found.flatten()
    if found.shape[-3:] != (3, side, side) or found.numel() != 3 * side * side:
        raise DataError(
            f"{path} has shape {tuple(found.shape)}; the mean image of this model has "
            f"(1, 3, {side}, {side}), its mean color (3,)"
        )
    return found.reshape(3, side, side).permute(1, 2, 0).contiguous()


def _read_npy(path: Path) -> _Array:
    refuse_wrong_file(path)
    try:
        found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
        return found.astype(np.float32)
    except (ValueError, EOFError, OSError, TypeError) as error:
        raise DataError(f"{path} is not a complete .npy file of numbers ({error}): copy it again") from error
