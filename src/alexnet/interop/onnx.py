"""Export to ONNX, for programs that run the model without this package."""

from __future__ import annotations

import json
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

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OUTPUT_TOLERANCE = 1e-4
"""Largest allowed difference to the model's probabilities, and to its logits relative to the largest one."""
_TRIAL_BATCHES = (1, 3)


def write_onnx(path: Path, net: ModelBundle) -> None:
    """Writes the file, but only if it gives the model's output in ONNX Runtime.

    Its input `images` are central crops (N, C, crop, crop), float32 in gray levels 0..255 in RGB or gray; the
    graph subtracts the mean, divides by the standard deviations and reorders the channels. Its output
    `logits` is (N, K). `metadata_props` has all texts of a model file, and `preprocessing_in_words`.
    CommandError if packages are missing; WorkError if the outputs differ or the disk refuses.
    """
    refuse_without_packages(ONNX_PACKAGES)
    crop, channels = net.config.data.input_size, net.config.data.channels
    with atomic_write(path) as unfinished, torch.no_grad():
        with _without_logging():
            program = cast(Any, torch.onnx.export)(
                _Graph(net).eval(),
                (torch.zeros(2, channels, crop, crop),),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        _remove_source_locations(program.model)
        program.save(str(unfinished), external_data=False)
        _add_metadata(unfinished, net)
        _refuse_other_outputs(unfinished, net)


def _add_metadata(path: Path, net: ModelBundle) -> None:
    """Adds the texts, with the digests of the graph and of the file, to an ONNX file."""
    import onnx

    model, blank = onnx.load(path), "?" * 32
    texts = metadata_props(net, bundle.onnx_digest(model))
    onnx.helper.set_model_props(model, {**texts, bundle.FILE_XXH3: json.dumps(blank)})
    data = model.SerializeToString()
    before, _, after = data.rpartition(blank.encode())
    path.write_bytes(before + bundle.onnx_xxh3(data, blank).encode() + after)


def metadata_props(net: ModelBundle, digest: str = "") -> dict[str, str]:
    """The texts of a model file with the digest of its graph, and a description of the preprocessing."""
    return {
        **bundle.metadata_texts(net, digest),
        "preprocessing_in_words": describe_preprocessing(net.preprocessing),
    }


def describe_preprocessing(preprocessing: Preprocessing) -> str:
    """How to compute the graph's input from a photo, as text."""
    side, crop, how = preprocessing.side, preprocessing.crop, preprocessing.resized
    resizing = {
        "warp": f"Resize it to {side} x {side} pixels, ignoring its aspect ratio",
        "crop": f"Resize its shorter side to {side} pixels and keep the central {side} x {side}",
        "pad": f"Shrink it to a longer side of {how.get('picture')} pixels, if it is larger, and center it "
        f"on {side} x {side} black pixels",
    }
    channels, colors = (1, "gray") if preprocessing.data.channels == 1 else (3, "RGB")
    offset = center(side, crop)[0, 0]
    return (
        f"Decode the photo to 8-bit {colors}, upright. {resizing[how['resize']]} ({how['resampling']}). Crop "
        f"the central {crop} x {crop} pixels, {offset} from the top and left. Pass them as `{INPUT}` "
        f"(N, {channels}, {crop}, {crop}), float32, {colors}, gray levels 0 to 255: the graph "
        + _describe_normalization(preprocessing)
        + (" and reorders RGB to the model's BGR" if preprocessing.channels == "BGR" else "")
        + f". The softmax of `{OUTPUT}` (N, K) gives probabilities in the order of `classes`."
    )


def _describe_normalization(preprocessing: Preprocessing) -> str:
    data = preprocessing.data
    if data.normalization == "range":
        return f"maps 0 to {data.range[0]:g} and 255 to {data.range[1]:g}"
    divides = ", divides by their standard deviations" if preprocessing.divides else ""
    return f"subtracts the training photos' mean{divides}"


class _Graph(nn.Module):
    """The model with its preprocessing; the input is RGB gray levels."""

    def __init__(self, net: ModelBundle) -> None:
        super().__init__()
        self.net = net.model
        self.reorders_channels = net.preprocessing.channels == "BGR"
        self.divides = net.preprocessing.divides
        self.register_buffer("mean", net.preprocessing.central_mean().contiguous())
        self.register_buffer("divisor", net.preprocessing.divisor[:, None, None].contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """Logits of crops (N, C, crop, crop)."""
        values = images.flip(1) if self.reorders_channels else images
        values = values - cast(Tensor, self.mean)
        return self.net(values / cast(Tensor, self.divisor) if self.divides else values)


@contextmanager
def _without_logging() -> Generator[None]:
    """Suppresses the exporter's log messages and warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _remove_source_locations(model: Any) -> None:
    """Removes the exporter's metadata on the source file and line of each node."""
    for node in model.graph:
        for each in (node, *node.outputs):
            each.metadata_props.clear()


def _refuse_other_outputs(path: Path, net: ModelBundle) -> None:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    preprocessing = net.preprocessing
    side, middle = preprocessing.side, center(preprocessing.side, preprocessing.crop)
    generator = torch.Generator().manual_seed(0)
    for count in _TRIAL_BATCHES:
        squares = torch.randint(
            0, 256, (count, side, side, preprocessing.data.channels), dtype=torch.uint8, generator=generator
        )
        expected = net.model(preprocessing.test_input(squares, middle))
        crops = cut(squares, preprocessing.crop, middle)[:, 0].permute(0, 3, 1, 2).float().numpy()
        difference = _difference(torch.from_numpy(session.run([OUTPUT], {INPUT: crops})[0]), expected)
        if not difference <= OUTPUT_TOLERANCE:
            raise WorkError(
                f"ONNX Runtime's output differs from the model's ({difference:.2g}, "
                f"{OUTPUT_TOLERANCE:g} allowed): no file was written; export to .safetensors instead"
            )


def _difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of logits (N, K), as defined for `OUTPUT_TOLERANCE`."""
    if found.shape != expected.shape:
        return math.inf
    probabilities = (torch.softmax(found, 1) - torch.softmax(expected, 1)).abs().max()
    return float(torch.maximum(probabilities, (found - expected).abs().max() / expected.abs().max()))
