"""int8 weights and layer inputs for ONNX graphs, with the errors before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.data.image_reader import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError
from alexnet.evaluation.inference import check_pixels, columns_of, score_crops
from alexnet.evaluation.metrics import paired_interval, predicted_labels, refuse_unlabeled
from alexnet.evaluation.views import positions_of
from alexnet.models.bundle import INPUT, ModelBundle, OnnxModel
from alexnet.text import percentage, sized

CALIBRATION_SPLIT, TEST_SPLIT = "train", "val"
CALIBRATION_PHOTOS = 256
"""Their largest and smallest values set the range of the inputs of each layer."""
MOST_TESTED = 2000
"""With more photos than this in the split, this number of them is drawn."""
_LAYERS = ("Conv", "Gemm", "MatMul")
_PHOTOS_AT_ONCE = 32


def quantized(
    graphs: Sequence[Any],
    members: Sequence[ModelBundle],
    store: Store,
    views: str,
    folder: Path,
    log: Callable[[str], None],
) -> tuple[list[Any], tuple[ModelBundle, ...]]:
    """The graphs of the members with int8 weights and layer inputs, and bundles that run them.

    All layers but the first are rounded. Weights have one scale per output channel and seven bits, so that
    products never saturate on processors without int8 instructions; inputs have eight bits, and ranges from
    photos of the store's `train`. `log` receives the sizes, and the top-1 errors of the mean of the members
    on photos of `val` before and after.
    `folder` is for temporary files. DataError if the store does not fit the members; CommandError without
    one of these splits, or without labels.
    """
    train, test = store.split(CALIBRATION_SPLIT), store.split(TEST_SPLIT)
    refuse_unlabeled(TEST_SPLIT, test.labels)
    for each in members:
        check_pixels(each.preprocessing, store)
    columns_of(members[0], store)
    calibration = _sample(train, CALIBRATION_PHOTOS)
    made = [
        _quantized(graph, member, calibration, views, folder / f"int8-{number}.onnx")
        for number, (graph, member) in enumerate(zip(graphs, members, strict=True))
    ]
    bundles = tuple(
        replace(
            member,
            model=_OfInputs(
                OnnxModel(folder / f"int8-{number}.onnx", len(member.classes)), member.preprocessing
            ).eval(),
        )
        for number, member in enumerate(members)
    )
    before, after = (sum(each.ByteSize() for each in group) for group in (graphs, made))
    log(f"int8: {sized(before)} before, {sized(after)} after")
    for line in _compare(members, bundles, store, test, views):
        log(line)
    return made, bundles


class _OfInputs(nn.Module):
    """A graph, which normalizes crops itself, as a model of inputs that are normalized already."""

    def __init__(self, graph: OnnxModel, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.graph, self._preprocessing = graph, preprocessing

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (N, K) of (N, C, crop, crop)."""
        return self.graph(_in_gray_levels(inputs, self._preprocessing))


def _in_gray_levels(inputs: Tensor, preprocessing: Preprocessing) -> Tensor:
    """What a graph takes in place of normalized inputs (N, C, crop, crop): RGB with the mean.

    A mean image that belongs to the crop's position is replaced by the central one, which graphs subtract.
    """
    scaled = inputs * preprocessing.divisor[:, None, None] + preprocessing.central_mean()
    return scaled.flip(1) if preprocessing.channels == "BGR" else scaled


def _quantized(graph: Any, member: ModelBundle, photos: Split, views: str, path: Path) -> Any:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    whole, prepared = path.with_suffix(".whole.onnx"), path.with_suffix(".prepared.onnx")
    onnx.save(graph, whole)
    with _without_warnings():
        # Merges batch normalization into the weights.
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            path,
            _reader(member, photos, views),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(_LAYERS),
            nodes_to_exclude=[_first_layer(onnx.load(prepared))],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    made = onnx.load(path)
    used = {node.domain for node in made.graph.node}
    imports = [each for each in made.opset_import if each.domain in used]  # the optimizer adds unused ones
    del made.opset_import[:]
    made.opset_import.extend(imports)
    return made


def _first_layer(graph: Any) -> str:
    """The name of the first layer, which has few weights and stays float32.

    The normalization comes before it: OpenVINO 2026.4 computes wrong values for such a layer in int8 (the
    error of one model increased from 20 % to 28 %).
    """
    return next(node.name for node in graph.graph.node if node.op_type in _LAYERS)


def _reader(member: ModelBundle, photos: Split, views: str) -> Any:
    """Yields the inputs of the graph for the photos, as the quantizer wants them."""
    from onnxruntime.quantization import CalibrationDataReader

    positions = positions_of(views, member.preprocessing)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(_squares(photos, member))

        def get_next(self) -> Any:  # None at the end, which the base class does not declare
            square = next(self._rest, None)
            if square is None:
                return None
            inputs = member.preprocessing.test_input(torch.from_numpy(square[None]), positions)
            return {INPUT: _in_gray_levels(inputs, member.preprocessing).contiguous().numpy()}

    return Reader()


def _compare(
    before: Sequence[ModelBundle], after: Sequence[ModelBundle], store: Store, test: Split, views: str
) -> list[str]:
    """The errors on photos of the split, and how often both predict the same."""
    chosen = _sample(test, MOST_TESTED)
    columns, predicted = columns_of(before[0], store), [[], []]
    for start in range(0, len(chosen), _PHOTOS_AT_ONCE):
        part = chosen.part(np.arange(start, min(start + _PHOTOS_AT_ONCE, len(chosen))))
        for labels, members in zip(predicted, (before, after), strict=True):
            rows = [
                score_crops(
                    each.model,
                    each.preprocessing,
                    torch.from_numpy(_squares(part, each)),
                    positions_of(views, each.preprocessing),
                )
                for each in members
            ]
            means = np.mean(rows, axis=0).mean(axis=1)[:, columns]
            labels.append(predicted_labels(means, part.labels))
    first, second = map(np.concatenate, predicted)
    wrong = first != chosen.labels, second != chosen.labels
    low, high = paired_interval(*wrong)
    lines = [
        f"top-1 error on {len(chosen):,} photos of {store.path.resolve().name} {TEST_SPLIT}, views {views}: "
        f"{percentage(wrong[0].mean())} before, {percentage(wrong[1].mean())} after; the same class for "
        f"{percentage((first == second).mean())}",
    ]
    if high < 0:
        lines.append(
            f"warning: int8 is worse by {percentage(-high)} to {percentage(-low)} (95 % interval); export "
            "float32 where this matters"
        )
    return lines


def _sample(split: Split, most: int) -> Split:
    """At most `most` images of the split, drawn at random, the same in each call."""
    if len(split) == 0:
        raise CommandError(f"split {split.name} has no photos: choose another store")
    if len(split) <= most:
        return split
    return split.part(np.sort(np.random.default_rng(0).choice(len(split), most, replace=False)))


def _squares(split: Split, net: ModelBundle) -> npt.NDArray[np.uint8]:
    """(N, side, side, C) all images of the split, of the side that the model needs."""
    side = net.preprocessing.side
    squares = np.empty((len(split), side, side, split.manifest.channels), np.uint8)
    for number, square in enumerate(squares):
        read_square(split, number, square)
    return squares


@contextmanager
def _without_warnings() -> Generator[None]:
    """Suppresses the quantizer's log messages, which go to the root logger."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
