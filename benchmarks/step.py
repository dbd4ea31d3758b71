"""Training and inference of `alexnet-2012` at 224 pixels, compared with torchvision's model and a matrix
product."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.alexnet import AlexNet
from alexnet.optim.krizhevsky_sgd import KrizhevskySGD
from alexnet.published.alexnet import ALEXNET_LAYERS, ALEXNET_MULTIPLY_ADDS
from benchmarks.timing import Measurement, median_seconds
from tools.cost import Job, run_hours

CROP, BATCH, GPU_BATCH, MATRIX = 224, 128, 1024, 4096
STOCK = "torchvision's AlexNet with torch.optim.SGD"
MATRIX_PRODUCT = "matrix product"
TRAINING_PASSES, TESTING_PASSES = 3, 1
"""Number of passes with the cost of a forward pass: training also has two gradients."""


def stock_model(num_classes: int = 1000) -> nn.Module:
    """torchvision's AlexNet, from torch's layers; its adaptive pooling is the identity at 224."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Flatten(), nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(inplace=True)),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, num_classes)),
    )


def measure(device: torch.device) -> list[Measurement]:
    """Images per second in training and inference, with ratios to the stock model and the matrix product."""
    if device.type == "cpu":
        return _rates(device, BATCH, torch.float32) + _peak_memory()
    return [row for batch in (BATCH, GPU_BATCH) for row in _rates(device, batch, torch.bfloat16)]


def trainer(name: str, device: torch.device, batch: int, dtype: torch.dtype) -> Callable[[], None]:
    """A function that makes one update of the model `ours` or `stock`."""
    model = _model(name, device)
    optimizer = (
        KrizhevskySGD(model.parameters())
        if name == "ours"
        else torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4)
    )
    images, labels = _images(device, batch), torch.randint(0, 1000, (batch,), device=device)

    def run() -> None:
        with _autocast(device, dtype):
            logits = model(images)
        functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _finish(device)

    return run


def _tester(name: str, device: torch.device, batch: int, dtype: torch.dtype) -> Callable[[], None]:
    model, images = _model(name, device).eval(), _images(device, batch)

    def run() -> None:
        with torch.no_grad(), _autocast(device, dtype):
            model(images)
        _finish(device)

    return run


def _rates(device: torch.device, batch: int, dtype: torch.dtype) -> list[Measurement]:
    left, right = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        torch.mm(left, right)
        _finish(device)

    rows: list[Measurement] = []
    for job, make, passes, targets in (
        ("training", trainer, TRAINING_PASSES, (">= 1.0", ">= 0.60")),
        ("testing", _tester, TESTING_PASSES, ("", ">= 0.80")),
    ):
        contenders = {name: make(name, device, batch, dtype) for name in ("ours", "stock")}
        seconds = median_seconds({**contenders, "product": multiply})
        rate = batch / seconds["ours"]
        product_flops = 2 * MATRIX**3 / seconds["product"]
        share = rate * 2 * passes * ALEXNET_MULTIPLY_ADDS / product_flops
        name = f"alexnet-2012 {job}, {CROP} pixels, batch {batch}, {dtype}".replace("torch.", "")
        rows += [
            Measurement(
                "step", name, rate, "images/s", STOCK, seconds["stock"] / seconds["ours"], targets[0]
            ),
            Measurement("step", name, rate, "images/s", MATRIX_PRODUCT, share, targets[1]),
        ]
        if job == "training":
            rows.append(whole_run(name, rate, product_flops))
    return rows


def whole_run(name: str, rate: float, product_flops: float) -> Measurement:
    """Hours of the paper's 90 epochs of ILSVRC-2012 at `rate` images per second, computed.

    `ratio` is to the hours of the arithmetic alone at the rate of the matrix product.
    """
    least = product_flops / Job(ALEXNET_LAYERS, 1).flops
    hours = run_hours(rate)
    return Measurement(
        "step", f"{name}: 90 epochs of ILSVRC-2012", hours, "hours", MATRIX_PRODUCT, hours / run_hours(least)
    )


def _peak_memory() -> list[Measurement]:
    """Peak memory of three training steps, each model in its own process."""
    context = multiprocessing.get_context("spawn")
    peaks: dict[str, float] = {}
    for name in ("ours", "stock"):
        with ProcessPoolExecutor(1, context) as pool:
            peaks[name] = pool.submit(_peak_bytes, name).result()
    ratio = peaks["ours"] / peaks["stock"]
    name = f"alexnet-2012 training, peak memory, batch {BATCH}"
    return [Measurement("step", name, peaks["ours"] / 1e9, "GB", STOCK, ratio, "<= 1.0")]


def _peak_bytes(name: str) -> int:
    run = trainer(name, torch.device("cpu"), BATCH, torch.float32)
    for _ in range(3):
        run()
    return _high_water_bytes()


def _high_water_bytes() -> int:
    """The peak memory of this process; getrusage would include that of its parent."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _model(name: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    model = AlexNet("2012", crop=CROP) if name == "ours" else stock_model()
    return model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _images(device: torch.device, batch: int) -> Tensor:
    images = 60 * torch.randn(batch, 3, CROP, CROP, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def _autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
