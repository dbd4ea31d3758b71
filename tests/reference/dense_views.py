"""Whole photos, window by window: reference implementation of dense and multi-crop tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

Forward = Callable[[torch.Tensor], torch.Tensor]
"""(1, 3, crop, crop) -> (1, K) logits."""


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def dense(
    forward: Forward, photo: np.ndarray, color: np.ndarray, crop: int, stride: int, reduced: Callable
) -> np.ndarray:
    """(K,): of photo and mirror image each the softmax of the mean (or largest) score over all windows."""
    rows: list[np.ndarray] = []
    for picture in (photo, photo[:, ::-1]):
        places = [
            _logits(forward, picture[y : y + crop, x : x + crop], color)
            for y in range(0, picture.shape[0] - crop + 1, stride)
            for x in range(0, picture.shape[1] - crop + 1, stride)
        ]
        rows.append(softmax(reduced(np.array(places), axis=0)))
    return np.mean(rows, axis=0)


def multi_crop(forward: Forward, photo: np.ndarray, color: np.ndarray, crop: int) -> np.ndarray:
    """(K,): the mean softmax of 5 x 5 crops and of their mirror images."""
    down, right = photo.shape[0] - crop, photo.shape[1] - crop
    rows: list[np.ndarray] = []
    for y in _five(down):
        for x in _five(right):
            square = photo[y : y + crop, x : x + crop]
            rows += [softmax(_logits(forward, each, color)) for each in (square, square[:, ::-1])]
    return np.mean(rows, axis=0)


def _five(last: int) -> Iterable[int]:
    return [round(last * step / 4) for step in range(5)]


def _logits(forward: Forward, square: np.ndarray, color: np.ndarray) -> np.ndarray:
    values = (square.astype(np.float32) - color.astype(np.float32)).transpose(2, 0, 1)
    with torch.no_grad():
        return forward(torch.from_numpy(np.ascontiguousarray(values))[None])[0].double().numpy()
