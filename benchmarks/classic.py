"""Classic pipelines on one core compared with peers: SIFT, Fisher vectors, sparse codes; memory and hours."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet import recipes
from alexnet.classic.codebooks import DiagonalMixture
from alexnet.classic.compression import Float16Codec, PqCodec, ProductQuantizer
from alexnet.classic.descriptors import DenseSift
from alexnet.classic.encoders import FisherEncoder
from alexnet.classic.pipeline import Pipeline
from alexnet.data.prepare_workers import one_thread
from alexnet.errors import CommandError
from alexnet.models.config import AlexNetArchitecture
from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES
from benchmarks import sparse_codes
from benchmarks.timing import Measurement, median_seconds

SIDE, PHOTOS = 224, 4
CODED = 32
"""Number of photos whose descriptors are encoded sparsely."""
DESCRIPTORS = 2000
"""Number of descriptors of the photo whose Fisher vector is computed."""
IMAGES = 256
"""Number of photos to which a pipeline is fitted for the memory benchmark; also 4 and 16 times as many."""
RECIPES = ("sift-fv", "sparse-coding")


def measure() -> list[Measurement]:
    """Rates on one core, and the cost of a whole run. CommandError if a peer is missing."""
    cv2, skimage = _peer("cv2", "opencv-python-headless"), _peer("skimage.feature", "scikit-image")
    limits = _peer("threadpoolctl", "threadpoolctl").threadpool_limits(1)  # threads of numpy's products
    with limits, one_thread(), torch.no_grad():
        cv2.setNumThreads(1)
        whole = [row for recipe in RECIPES for row in (*_whole_run(recipe), *sizes(recipe))]
        return [*_sift(cv2), *_fisher(skimage), *sparse_codes.measure(_photos(CODED)), *whole, *_memory()]


def _peer(module: str, package: str) -> ModuleType:
    """The peer's module, which is not a dependency of the package."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CommandError(
            f"the benchmark compares with {package}, which is not installed: pip install {package}"
        ) from error


def _sift(cv2: Any) -> list[Measurement]:
    """Descriptors on the recipe's grid: ours for a batch of photos, OpenCV's one photo at a time."""
    descriptor = DenseSift()
    photos = _photos(PHOTOS)
    gray = photos.mean(1).round().byte().numpy()
    points = _key_points(cv2, descriptor)
    sift = cv2.SIFT_create()
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: descriptor.describe(photos),
        "OpenCV": lambda: [sift.compute(photo, points) for photo in gray],
    }
    rates = {name: PHOTOS * len(points) / taken for name, taken in median_seconds(contenders).items()}
    return [_row("dense SIFT, 4 sizes, one core", "descriptors/s", rates, "OpenCV", ">= 2")]


def _key_points(cv2: Any, descriptor: DenseSift) -> list[Any]:
    """OpenCV's key points for the same patches: a cell is 1.5 times OpenCV's size of a key point."""
    points: list[Any] = []
    for patch in descriptor.patches:
        centers = DenseSift(descriptor.step, (patch,)).centers(SIDE) * SIDE - 0.5
        points += [cv2.KeyPoint(x, y, patch / 6, 0.0) for x, y in centers.tolist()]
    return points


def _fisher(skimage: Any) -> list[Measurement]:
    """One photo's descriptors with the recipe's mixture, in one cell, as in scikit-image."""
    from sklearn.mixture import GaussianMixture

    generator = torch.Generator().manual_seed(0)
    descriptors = torch.randn(DESCRIPTORS, 64, generator=generator)
    words = 256
    fitted = DiagonalMixture(words, max_iter=2).fit(descriptors)
    encoder = FisherEncoder(words, 64)
    encoder.hold(fitted)
    peer = GaussianMixture(words, covariance_type="diag")
    peer.weights_, peer.means_, peer.covariances_ = (
        each.numpy().astype(np.float64) for each in (fitted.weights_, fitted.means_, fitted.covariances_)
    )
    peer.weights_ /= peer.weights_.sum()
    peer.precisions_cholesky_ = peer.covariances_**-0.5
    everywhere, rows = torch.ones(1, DESCRIPTORS, dtype=torch.bool), descriptors.numpy()
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: encoder(descriptors[None], everywhere),
        "scikit-image": lambda: skimage.fisher_vector(rows, peer, improved=True),
    }
    rates = {name: DESCRIPTORS / taken for name, taken in median_seconds(contenders).items()}
    return [_row(f"Fisher vector, {words} components", "descriptors/s", rates, "scikit-image", ">= 3")]


def _whole_run(recipe: str) -> list[Measurement]:
    """Photos per second for all channels, and the hours for ILSVRC's training photos at that rate."""
    config = recipes.get(recipe)
    if config.classic is None:
        raise CommandError(f"{recipe} is not a classic pipeline")
    torch.manual_seed(0)
    pipeline = Pipeline(config.classic, 2, SIDE)
    photos = _photos(PHOTOS)
    for channel in pipeline:
        channel.components.normal_()
        channel.encoder.learn(channel.describe(photos).flatten(0, 1), 0)
    rate = PHOTOS / median_seconds({"ours": lambda: pipeline.activations(photos)}, rounds=3)["ours"]
    hours = IMAGENET_TRAINING_IMAGES / rate / 3600
    return [
        Measurement("classic", f"{recipe}, all codes of a photo, one core", rate, "images/s"),
        Measurement("classic", f"{recipe}, codes of ILSVRC-2012's training photos, one core", hours, "hours"),
    ]


def sizes(recipe: str) -> list[Measurement]:
    """Disk space and memory of a run on ILSVRC-2012, computed, in GB of 10^9 bytes."""
    config, photos = recipes.get(recipe), IMAGENET_TRAINING_IMAGES
    if config.classic is None:
        raise CommandError(f"{recipe} is not a classic pipeline")
    with torch.device("meta"):
        pipeline = Pipeline(config.classic, AlexNetArchitecture.published_classes, SIDE)
    numbers = [channel.size for channel in pipeline]
    largest, halves, quantized = max(numbers), Float16Codec(), PqCodec(ProductQuantizer())
    weights = sum(channel.classifier.weight.numel() for channel in pipeline)
    rows = (
        ("ILSVRC-2012 on disk at a time, float16", 2 * photos * halves.width(largest) / 1e9, "GB"),
        ("ILSVRC-2012 on disk at a time, quantized", photos * quantized.width(largest) / 1e9, "GB"),
        ("classifiers of 1,000 classes, all channels", 4 * weights / 1e9, "GB"),
        ("classifiers of 1,000 classes, largest channel", 4 * weights * largest / sum(numbers) / 1e9, "GB"),
    )
    return [Measurement("classic", f"{recipe}, {name}", float(value), unit) for name, value, unit in rows]


def _memory() -> list[Measurement]:
    """Peak memory of a process that fits a small pipeline, by number of photos."""
    peaks = {times: _peak(times * IMAGES) for times in (1, 4, 16)}
    return [
        Measurement(
            "classic",
            f"fitted to {times * IMAGES} photos, memory",
            peak,
            "MB",
            f"{IMAGES} photos",
            peak / peaks[1],
            "<= 1.1",
        )
        for times, peak in peaks.items()
    ]


def _peak(images: int) -> float:
    """Peak of the process's own memory in MB, without pages of files."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.classic_memory", folder, str(images)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _photos(count: int) -> Tensor:
    """(count, 3, SIDE, SIDE) with edges of all directions."""
    coarse = torch.rand(count, 3, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(0)) * 255
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bicubic").clamp(0, 255).round()


def _row(name: str, unit: str, rates: dict[str, float], peer: str, target: str) -> Measurement:
    return Measurement("classic", name, rates["ours"], unit, peer, rates["ours"] / rates[peer], target)
