"""The preprocessing of a photo as a graph, compared with that of the package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from alexnet.data.config import DataConfig
from alexnet.data.crops import center, cut, ten
from alexnet.data.preprocessing import Preprocessing, to_stored_square
from alexnet.data.synthetic_images import draw_photo
from alexnet.interop.onnx_photo import photo_graph

SIDE, CROP = 72, 63
SIZES = ((375, 500), (500, 333), (16, 17), (19, 16), (48, 160), (72, 72), (72, 90), (73, 300), (5, 700))
"""(height, width). Those with a side of 16 become x.5 pixels wide, which is rounded to an even number."""
RESIZED = {
    "prepare": {"resize": "crop", "resampling": "bicubic, antialiased"},
    "torchvision": {"resize": "crop", "resampling": "bilinear, antialiased"},
    "Caffe": {"resize": "warp", "resampling": "bilinear"},
    "digits": {"resize": "pad", "resampling": "bicubic, antialiased", "picture": "60"},
}


def preprocessing_of(how: str, channels: int = 3, order: str = "RGB", **data: str) -> Preprocessing:
    settings = DataConfig(image_size=SIDE, input_size=CROP, channels=channels, pca_lighting="none", **data)
    torch.manual_seed(0)
    mean = torch.rand(SIDE, SIDE, channels) * 100
    return Preprocessing(
        data=settings,
        mean=mean if settings.normalization == "mean-image" else mean.mean((0, 1)),
        std=torch.ones(channels),
        eigenvalues=torch.zeros(channels),
        eigenvectors=torch.eye(channels),
        resized={"shape": "square", **RESIZED[how]},
        channels="L" if channels == 1 else order,
    )


def run(
    preprocessing: Preprocessing, positions: np.ndarray, photo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    model = photo_graph(preprocessing, positions, 18, 10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["square", "images"], {"photo": photo})


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("how", RESIZED)
def test_photos_of_any_size_become_the_stored_square(how: str, channels: int) -> None:
    preprocessing = preprocessing_of(how, channels)
    drawn = np.array(draw_photo("star", "striped", np.random.default_rng(1)).resize((700, 500)))
    for height, width in SIZES:
        photo = np.ascontiguousarray(drawn[:height, :width])
        wanted = to_stored_square(photo, preprocessing).astype(np.int64)
        square, images = run(preprocessing, center(SIDE, CROP), photo)
        apart = np.abs(square - wanted)
        assert apart.max() <= 2, (height, width)
        # torch rounds after each of the two directions, ONNX Runtime only once with bilinear filters.
        few = 0.02 if preprocessing.resized["resampling"].startswith("bicubic") else 0.25
        assert (apart > 0).mean() < few, (height, width)
        np.testing.assert_array_equal(images[0].transpose(1, 2, 0), square[4 : 4 + CROP, 4 : 4 + CROP])


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_ten_crops_are_cut_and_a_mean_image_belongs_to_their_positions(order: str) -> None:
    preprocessing = preprocessing_of("prepare", order=order, normalization="mean-image", mean_position="crop")
    photo = np.array(draw_photo("heart", "bricked", np.random.default_rng(2)))
    positions = ten(SIDE, CROP)
    square, images = run(preprocessing, positions, photo)
    squares = torch.from_numpy(square[None])
    found = torch.from_numpy(images)
    found = (found if order == "RGB" else found.flip(1)) - preprocessing.central_mean()
    torch.testing.assert_close(found, preprocessing.test_input(squares, positions), atol=1e-3, rtol=0)
    central = replace(preprocessing, data=replace(preprocessing.data, mean_position="center"))
    _, images = run(central, positions, photo)
    crops = cut(squares, CROP, positions)[0].permute(0, 3, 1, 2).float().numpy()
    np.testing.assert_array_equal(images, crops)
