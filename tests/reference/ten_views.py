"""Ten views of one photo at a time, by slicing: reference implementation of prediction."""

from __future__ import annotations

import numpy as np
import torch


def ten_views(square: np.ndarray, crop: int) -> list[np.ndarray]:
    """(crop, crop, 3) each: four corners and the center, plain and mirrored."""
    end = square.shape[0] - crop
    places = [(0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2)]
    plain = [square[y : y + crop, x : x + crop] for y, x in places]
    return plain + [view[:, ::-1] for view in plain]


def central_part(image: np.ndarray, crop: int) -> np.ndarray:
    start = (image.shape[0] - crop) // 2
    return image[start : start + crop, start : start + crop]


def probabilities(model, square: np.ndarray, mean_image: np.ndarray, crop: int) -> np.ndarray:
    """(K,) mean of the softmax over ten views, each passed alone, minus the mean image's center."""
    predictions = []
    for view in ten_views(square, crop):
        values = view.astype(np.float32) - central_part(mean_image, crop)
        with torch.no_grad():
            logits = (
                model(torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None])[0]
                .double()
                .numpy()
            )
        odds = np.exp(logits - logits.max())
        predictions.append(odds / odds.sum())
    return np.mean(predictions, axis=0)
