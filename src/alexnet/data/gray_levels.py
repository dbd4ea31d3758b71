"""Gray images of more than 8 bits as 8-bit levels, as an image viewer displays them.

Their range is what the file's own tags say, else that of their bits, else that of the values: many cameras,
microscopes and scanners write 10, 12 or 14 bits into 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339
_RANGES = ((340, 341), (280, 281))
"""SMinSampleValue and SMaxSampleValue, MinSampleValue and MaxSampleValue."""
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_USUAL_BITS = (8, 10, 12, 14)
"""Of values in 16-bit files; with more, the range is that of 16 bits."""


class LevelRange(NamedTuple):
    """The values that become 0 and 255; `low` is the larger one where white is zero."""

    low: float
    high: float
    found: Literal["tags", "bits", "values"]
    """Where the range comes from; `bits` if the number of bits per pixel decides."""
    bits: int = 0
    """With `values`: the number of bits that hold them, if the range is that of these bits."""


class NoLevels(ValueError):  # noqa: N818 - what is missing
    """An image without one finite value."""


def gray_8_bit(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> npt.NDArray[np.uint8]:
    """(...) 0..255 of values (...) of any type; `tags` are those of TIFF, empty for other files."""
    low, high, _, _ = level_range(values, tags)
    scaled = (_whole(values, tags).astype(np.float64) - low) * (255 / (high - low))
    return np.clip(np.floor(np.nan_to_num(scaled) + 0.5), 0, 255).astype(np.uint8)


def level_range(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> LevelRange:
    """The range of the values; NoLevels if none of them is finite."""
    found = _tagged(tags) or _of_values(_whole(values, tags), tags)
    if found.low == found.high:
        found = found._replace(high=found.low + 1)
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return found._replace(low=found.high, high=found.low) if white_is_zero else found


def _tagged(tags: Mapping[int, Any]) -> LevelRange | None:
    for names in _RANGES:
        low, high = (_first(tags.get(name)) for name in names)
        if low is not None and high is not None and np.isfinite([low, high]).all() and low < high:
            return LevelRange(low, high, "tags")
    return None


def _of_values(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> LevelRange:
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise NoLevels("no finite gray level")
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "f":
        usual = next((top for top in (1.0, 255.0) if low >= 0 and high <= top), None)
        return LevelRange(0.0, usual, "values") if usual else LevelRange(low, high, "values")
    bits = int(_first(tags.get(_BITS)) or 0)
    unsigned = (_first(tags.get(_FORMAT)) or _UNSIGNED) == _UNSIGNED
    if unsigned and 8 < bits < 16:
        return LevelRange(0.0, 2.0**bits - 1, "bits")
    whole = LevelRange(0.0, 2.0**16 - 1 if unsigned else 2.0**15 - 1, "bits")
    if low == high == 0:
        return whole
    if low < 0 or high >= 2**16:
        return LevelRange(low, high, "values")
    used = next((each for each in _USUAL_BITS if high < 2**each), 16)
    if used < 16:
        return LevelRange(0.0, 2.0**used - 1, "values", used)
    return whole


def _whole(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> npt.NDArray[Any]:
    """The values; unsigned ones of 32 bits, which Pillow reads as signed, as they are."""
    unsigned = _first(tags.get(_BITS)) == 32 and (_first(tags.get(_FORMAT)) or _UNSIGNED) == _UNSIGNED
    return values.view(np.uint32) if unsigned and values.dtype == np.int32 else values


def _first(value: Any) -> float | None:
    """The first number of a tag's value; None if it has none."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
