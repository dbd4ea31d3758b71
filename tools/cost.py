"""The computed cost of training: arithmetic, bytes moved, held and sent, and the time that each takes.

All are lower bounds. Only layers with weights are counted; operations between them (activation functions,
normalization, pooling, dropout) are assumed to be free, and the limits to overlap perfectly. `python -m
benchmarks step` measures how near a program comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from alexnet.errors import CommandError
from alexnet.published.alexnet import CROSSING_INPUTS, PAPER_EPOCHS
from alexnet.published.devices import Device
from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES

Precision = Literal["float32", "bfloat16"]
Sharing = Literal["batch", "towers"]

IMAGE_VALUES = 3 * 224 * 224
_VALUE_BYTES = {"float32": 4, "bfloat16": 2}
_WEIGHT_BYTES = 4
"""Bytes of a number: weights, gradients and velocities are float32, whatever the precision of products."""
_UPDATE_PASSES = 6
"""Passes of an update over the weights, in float32: the gradient is written and read, weight and velocity are
read and written."""
_PRODUCT_PASSES = 2
"""Passes of products over the weights: in the forward pass, and for the gradients of the inputs."""
_OUTPUT_PASSES = 6
"""Passes over the layers' outputs: written, read in the forward pass, read in the backward pass; the same for
their gradients."""
_IMAGE_PASSES = 2
"""Passes over the photos: conv1's products in the forward pass, and the gradient of its weights."""


class Layer(Protocol):
    """The numbers of a layer with weights, for one image: protocol for layers of `published` and of
    `models.summary`.
    """

    @property
    def name(self) -> str:
        """Name of the layer, such as `conv1`."""
        ...

    @property
    def weights(self) -> int:
        """How many."""
        ...

    @property
    def biases(self) -> int:
        """How many."""
        ...

    @property
    def multiply_adds(self) -> int:
        """Multiplications with a weight."""
        ...

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Maps, rows, columns; or units."""
        ...


@dataclass(frozen=True)
class Job:
    """One update of a model, on one device or on several equal ones."""

    layers: Sequence[Layer]
    """The layers, starting at the photo."""
    batch: int
    """Number of images over all devices."""
    devices: int = 1
    precision: Precision = "float32"
    sharing: Sharing = "batch"
    """`batch`: each device has all weights and a share of the images. `towers`: each of two devices has half
    of every layer's units and gets all images, as in 2012."""

    def __post_init__(self) -> None:
        if self.sharing == "towers" and self.devices != 2:
            raise CommandError(f"{self.devices} devices for two towers: there must be 2")

    @property
    def parameters(self) -> int:
        """Parameters of the whole model."""
        return sum(layer.weights + layer.biases for layer in self.layers)

    @property
    def outputs(self) -> int:
        """Outputs of all layers for one image: the paper's "neurons"."""
        return sum(math.prod(layer.output_shape) for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image: forward, the gradients of all weights, and those of all inputs but the
        photo's.

        Multiplications with padded zeros count; additions of biases do not.
        """
        return 3 * sum(layer.multiply_adds for layer in self.layers) - self.layers[0].multiply_adds

    @property
    def flops(self) -> int:
        """Multiplications and additions of the whole update."""
        return 2 * self.batch * self.multiply_adds

    @property
    def moved_bytes(self) -> float:
        """Bytes moved to and from the memory of one device."""
        weights = self._own_parameters * (self._value * _PRODUCT_PASSES + _WEIGHT_BYTES * _UPDATE_PASSES)
        outputs = self._own_outputs * self._value * _OUTPUT_PASSES
        return weights + outputs + self._own_images * IMAGE_VALUES * self._value * _IMAGE_PASSES

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights, gradients and velocities on one device."""
        return 3 * _WEIGHT_BYTES * self._own_parameters

    @property
    def kept_bytes(self) -> float:
        """Bytes of layers' outputs, own and received ones, that one device keeps for the backward pass."""
        crossing = self._crossing_values if self.sharing == "towers" else 0
        return self._value * (self._own_outputs + crossing)

    @property
    def image_bytes(self) -> float:
        """Bytes of the photos that one device gets."""
        return self._value * self._own_images * IMAGE_VALUES

    @property
    def held_bytes(self) -> float:
        """Bytes in the memory of one device."""
        return self.weight_bytes + self.kept_bytes + self.image_bytes

    @property
    def sent_bytes(self) -> float:
        """Bytes sent from each device to the others, and as many received.

        Towers send each other their half of the inputs of conv3, fc6, fc7 and fc8, and then the gradients of
        the other's half. Shares of a batch sum all gradients in a ring: 2 (n - 1) / n times their bytes.
        """
        if self.sharing == "towers":
            return 2 * self._value * self._crossing_values
        return 2 * (self.devices - 1) / self.devices * _WEIGHT_BYTES * self.parameters

    @property
    def _value(self) -> int:
        return _VALUE_BYTES[self.precision]

    @property
    def _own_parameters(self) -> float:
        return self.parameters / (self.devices if self.sharing == "towers" else 1)

    @property
    def _own_images(self) -> float:
        return self.batch / (1 if self.sharing == "towers" else self.devices)

    @property
    def _own_outputs(self) -> float:
        """Outputs on one device: for all images and half of the units, or a share of the images and all
        units.
        """
        return self.outputs * self.batch / self.devices

    @property
    def _crossing_values(self) -> float:
        """Number of outputs of the other tower that one tower reads."""
        inputs = sum(CROSSING_INPUTS.get(layer.name, 0) for layer in self.layers)
        return self.batch * inputs / 2


@dataclass(frozen=True)
class Bounds:
    """Minimum seconds of an update by each limit."""

    arithmetic: float
    memory: float
    link: float

    @property
    def seconds(self) -> float:
        """Minimum seconds if the limits overlap perfectly: the largest of them."""
        return max(self.arithmetic, self.memory, self.link)

    @property
    def binding(self) -> str:
        """Name of the largest limit."""
        return max(("arithmetic", "memory", "link"), key=lambda name: getattr(self, name))


def bounds(job: Job, device: Device) -> Bounds:
    """The minimum time of an update on the number of devices in the job.

    CommandError if the device lacks the job's precision.
    """
    rate = device.float32_flops if job.precision == "float32" else device.bfloat16_flops
    if rate is None:
        raise CommandError(f"{device.name} has no {job.precision}: use float32")
    return Bounds(
        job.flops / (rate * job.devices),
        job.moved_bytes / device.memory_bytes_per_second,
        job.sent_bytes / device.link_bytes_per_second,
    )


def run_hours(
    images_per_second: float, images: int = IMAGENET_TRAINING_IMAGES, epochs: float = PAPER_EPOCHS
) -> float:
    """Hours of a run, by default of the paper's 90 epochs of ILSVRC-2012."""
    return epochs * images / images_per_second / 3600
