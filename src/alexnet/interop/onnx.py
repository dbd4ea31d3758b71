"""One trained net as one ONNX file, which other programs run without this one."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from alexnet.data.crops import center, cut
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import WorkError
from alexnet.io import atomic_write
from alexnet.models import bundle
from alexnet.models.bundle import INPUT, OUTPUT, ModelBundle, refuse_without_packages

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Largest difference of a probability, or of a logit in units of the largest one, to the net's own."""
_TRIAL_BATCHES = (1, 3)


def write(path: Path, net: ModelBundle) -> None:
    """Writes the file, but only if ONNX Runtime gives the net's own probabilities with it.

    Its input `images` are central crops (N, C, crop, crop), float32 in gray levels 0..255 in RGB or gray; the
    graph itself subtracts the mean, divides by the deviations and puts the channels into the net's order. Its
    output `logits` is (N, K). `metadata_props` holds all texts of a model file, and `preprocessing_in_words`.
    CommandError where packages are missing; WorkError where the answers differ or the disk refuses.
    """
    refuse_without_packages(PACKAGES)
    crop, channels = net.config.data.input_size, net.config.data.channels
    with atomic_write(path) as unfinished, torch.no_grad():
        with _quietly():
            program = cast(Any, torch.onnx.export)(
                _Graph(net).eval(),
                (torch.zeros(2, channels, crop, crop),),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        _forget_this_machine(program.model)
        program.model.metadata_props.update(texts(net))
        program.save(str(unfinished), external_data=False)
        _refuse_other_answers(unfinished, net)


def texts(net: ModelBundle) -> dict[str, str]:
    """What travels in `metadata_props`: a model file's texts, and how to prepare a photo in words."""
    return {**bundle.metadata_texts(net), "preprocessing_in_words": in_words(net.preprocessing)}


def in_words(preprocessing: Preprocessing) -> str:
    """How a photo becomes the graph's input, in sentences for people."""
    side, crop, how = preprocessing.side, preprocessing.crop, preprocessing.resized
    ways = {
        "warp": f"Resize it to {side} x {side} pixels whatever its aspect",
        "crop": f"Resize its shorter side to {side} pixels and keep the central {side} x {side}",
        "pad": f"Shrink it to a longer side of {how.get('picture')} pixels, if it is larger, and put it into "
        f"the middle of {side} x {side} black pixels",
    }
    channels, colors = (1, "gray") if preprocessing.data.channels == 1 else (3, "RGB")
    offset = center(side, crop)[0, 0]
    return (
        f"Decode the photo to 8-bit {colors}, upright. {ways[how['resize']]} ({how['resampling']}). Cut out "
        f"the central {crop} x {crop} pixels, {offset} from the top and left. Pass them as `{INPUT}` "
        f"(N, {channels}, {crop}, {crop}), float32, {colors}, gray levels 0 to 255: the graph itself "
        + _normalization_in_words(preprocessing)
        + (" and turns RGB into the BGR the net wants" if preprocessing.channels == "BGR" else "")
        + f". The softmax of `{OUTPUT}` (N, K) gives probabilities in the order of `classes`."
    )


def _normalization_in_words(preprocessing: Preprocessing) -> str:
    data = preprocessing.data
    if data.normalization == "range":
        return f"takes 0 to {data.range[0]:g} and 255 to {data.range[1]:g}"
    divides = ", divides by their deviations" if preprocessing.divides else ""
    return f"subtracts the training photos' mean{divides}"


class _Graph(nn.Module):
    """The net with its preprocessing, from RGB gray levels on."""

    def __init__(self, net: ModelBundle) -> None:
        super().__init__()
        self.net = net.model
        self.turns = net.preprocessing.channels == "BGR"
        self.divides = net.preprocessing.divides
        self.register_buffer("mean", net.preprocessing.central_mean().contiguous())
        self.register_buffer("divisor", net.preprocessing.divisor[:, None, None].contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """Logits of crops (N, C, crop, crop)."""
        values = images.flip(1) if self.turns else images
        values = values - cast(Tensor, self.mean)
        return self.net(values / cast(Tensor, self.divisor) if self.divides else values)


@contextmanager
def _quietly() -> Generator[None]:
    """Without the exporter's notes on its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _forget_this_machine(model: Any) -> None:
    """Takes away the exporter's notes on which line of which file on this machine made each step."""
    for node in model.graph:
        for each in (node, *node.outputs):
            each.metadata_props.clear()


def _refuse_other_answers(path: Path, net: ModelBundle) -> None:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    preprocessing = net.preprocessing
    side, middle = preprocessing.side, center(preprocessing.side, preprocessing.crop)
    generator = torch.Generator().manual_seed(0)
    for count in _TRIAL_BATCHES:
        squares = torch.randint(
            0, 256, (count, side, side, preprocessing.data.channels), dtype=torch.uint8, generator=generator
        )
        wanted = net.model(preprocessing.test_input(squares, middle))
        crops = cut(squares, preprocessing.crop, middle)[:, 0].permute(0, 3, 1, 2).float().numpy()
        apart = _apart(torch.from_numpy(session.run([OUTPUT], {INPUT: crops})[0]), wanted)
        if not apart <= TOLERANCE:
            raise WorkError(
                f"ONNX Runtime answers otherwise than the net ({apart:.2g} apart, {TOLERANCE:g} allowed): "
                "no file was written; export to .safetensors instead"
            )


def _apart(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, as `TOLERANCE` counts it, of logits (N, K)."""
    if found.shape != wanted.shape:
        return math.inf
    probabilities = (torch.softmax(found, 1) - torch.softmax(wanted, 1)).abs().max()
    return float(torch.maximum(probabilities, (found - wanted).abs().max() / wanted.abs().max()))
