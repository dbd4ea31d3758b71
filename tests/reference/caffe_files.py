"""Caffe's files written byte by byte, as the wire format of protocol buffers describes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Layer = tuple[str, int, str, Sequence[np.ndarray]]
"""Name, type as the enumeration of 2014 numbers it, type as later years spell it, blobs."""


def varint(number: int) -> bytes:
    """Seven bits a byte, the least significant first; the eighth bit says that more follow."""
    low = []
    while number > 127:
        low.append(number % 128 + 128)
        number //= 128
    return bytes([*low, number])


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value)


def block(field: int, contents: bytes | str) -> bytes:
    data = contents.encode() if isinstance(contents, str) else contents
    return varint(field * 8 + 2) + varint(len(data)) + data


def old_blob(array: np.ndarray) -> bytes:
    """num, channels, height, width: four sizes always, ones in front."""
    sizes = [1] * (4 - array.ndim) + list(array.shape)
    dims = b"".join(number(1 + place, size) for place, size in enumerate(sizes))
    return dims + block(5, array.astype("<f4").tobytes())


def new_blob(array: np.ndarray) -> bytes:
    return block(5, array.astype("<f4").tobytes()) + block(7, block(1, b"".join(map(varint, array.shape))))


def double_blob(array: np.ndarray) -> bytes:
    return block(8, array.astype("<f8").tobytes()) + block(7, block(1, b"".join(map(varint, array.shape))))


def layer_of_2013(layer: Layer) -> bytes:
    name, _, kind, blobs = layer
    inside = block(1, name) + block(2, kind.lower()) + b"".join(block(50, old_blob(each)) for each in blobs)
    return block(2, block(1, inside) + block(2, "below") + block(3, name))


def layer_of_2014(layer: Layer) -> bytes:
    name, kind, _, blobs = layer
    head = block(2, "below") + block(3, name) + block(4, name) + number(5, kind)
    return block(2, head + b"".join(block(6, old_blob(each)) for each in blobs))


def layer_of_later(layer: Layer, blob: Callable[[np.ndarray], bytes] = new_blob) -> bytes:
    name, _, kind, blobs = layer
    head = block(1, name) + block(2, kind) + block(3, "below") + block(4, name) + number(10, 1)
    return block(100, head + b"".join(block(7, blob(each)) for each in blobs))


def caffemodel(name: str, layers: Sequence[Layer], write: Callable[[Layer], bytes] = layer_of_later) -> bytes:
    return block(1, name) + block(3, "data") + b"".join(map(write, layers)) + number(5, 1)


def alexnet_layers(blobs: dict[str, Sequence[np.ndarray]], pools_first: bool = False) -> list[Layer]:
    """BVLC's AlexNet, or CaffeNet, with every layer that its files list."""
    kinds = {"conv": (4, "Convolution"), "norm": (15, "LRN"), "pool": (17, "Pooling"), "relu": (18, "ReLU")}
    kinds |= {
        "fc": (14, "InnerProduct"),
        "drop": (6, "Dropout"),
        "data": (5, "Data"),
        "prob": (20, "Softmax"),
    }
    order = "pool{0} norm{0}" if pools_first else "norm{0} pool{0}"
    names = f"data conv1 relu1 {order.format(1)} conv2 relu2 {order.format(2)} conv3 relu3 conv4 relu4 conv5 "
    names += "relu5 pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob"
    return [(name, *kinds[name.rstrip("12345678")], blobs.get(name, ())) for name in names.split()]
