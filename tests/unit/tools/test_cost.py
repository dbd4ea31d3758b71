"""Computed costs equal hand arithmetic, and never fall if there is more to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet import recipes
from alexnet.errors import CommandError
from alexnet.models.registry import build
from alexnet.models.summary import summarize
from alexnet.published.alexnet import (
    ALEXNET_LAYERS,
    ALEXNET_MULTIPLY_ADDS,
    ALEXNET_PARAMETERS,
    ALEXNET_UNITS,
    CROSSING_INPUTS,
)
from alexnet.published.devices import GTX_580, H200
from tools.cost import Job, bounds, run_hours

PAPERS = Job(ALEXNET_LAYERS, 128, 2, sharing="towers")
SHARED = Job(ALEXNET_LAYERS, 128, 2)
P = ALEXNET_PARAMETERS

jobs = st.builds(
    Job,
    st.just(ALEXNET_LAYERS),
    st.integers(1, 4096),
    st.integers(1, 64),
    st.sampled_from(["float32", "bfloat16"]),
) | st.integers(1, 4096).map(lambda batch: replace(PAPERS, batch=batch))


def test_an_image_takes_three_passes_less_the_gradient_of_the_photo() -> None:
    assert PAPERS.multiply_adds == 3 * ALEXNET_MULTIPLY_ADDS - 105_415_200 == 2_067_805_248
    assert PAPERS.flops == 2 * 128 * 2_067_805_248


def test_the_models_summary_gives_the_same_costs_as_the_published_layers() -> None:
    job = Job(summarize(recipes.get("alexnet-2012")).layers, 128)
    published = Job(ALEXNET_LAYERS, 128)
    assert (job.parameters, job.outputs) == (ALEXNET_PARAMETERS, ALEXNET_UNITS)
    for name in ("multiply_adds", "moved_bytes", "held_bytes", "sent_bytes"):
        assert getattr(job, name) == getattr(published, name)


def test_values_that_cross_between_towers_are_those_the_model_reads() -> None:
    import torch

    with torch.device("meta"):
        net = build(recipes.get("alexnet-2012").model, 1000, 224)
        shown = net.activations(torch.empty(1, 3, 224, 224))
    read = {"conv3": "pool2", "fc6": "pool5", "fc7": "fc6", "fc8": "fc7"}
    assert {layer: shown[before].numel() for layer, before in read.items()} == CROSSING_INPUTS


def test_memory_by_hand() -> None:
    one = Job(ALEXNET_LAYERS, 128)
    assert one.weight_bytes == 3 * 4 * P
    assert one.kept_bytes == 4 * 128 * ALEXNET_UNITS
    assert one.image_bytes == 4 * 128 * 150_528
    assert one.held_bytes == one.weight_bytes + one.kept_bytes + one.image_bytes
    assert SHARED.weight_bytes == one.weight_bytes
    assert 2 * SHARED.kept_bytes == one.kept_bytes
    assert 2 * PAPERS.weight_bytes == one.weight_bytes
    assert PAPERS.image_bytes == one.image_bytes
    crossing = (43_264 + 9_216 + 4_096 + 4_096) // 2
    assert PAPERS.kept_bytes == SHARED.kept_bytes + 4 * 128 * crossing
    half = replace(one, precision="bfloat16")
    assert (half.weight_bytes, 2 * half.kept_bytes) == (one.weight_bytes, one.kept_bytes)


def test_traffic_by_hand() -> None:
    assert Job(ALEXNET_LAYERS, 128).sent_bytes == 0
    assert SHARED.sent_bytes == 4 * P == 243_860_896
    assert Job(ALEXNET_LAYERS, 1024, 8, "bfloat16").sent_bytes == 2 * 7 / 8 * 4 * P
    assert PAPERS.sent_bytes == 128 * 2 * 4 * 30_336
    moved = 4 * (2 * P + 6 * P + 128 * (6 * ALEXNET_UNITS + 2 * 150_528))
    assert Job(ALEXNET_LAYERS, 128).moved_bytes == moved
    assert Job(ALEXNET_LAYERS, 128, precision="bfloat16").moved_bytes == moved / 2 + 3 * 4 * P


def test_time_is_work_over_rate() -> None:
    least = bounds(PAPERS, GTX_580)
    assert least.arithmetic == pytest.approx(2 * 128 * 2_067_805_248 / (2 * 1.581e12))
    assert least.memory == PAPERS.moved_bytes / 192.4e9
    assert least.link == PAPERS.sent_bytes / 8e9
    assert least.seconds == least.arithmetic
    assert run_hours(100, images=1000, epochs=3.6) == 0.01


def test_the_binding_limits_are_those_in_docs_scaling() -> None:
    assert bounds(PAPERS, GTX_580).binding == bounds(SHARED, GTX_580).binding == "arithmetic"
    assert PAPERS.sent_bytes < SHARED.sent_bytes / 5
    assert SHARED.held_bytes < Job(ALEXNET_LAYERS, 128).held_bytes < GTX_580.memory_bytes
    small, large = (Job(ALEXNET_LAYERS, batch, precision="bfloat16") for batch in (128, 1024))
    assert (bounds(small, H200).binding, bounds(large, H200).binding) == ("memory", "arithmetic")
    eight = [replace(job, batch=8 * job.batch, devices=8) for job in (small, large)]
    assert [bounds(job, H200).binding for job in eight] == ["link", "arithmetic"]


@given(jobs, st.integers(1, 1000))
def test_more_images_take_longer_but_not_longer_each(job: Job, more: int) -> None:
    larger = replace(job, batch=job.batch + more)
    before, after = bounds(job, H200).seconds, bounds(larger, H200).seconds
    assert after >= before
    assert after / larger.batch <= before / job.batch * (1 + 1e-12)
    assert larger.held_bytes > job.held_bytes


@given(jobs, st.floats(1, 100))
def test_a_better_device_is_never_slower(job: Job, times: float) -> None:
    for name in ("float32_flops", "bfloat16_flops", "memory_bytes_per_second", "link_bytes_per_second"):
        better = replace(H200, **{name: times * getattr(H200, name)})
        assert bounds(job, better).seconds <= bounds(job, H200).seconds


@given(st.integers(1, 4096), st.integers(1, 200))
def test_more_devices_send_more_but_never_twice_the_gradients(batch: int, devices: int) -> None:
    few, more = (Job(ALEXNET_LAYERS, batch, count) for count in (devices, devices + 1))
    assert few.sent_bytes < more.sent_bytes < 2 * 4 * P
    assert bounds(more, H200).arithmetic < bounds(few, H200).arithmetic
    assert more.held_bytes < few.held_bytes


def test_what_a_device_cannot_do_is_refused() -> None:
    with pytest.raises(CommandError, match="GTX 580, 3 GB has no bfloat16: use float32"):
        bounds(replace(SHARED, precision="bfloat16"), GTX_580)
    with pytest.raises(CommandError, match="3 devices for two towers"):
        replace(PAPERS, devices=3)
