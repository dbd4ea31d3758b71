"""Export to ONNX, for programs that run the model without this package."""

from __future__ import annotations

import json
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.data.crops import center, cut
from alexnet.data.decode import Pixels
from alexnet.data.preprocessing import Preprocessing, to_stored_square
from alexnet.data.store import Store
from alexnet.data.synthetic_images import draw_photo
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import score_crops
from alexnet.evaluation.views import OF_A_SQUARE, positions_of
from alexnet.interop.onnx_photo import SQUARE, photo_graph
from alexnet.interop.quantization import quantized
from alexnet.io import atomic_write
from alexnet.models import bundle
from alexnet.models.bundle import INPUT, OUTPUT, PHOTO, PROBABILITIES, ModelBundle, refuse_without_packages
from alexnet.runs.calibration import Calibration, tempered
from alexnet.runs.results import ViewSet
from alexnet.text import counted, percentage

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OUTPUT_TOLERANCE = 1e-4
"""Largest allowed difference to the model's probabilities, and to its logits relative to the largest one."""
PHOTO_TOLERANCE = 0.02
"""The same if the graph itself resizes the photo: it rounds some pixels to the next gray level."""
INT8_TOLERANCE = 0.2
"""The same for int8, in which such a pixel can change a layer's input by a whole step; the reference is the
int8 model with pixels that were resized here."""
GRAY_TOLERANCE = 2
"""Largest allowed difference of the resized photo, in gray levels."""
MOST_BYTES = 2**31 - 1
"""Largest size of an ONNX file that holds its weights."""
_TRIAL_BATCHES = (1, 3)
_TINY = float(np.finfo(np.float32).tiny)

Takes = Literal["crops", "photo"]
Log = Callable[[str], None]


@dataclass(frozen=True)
class OnnxOptions:
    """What an ONNX file takes, and how its weights are stored."""

    takes: Takes = "crops"
    """`crops`: preprocessed crops, any number of them. `photo`: one photo of any size."""
    views: str = ""
    """The crops of a photo whose probabilities are averaged: `center`, the default, or `ten`."""
    store: Store | None = None
    """Only for int8: photos to calibrate with, and to measure the errors before and after."""

    def __post_init__(self) -> None:
        if self.takes not in get_args(Takes):
            raise CommandError(f"no input {self.takes!r}; it must be {' or '.join(get_args(Takes))}")
        if self.views not in ("", *OF_A_SQUARE):
            raise CommandError(f"no views {self.views!r} in a graph; they must be {' or '.join(OF_A_SQUARE)}")
        if self.views and self.takes != "photo":
            raise CommandError("only a graph that takes photos has views: add --input photo")

    @property
    def chosen_views(self) -> str:
        """`views`, or the default."""
        return self.views or "center"


DEFAULTS = OnnxOptions()


def write_onnx(
    path: Path,
    net: ModelBundle,
    members: Sequence[ModelBundle] = (),
    options: OnnxOptions = DEFAULTS,
    log: Log = lambda line: None,
) -> None:
    """Writes the file, but only if it gives the model's output in ONNX Runtime.

    Its input `images` are center crops (N, C, crop, crop), float32 in gray levels 0..255 in RGB or gray; the
    graph subtracts the mean, divides by the standard deviations and reorders the channels. Its output
    `logits` is (N, K). `metadata_props` has all texts of a model file, and `preprocessing_in_words`.

    With `options.takes="photo"` the input is `photo`, uint8 (H, W, 3) RGB of any size, upright. The outputs
    are `probabilities` (K,), the mean over the views, calibrated if the model is for these views, and
    `square`, uint8 (side, side, C), the resized photo. With `members`, the mean of their probabilities is
    exported, whose logarithms are the logits; `net` has the metadata and the calibration. With
    `options.store` weights and inputs of layers are rounded to int8.

    `log` receives what was measured. CommandError if packages are missing, or the members need different
    crops; DataError if the store does not fit; WorkError if the outputs differ, or if the disk is full or not
    writable.
    """
    refuse_without_packages(ONNX_PACKAGES)
    members = tuple(members) or (net,)
    if options.takes == "crops":
        _refuse_different_crops(members)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        graphs = [_member_graph(each, Path(folder)) for each in members]
        if options.store is not None:
            graphs, members = quantized(
                graphs, members, options.store, options.chosen_views, Path(folder), log
            )
        model = _joined(graphs, members, net.calibration, options)
        if model.ByteSize() > MOST_BYTES:
            raise CommandError(
                f"the graph would have {model.ByteSize():,} bytes, and an ONNX file has at most "
                f"{MOST_BYTES:,}: export fewer models, or with --precision int8"
            )
        data = _serialized(model, net, options)
        with atomic_write(path) as unfinished:
            unfinished.write_bytes(data)
            if options.takes == "crops":
                _refuse_other_outputs(unfinished, members)
            else:
                found = _compare_photos(unfinished, members, net.calibration, options)
                log(_describe(found, "the model" if options.store is None else "the int8 model"))
                if net.calibration is not None and net.calibration.views != ViewSet(options.chosen_views):
                    log(f"probabilities are not calibrated: {_other_views(net.calibration.views)}")


def _refuse_different_crops(members: Sequence[ModelBundle]) -> None:
    made = {
        (each.preprocessing.crop, each.preprocessing.side, *sorted(each.preprocessing.resized.items()))
        for each in members
    }
    if len(made) > 1:
        raise CommandError(
            "these models need different crops of a photo: export a graph that takes whole photos, with "
            "--input photo"
        )


def _member_graph(net: ModelBundle, folder: Path) -> Any:
    """The `ModelProto` of one model, from `images` to `logits`."""
    import onnx

    crop, channels = net.config.data.input_size, net.config.data.channels
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
    program.save(str(folder / "member.onnx"), external_data=False)
    return onnx.load(folder / "member.onnx")


def _joined(
    graphs: Sequence[Any],
    members: Sequence[ModelBundle],
    calibration: Calibration | None,
    options: OnnxOptions,
) -> Any:
    """One `ModelProto` of all members; that of a single one that takes crops is returned unchanged."""
    import onnx

    if options.takes == "crops" and len(graphs) == 1:
        return graphs[0]
    joined = onnx.ModelProto()
    joined.CopyFrom(graphs[0])
    opset, ir_version = graphs[0].opset_import[0].version, graphs[0].ir_version
    parts: list[Any] = []
    links: dict[str, str] = {}
    """Which value each input of a part is."""
    resized: dict[bytes, str] = {}
    """The prefix of each different preprocessing, by its graph."""
    for number, (graph, member) in enumerate(zip(graphs, members, strict=True)):
        source = INPUT
        if options.takes == "photo":
            positions = positions_of(options.chosen_views, member.preprocessing)
            made = photo_graph(member.preprocessing, positions, opset, ir_version).graph
            prefix = resized.setdefault(made.SerializeToString(deterministic=True), f"photo_{len(resized)}_")
            if prefix + PHOTO not in links:
                links[prefix + PHOTO] = PHOTO
                parts.append(onnx.compose.add_prefix_graph(made, prefix))
            source = prefix + INPUT
        links[f"model_{number}_{INPUT}"] = source
        parts.append(onnx.compose.add_prefix_graph(graph.graph, f"model_{number}_"))
    tail = onnx.parser.parse_graph(_tail(members, calibration, options))
    del joined.graph.node[:], joined.graph.initializer[:], joined.graph.value_info[:]
    del joined.graph.input[:], joined.graph.output[:]
    for part in (*parts, tail):
        for each in part.input if part is not tail else ():
            joined.graph.node.add(op_type="Identity", input=[links[each.name]], output=[each.name])
        joined.graph.node.extend(part.node)
        joined.graph.initializer.extend(part.initializer)
        joined.graph.value_info.extend(part.value_info)
    joined.graph.input.extend(tail.input)
    joined.graph.output.extend(tail.output)
    return joined


def _tail(members: Sequence[ModelBundle], calibration: Calibration | None, options: OnnxOptions) -> str:
    """The graph from the members' logits to the output, as text with the inputs of the whole."""
    preprocessing, classes = members[0].preprocessing, len(members[0].classes)
    channels, crop, side = preprocessing.data.channels, preprocessing.crop, preprocessing.side
    softmax = [f"p_{n} = Softmax <axis = 1> (model_{n}_{OUTPUT})" for n in range(len(members))]
    mean = f"mean = Mean ({', '.join(f'p_{n}' for n in range(len(members)))})"
    logarithm = f"tiny = Constant <value = float {{{_TINY}}}> ()", "positive = Max (mean, tiny)"
    if options.takes == "crops":
        return _lines(
            f"average (float[batch,{channels},{crop},{crop}] {INPUT}) "
            f"=> (float[batch,{classes}] {OUTPUT}) {{",
            *(*softmax, mean, *logarithm, f"{OUTPUT} = Log (positive)", "}"),
        )
    temperature = _temperature(calibration, options.chosen_views)
    return _lines(
        f"average (uint8[height,width,3] {PHOTO}) "
        f"=> (float[{classes}] {PROBABILITIES}, uint8[{side},{side},{channels}] {SQUARE}) {{",
        *(*softmax, mean.replace("mean =", "of_views ="), "views = Constant <value_ints = [0]> ()"),
        "mean = ReduceMean <keepdims = 0> (of_views, views)",
        *(*logarithm, "logarithms = Log (positive)"),
        f"temperature = Constant <value = float {{{temperature}}}> ()",
        "tempered = Div (logarithms, temperature)",
        f"{PROBABILITIES} = Softmax <axis = 0> (tempered)",
        *(f"{SQUARE} = Identity (photo_0_{SQUARE})", "}"),
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _temperature(calibration: Calibration | None, views: str) -> float:
    """That of the calibration, if it is for these views; else 1."""
    return calibration.temperature if calibration is not None and calibration.views == ViewSet(views) else 1.0


def _serialized(model: Any, net: ModelBundle, options: OnnxOptions) -> bytes:
    """The file: the graph with the texts, a description of the input, and the digests of graph and file."""
    import onnx

    described = (
        describe_photo(net, options)
        if options.takes == "photo"
        else describe_preprocessing(net.preprocessing)
    )
    texts, blank = bundle.metadata_texts(net, bundle.onnx_digest(model)), "?" * 32
    texts |= {"preprocessing_in_words": described, bundle.FILE_XXH3: json.dumps(blank)}
    onnx.helper.set_model_props(model, texts)
    data = model.SerializeToString(deterministic=True)
    before, _, after = data.rpartition(blank.encode())
    return before + bundle.onnx_xxh3(data, blank).encode() + after


def describe_photo(net: ModelBundle, options: OnnxOptions) -> str:
    """How to use a graph that takes a photo, as text."""
    side = net.preprocessing.side
    calibrated = ", calibrated" if _temperature(net.calibration, options.chosen_views) != 1 else ""
    crops = {"center": "of the center crop", "ten": "averaged over ten crops"}[options.chosen_views]
    return (
        f"Decode the photo to 8-bit RGB, upright. Pass it as `{PHOTO}` (height, width, 3), uint8. "
        f"`{PROBABILITIES}` (K,) are those {crops}{calibrated}, in the order of `classes`; `{SQUARE}` is the "
        f"photo resized to {side} x {side}. The program that runs the graph must support the attribute "
        "`antialias` of Resize, as ONNX Runtime does; OpenVINO 2026.4 ignores it."
    )


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


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _refuse_other_outputs(path: Path, members: Sequence[ModelBundle]) -> None:
    session, preprocessing = _session(path), members[0].preprocessing
    side, middle = preprocessing.side, center(preprocessing.side, preprocessing.crop)
    generator = torch.Generator().manual_seed(0)
    for count in _TRIAL_BATCHES:
        squares = torch.randint(
            0, 256, (count, side, side, preprocessing.data.channels), dtype=torch.uint8, generator=generator
        )
        logits = [each.model(each.preprocessing.test_input(squares, middle)) for each in members]
        mean = torch.stack([each.softmax(1) for each in logits]).mean(0)
        expected = logits[0] if len(logits) == 1 else mean.clamp_min(_TINY).log()
        crops = cut(squares, preprocessing.crop, middle)[:, 0].permute(0, 3, 1, 2).float().numpy()
        _refuse(
            _difference(torch.from_numpy(session.run([OUTPUT], {INPUT: crops})[0]), expected),
            OUTPUT_TOLERANCE,
        )


def _refuse(difference: float, allowed: float) -> None:
    if not difference <= allowed:
        raise WorkError(
            f"ONNX Runtime's output differs from the model's ({difference:.2g}, "
            f"{allowed:g} allowed): no file was written; export to .safetensors instead"
        )


class _PhotoDifferences(NamedTuple):
    """Largest differences between a graph that takes photos and the model."""

    photos: int
    probability: float
    gray_levels: int
    """Of the resized photos."""
    pixels: float
    """The fraction of color values of the resized photos that differ."""


def _compare_photos(
    path: Path, members: Sequence[ModelBundle], calibration: Calibration | None, options: OnnxOptions
) -> _PhotoDifferences:
    session, views, photos = _session(path), options.chosen_views, _trial_photos()
    probability, levels = 0.0, list[npt.NDArray[np.int64]]()
    for photo in photos:
        squares = [to_stored_square(photo, each.preprocessing) for each in members]
        rows = [
            score_crops(
                each.model,
                each.preprocessing,
                torch.from_numpy(square[None]),
                positions_of(views, each.preprocessing),
            )[0].mean(0)
            for each, square in zip(members, squares, strict=True)
        ]
        expected = tempered(np.mean(rows, axis=0)[None], _temperature(calibration, views))[0]
        found, square = session.run([PROBABILITIES, SQUARE], {PHOTO: photo})
        probability = max(probability, float(np.abs(found - expected).max()))
        levels.append(np.abs(square.astype(np.int64) - squares[0]).ravel())
    apart = np.concatenate(levels)
    _refuse(probability, PHOTO_TOLERANCE if options.store is None else INT8_TOLERANCE)
    if apart.max() > GRAY_TOLERANCE:
        raise WorkError(
            f"ONNX Runtime resizes photos otherwise ({apart.max()} gray levels apart, "
            f"{GRAY_TOLERANCE} allowed): no file was written; export without --input photo instead"
        )
    return _PhotoDifferences(len(photos), probability, int(apart.max()), float((apart > 0).mean()))


def _other_views(views: ViewSet) -> str:
    known = str(views) in OF_A_SQUARE
    return f"the calibration is for the views {views}" + (f", type --views {views}" if known else "")


def _describe(found: _PhotoDifferences, reference: str) -> str:
    return (
        f"in ONNX Runtime, probabilities differ by at most {found.probability:.1g} from those of {reference} "
        f"on {found.photos} synthetic photos; {percentage(found.pixels)} of the resized colors differ, by at "
        f"most {counted(found.gray_levels, 'gray level')}"
    )


def _trial_photos() -> list[Pixels]:
    """Synthetic photos of common sizes, a part of one that is smaller than any model's input, a large one."""
    random = np.random.default_rng(0)
    drawn = [
        np.array(draw_photo(shape, texture, random))
        for shape, texture in (
            ("disc", "striped"),
            ("star", "plain"),
            ("heart", "bricked"),
            ("ring", "spotted"),
        )
    ]
    height, width = np.min([each.shape[:2] for each in drawn], axis=0)
    first, second, third, last = (each[:height, :width] for each in drawn)
    large = np.concatenate([np.concatenate([first, second], 1), np.concatenate([third, last], 1)], 0)
    return [*drawn, np.ascontiguousarray(first[-60:, 40:130]), large]


def _difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of logits (N, K), as defined for `OUTPUT_TOLERANCE`."""
    if found.shape != expected.shape:
        return math.inf
    probabilities = (torch.softmax(found, 1) - torch.softmax(expected, 1)).abs().max()
    return float(torch.maximum(probabilities, (found - expected).abs().max() / expected.abs().max()))
