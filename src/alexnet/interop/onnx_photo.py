"""The preprocessing of a photo as an ONNX graph: from a photo of any size to the crops that a model takes.

The geometry is that of `data.preprocessing.to_stored_square`, in whole numbers. ONNX's `Resize` with
`antialias` has the same filters; in ONNX Runtime its uint8 values differ from torch's by rounding only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet.data.crops import Positions, center
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import FILTERS
from alexnet.models.bundle import INPUT, PHOTO

SQUARE = "square"
"""The name of the graph's second output: the resized photo."""
_LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in 65,536ths, as `data.decode.luma` has them."""
_RESIZE = {
    "bicubic": 'mode = "cubic", cubic_coeff_a = -0.5',
    "bilinear": 'mode = "linear"',
}


def photo_graph(preprocessing: Preprocessing, positions: Positions, opset: int, ir_version: int) -> Any:
    """A `ModelProto` from `photo`, uint8 (H, W, 3) RGB, upright, of any size, to two outputs.

    `images` are float32 (V, C, crop, crop), RGB or gray in gray levels 0..255: the crops at `positions`
    (V, 3). `square` is uint8 (side, side, C), the photo as a store has it.
    """
    import onnx

    side, crop, channels = preprocessing.side, preprocessing.crop, preprocessing.data.channels
    square = f"uint8[{side},{side},{channels}] {SQUARE}"
    crops = f"float[{len(positions)},{channels},{crop},{crop}] {INPUT}"
    text = f"""
        <ir_version: {ir_version}, opset_import: ["": {opset}]>
        photo (uint8[height,width,3] {PHOTO}) => ({square}, {crops}) {{
            first = Constant <value_ints = [0]> ()
            {_colors(channels)}
            rows_last = Transpose <perm = [2, 0, 1]> (colors)
            batch = Unsqueeze (rows_last, first)
            {_resized(preprocessing)}
            rows_first = Transpose <perm = [0, 2, 3, 1]> (central)
            {SQUARE} = Squeeze (rows_first, first)
            {_crops(positions, crop)}
            gray_levels = Cast <to = {onnx.TensorProto.FLOAT}> (crops)
            {_shifted(preprocessing, positions)}
        }}"""
    model = onnx.parser.parse_model(text)
    for name, value in _constants(preprocessing, positions).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model


def _colors(channels: int) -> str:
    """`colors`: (H, W, channels), the photo itself or its luma."""
    if channels == 3:
        return f"colors = Identity ({PHOTO})"
    int32, uint8 = 6, 2  # numbers of ONNX's types
    return f"""
            wide = Cast <to = {int32}> ({PHOTO})
            weights = Constant <value = int32[3] {{{", ".join(map(str, _LUMA))}}}> ()
            weighted = Mul (wide, weights)
            last = Constant <value_ints = [-1]> ()
            summed = ReduceSum <keepdims = 1> (weighted, last)
            half = Constant <value = int32 {{32768}}> ()
            rounded = Add (summed, half)
            whole = Constant <value = int32 {{65536}}> ()
            luma = Div (rounded, whole)
            colors = Cast <to = {uint8}> (luma)"""


def _resized(preprocessing: Preprocessing) -> str:
    """`central`: (1, C, side, side) of `batch` (1, C, H, W), resized as the training photos were."""
    side, how = preprocessing.side, preprocessing.resized
    resize = _resize(how["resampling"])
    header = """
            all_sizes = Shape (batch)
            two = Constant <value_ints = [2]> ()
            four = Constant <value_ints = [4]> ()
            size = Slice (all_sizes, two, four)
            unchanged = Slice (all_sizes, first, two)"""
    if how["resize"] == "warp":
        return f"""{header}
            both = Constant <value_ints = [{side}, {side}]> ()
            sizes = Concat <axis = 0> (unchanged, both)
            {resize}
            central = Identity (resized)"""
    header += f"""
            side = Constant <value_ints = [{side}]> ()"""
    if how["resize"] == "crop":
        return f"""{header}
            shorter = ReduceMin <keepdims = 1> (size)
            {_scaled("side", "shorter", "scaled")}
            sizes = Concat <axis = 0> (unchanged, scaled)
            {resize}
            excess = Sub (scaled, side)
            start = Div (excess, two)
            end = Add (start, side)
            axes = Constant <value_ints = [2, 3]> ()
            central = Slice (resized, start, end, axes)"""
    return f"""{header}
            longer = ReduceMax <keepdims = 1> (size)
            longest = Constant <value_ints = [{how["picture"]}]> ()
            {_scaled("longest", "longer", "shrunk_size")}
            one = Constant <value_ints = [1]> ()
            at_least_one = Max (shrunk_size, one)
            too_large = Greater (longer, longest)
            other_sides = Sub (size, side)
            absolute = Abs (other_sides)
            distance = ReduceSum <keepdims = 1> (absolute)
            is_other = Cast <to = 9> (distance)
            is_changed = And (too_large, is_other)
            scaled = Where (is_changed, at_least_one, size)
            sizes = Concat <axis = 0> (unchanged, scaled)
            {resize}
            missing = Sub (side, scaled)
            after = Div (missing, two)
            before = Sub (missing, after)
            pads = Concat <axis = 0> (before, after)
            black = Constant <value = uint8 {{0}}> ()
            axes = Constant <value_ints = [2, 3]> ()
            central = Pad (resized, pads, black, axes)"""


def _resize(resampling: str) -> str:
    """`resized`: (1, C, ...) of `batch`, uint8, with the last dimensions in `sizes`."""
    mode, antialias = FILTERS[resampling]
    how = f'{_RESIZE[mode]}, coordinate_transformation_mode = "half_pixel"'
    if antialias:  # what is outside the photo is left out, as in torch
        return f"resized = Resize <{how}, antialias = 1, exclude_outside = 1> (batch, , , sizes)"
    # Of uint8 values, ONNX Runtime would cut off the fraction instead of rounding.
    return f"""
            precise = Cast <to = 1> (batch)
            interpolated = Resize <{how}> (precise, , , sizes)
            rounded_levels = Round (interpolated)
            resized = Cast <to = 2> (rounded_levels)"""


def _scaled(wanted: str, present: str, result: str) -> str:
    """`result`: (2,) size * wanted / present, rounded, halves to even numbers as Python's `round` does."""
    return f"""
            times = Mul (size, {wanted})
            doubled = Mul (times, two)
            numerator = Add (doubled, {present})
            denominator = Mul ({present}, two)
            half_up = Div (numerator, denominator)
            rest = Mod (numerator, denominator)
            is_half = Equal (rest, first)
            parity = Mod (half_up, two)
            is_half_as_number = Cast <to = 7> (is_half)
            too_much = Mul (parity, is_half_as_number)
            {result} = Sub (half_up, too_much)"""


def _crops(positions: Positions, crop: int) -> str:
    """`crops`: (V, C, crop, crop) of `central`."""
    lines: list[str] = []
    for number, (y, x, mirrored) in enumerate(positions.tolist()):
        # A mirrored crop is read from its right edge to its left one; before the first column is -side - 1.
        columns = (x + crop - 1, x - 1 if x else -(2**31), -1) if mirrored else (x, x + crop, 1)
        for name, row, column in zip(("start", "end", "step"), (y, y + crop, 1), columns, strict=True):
            lines.append(f"{name}_{number} = Constant <value_ints = [{row}, {column}]> ()")
        places = ", ".join(f"{name}_{number}" for name in ("start", "end"))
        lines.append(f"crop_{number} = Slice (central, {places}, crop_axes, step_{number})")
    names = ", ".join(f"crop_{number}" for number in range(len(positions)))
    return "\n            ".join(
        ["crop_axes = Constant <value_ints = [2, 3]> ()", *lines, f"crops = Concat <axis = 0> ({names})"]
    )


def _shifted(preprocessing: Preprocessing, positions: Positions) -> str:
    """`images`: the crops; a mean image that belongs to their positions replaces the central one, which the
    model's own graph subtracts.
    """
    if _constants(preprocessing, positions):
        return f"{INPUT} = Sub (gray_levels, of_position)"
    return f"{INPUT} = Identity (gray_levels)"


def _constants(preprocessing: Preprocessing, positions: Positions) -> dict[str, np.ndarray[Any, Any]]:
    """`of_position`: (V, C, crop, crop) the mean at the positions less the central one; none if equal."""
    means = preprocessing.means(positions)
    if len(means) == 1 or np.array_equal(positions, center(preprocessing.side, preprocessing.crop)):
        return {}
    difference = means - preprocessing.means(center(preprocessing.side, preprocessing.crop))
    if preprocessing.channels == "BGR":
        difference = difference.flip(1)
    return {"of_position": difference.contiguous().numpy()}
