"""The tables of docs/scaling.md follow from counts, published figures and the recorded benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.step import MATRIX_PRODUCT
from tools import scaling

HEADER = "benchmark,name,value,unit,peer,ratio,target\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "benchmarks").mkdir()
    training = 'step,"alexnet-2012 training, 224 pixels, batch 128, float32",100,images/s'
    (tmp_path / "benchmarks" / "step.csv").write_text(
        f"{HEADER}{training},stock,1.1,\n{training},matrix product,0.5,\n"
        '"step","alexnet-2012 training, peak memory, batch 128",1.5,GB,stock,1,\n'
    )
    (tmp_path / "benchmarks" / "loader.csv").write_text(
        f"{HEADER}loader,jpeg store,4000,images/s,bare,1,\nloader,jpeg store: bare,5000,images/s,,,\n"
    )
    return tmp_path


def test_the_matrix_product_is_the_peer_that_the_benchmark_names() -> None:
    assert scaling.MATRIX_PRODUCT == MATRIX_PRODUCT


def test_counts_are_given_per_image_and_per_update(results: Path) -> None:
    text = scaling.counts(results).markdown()
    assert "| multiply-adds: total | 2,067,805,248 | 264,679,071,744 |" in text
    assert "measured peak of the process on a CPU, MB | - | 1,500 |" in text


def test_the_papers_days_give_the_share_of_the_limit_that_was_reached(results: Path) -> None:
    rows = {row[0]: row for row in scaling.reached(results).rows}
    for days in (5, 6):
        rate = 90 * 1.2e6 / (days * 86400)
        share = rate * 2 * 2_067_805_248 / (2 * 1.581e12)
        wanted = ["1,200,000", f"{rate:,.1f}", f"{days}.0", f"{100 * share:.1f}"]
        assert rows[f"the paper, at {days} days"][1:] == wanted


def test_the_measured_share_is_counted_without_the_photos_gradient(results: Path) -> None:
    here = scaling.reached(results).rows[-1]
    assert here[1:4] == ["1,281,167", "100.0", f"{90 * 1_281_167 / 100 / 86400:.1f}"]
    assert here[4] == f"{100 * 0.5 * 2_067_805_248 / (3 * 724_406_816):.1f}"


def test_a_recorded_run_on_a_gpu_is_listed_too(results: Path) -> None:
    run = results / "imagenette-side-256-alexnet-2012"
    run.mkdir()
    (run / "config.json").write_text('{"recipe": "alexnet-2012", "training": {"batch_size": 128}}')
    (run / "metrics.jsonl").write_text('{"event": "result", "step": 1000, "epoch": 9, "seconds": 16.0}\n')
    gpu = scaling.reached(results).rows[-1]
    assert "H200" in gpu[0] and gpu[2:4] == ["8,000.0", f"{90 * 1_281_167 / 8000 / 86400:.2f}"]
    assert gpu[4] == f"{100 * 8000 * 2 * 2_067_805_248 / 989.5e12:.1f}"


def test_every_limit_has_its_row_of_photos(results: Path) -> None:
    limits, photos = scaling.limits(results), scaling.photos(results)
    rates = list(limits.columns).index("images/s")
    assert [row[rates] for row in limits.rows] == [row[3] for row in photos.rows]
    rate = float(photos.rows[0][3].replace(",", ""))
    assert photos.rows[0][4] == f"{rate / 2000:.1f}"
    assert "A core decodes 2,000 images of 256 x 256 pixels per second" in photos.markdown()
