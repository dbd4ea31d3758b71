"""The tables of docs/scaling.md: computed and measured costs of 90 epochs of ILSVRC-2012."""

from __future__ import annotations

from pathlib import Path

from alexnet.published.alexnet import (
    ALEXNET_LAYERS,
    ALEXNET_MULTIPLY_ADDS,
    PAPER_BATCH,
    PAPER_DAYS,
    PAPER_EPOCHS,
    PAPER_IMAGES,
)
from alexnet.published.devices import GTX_580, H200, Device
from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES
from alexnet.report.tables import ABSENT, Table
from alexnet.runs.metrics_log import read_metrics, training_seconds
from tools.cost import Bounds, Job, bounds, run_hours
from tools.results_io import config_of, read_csv

MATRIX_PRODUCT = "matrix product"
"""The peer of a row of results/benchmarks/step.csv: the machine's own rate of arithmetic."""
BENCHMARK_CORES = 2
"""Cores of the machine on which results/benchmarks was measured (see its README)."""
STORED_SIDE = 256
_TRAINING = "alexnet-2012 training, 224 pixels"
_MEMORY = "alexnet-2012 training, peak memory"
_SETUPS: tuple[tuple[Device, Job], ...] = (
    (GTX_580, Job(ALEXNET_LAYERS, PAPER_BATCH, 2, sharing="towers")),
    (GTX_580, Job(ALEXNET_LAYERS, PAPER_BATCH, 2)),
    (H200, Job(ALEXNET_LAYERS, PAPER_BATCH)),
    (H200, Job(ALEXNET_LAYERS, PAPER_BATCH, precision="bfloat16")),
    (H200, Job(ALEXNET_LAYERS, 8 * PAPER_BATCH, precision="bfloat16")),
    (H200, Job(ALEXNET_LAYERS, 8 * PAPER_BATCH, 8, "bfloat16")),
    (H200, Job(ALEXNET_LAYERS, 64 * PAPER_BATCH, 8, "bfloat16")),
)
"""The paper's setup; the same two GPUs with data parallelism; one and eight modern GPUs."""
_ON_GPU, _GPU = "imagenette-side-256-alexnet-2012", 3
"""The recorded run of the 2012 model at full size, and the index of its setup."""


def counts(results: Path) -> Table:
    """The work and memory of an update with the paper's batch size."""
    job = Job(ALEXNET_LAYERS, PAPER_BATCH)
    first = ALEXNET_LAYERS[0].multiply_adds
    of_image = (
        ("multiply-adds: forward", ALEXNET_MULTIPLY_ADDS),
        ("multiply-adds: gradients of the weights", ALEXNET_MULTIPLY_ADDS),
        ("multiply-adds: gradients of the inputs, except the photo's", ALEXNET_MULTIPLY_ADDS - first),
        ("multiply-adds: total", job.multiply_adds),
        ("outputs of the layers with weights", job.outputs),
    )
    rows = [[what, f"{count:,}", f"{count * job.batch:,}"] for what, count in of_image]
    rows.append(["parameters", ABSENT, f"{job.parameters:,}"])
    memory = (
        ("weights, gradients, velocities", job.weight_bytes),
        ("outputs kept for the backward pass", job.kept_bytes),
        ("photos", job.image_bytes),
        ("total", job.held_bytes),
    )
    rows += [[f"memory: {what}, MB", ABSENT, f"{count / 1e6:,.0f}"] for what, count in memory]
    measured = float(_row(results, "step", _MEMORY)["value"])  # GB
    rows.append(["memory: measured peak of the process on a CPU, MB", ABSENT, f"{1e3 * measured:,.0f}"])
    columns = ("what", "per image", f"per update of {job.batch} images")
    return Table(columns, rows, numeric=frozenset(columns[1:]))


def limits(results: Path) -> Table:
    """The minimum time of an update by each limit, and of the whole run by the largest one."""
    rows: list[list[str]] = []
    for device, job in _SETUPS:
        least = bounds(job, device)
        rows.append(
            [
                *(_name(device, job), job.precision, f"{job.batch:,}"),
                *(f"{1e3 * each:.3g}" for each in (least.arithmetic, least.memory, least.link)),
                *(least.binding, f"{job.sent_bytes / 1e6:,.0f}"),
                f"{_rate(job, least):,.0f}",
                f"{run_hours(_rate(job, least)):.3g}",
                f"{job.held_bytes / 1e9:.2f} of {device.memory_bytes / 1e9:.0f}",
            ]
        )
    numeric = (
        *(
            "batch",
            "arithmetic ms",
            "memory ms",
            "link ms",
            "sent per device, MB",
            "images/s",
            "hours for 90 epochs",
        ),
        "held per device, GB",
    )
    columns = (*("devices", "precision"), *numeric[:4], "bound by", *numeric[4:])
    return Table(columns, rows, numeric=frozenset(numeric), notes=[f"{_source(GTX_580)} {_source(H200)}"])


def reached(results: Path) -> Table:
    """The percentage of the arithmetic limit that was reached: in 2012, from the days it took, and here,
    measured.
    """
    device, job = _SETUPS[0]
    limit = job.batch / bounds(job, device).arithmetic
    rows: list[list[str]] = []
    for days in PAPER_DAYS:
        rate = PAPER_EPOCHS * PAPER_IMAGES / (days * 86400)
        rows.append(_reached(f"the paper, at {days} days", rate, rate / limit, PAPER_IMAGES))
    measured = next(
        row
        for row in _rows(results, "step")
        if row["name"].startswith(_TRAINING) and row["unit"] == "images/s" and row["peer"] == MATRIX_PRODUCT
    )
    rate, usual = float(measured["value"]), 3 * ALEXNET_MULTIPLY_ADDS
    share = float(measured["ratio"]) * job.multiply_adds / usual
    here = f"this program, {BENCHMARK_CORES} cores, measured"
    rows.append(_reached(here, rate, share, IMAGENET_TRAINING_IMAGES))
    if rate := _recorded_rate(results / _ON_GPU):
        device, job = _SETUPS[_GPU]
        name = f"this program, 1 {device.name}, {job.precision}, measured on Imagenette"
        share = rate * bounds(job, device).arithmetic / job.batch
        rows.append(_reached(name, rate, share, IMAGENET_TRAINING_IMAGES))
    columns = (
        "run",
        "images per epoch",
        "images/s",
        f"days for {PAPER_EPOCHS} epochs",
        "% of the limit",
    )
    return Table(columns, rows, numeric=frozenset(columns[1:]))


def photos(results: Path) -> Table:
    """What must be decoded or read per second so that each setup does not wait for data."""
    jpeg = float(_row(results, "loader", "jpeg store")["value"]) / BENCHMARK_CORES
    rows: list[list[str]] = []
    for device, job in _SETUPS:
        rate = _rate(job, bounds(job, device))
        rows.append(
            [
                *(_name(device, job), job.precision, f"{job.batch:,}", f"{rate:,.0f}"),
                f"{rate / jpeg:,.1f}",
                f"{rate * STORED_SIDE**2 * 3 / 1e9:,.2f}",
            ]
        )
    numeric = ("batch", "images/s", "cores to decode a JPEG store", "GB/s from a raw store")
    size = f"{STORED_SIDE} x {STORED_SIDE}"
    note = f"A core decodes {jpeg:,.0f} images of {size} pixels per second (results/benchmarks/loader.csv)."
    return Table(("devices", "precision", *numeric), rows, numeric=frozenset(numeric), notes=[note])


def _name(device: Device, job: Job) -> str:
    towers = ", one tower each" if job.sharing == "towers" else ""
    return f"{job.devices} {device.name.partition(',')[0]}{towers}"


def _source(device: Device) -> str:
    return f"{device.name}: {device.source}."


def _rate(job: Job, least: Bounds) -> float:
    """Images per second."""
    return job.batch / least.seconds


def _reached(name: str, rate: float, share: float, images: int) -> list[str]:
    days = run_hours(rate, images) / 24
    return [name, f"{images:,}", f"{rate:,.1f}", f"{days:.{1 if days >= 1 else 2}f}", f"{100 * share:.1f}"]


def _recorded_rate(result: Path) -> float | None:
    """Images per second over all updates of a recorded run; None if it is not recorded."""
    metrics, config = result / "metrics.jsonl", config_of(result)
    if config is None:
        return None
    updates = read_metrics(metrics)[-1]["step"]
    return updates * config.training.batch_size / training_seconds(metrics)


def _rows(results: Path, benchmark: str) -> list[dict[str, str]]:
    return read_csv(results / "benchmarks" / f"{benchmark}.csv")


def _row(results: Path, benchmark: str, name: str) -> dict[str, str]:
    """The first row whose name starts with `name`."""
    return next(row for row in _rows(results, benchmark) if row["name"].startswith(name))
