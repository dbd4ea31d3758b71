"""`alexnet report`: one self-contained page, accessible to everybody."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from browser import assert_accessible
from PIL import Image
from playwright.sync_api import Browser
from reports import Seen, pictures

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.evaluation.calibration import CalibrateOptions, calibrate
from alexnet.runs.results import read_results
from alexnet.text import percentage, printable, shown_path

HOSTILE = ('"><img src=x onerror=alert(1)>', "<script>alert(2)< $x", "ünï & 'co' 狗 $y \x01, \u202ereversed")
INSIDE = (
    "Nearest training images",
    "Ten crops",
    "Activations",
    "Saliency",
    "Map of the test",
)


def test_the_page_has_all_sections_of_a_run(seen: Seen, page: Path, run: Path, tiny_store: Store) -> None:
    for title in (
        "Errors",
        "Training",
        "First-layer filters",
        "Predictions",
        "Confusions",
        "Calibration",
        *INSIDE,
    ):
        assert title in seen.text, title
    assert "paper, table 2" not in seen.text  # the classes are not ImageNet's
    assert "trained to the end: 1 epoch, 6 updates" in seen.text
    assert "multiply-adds for one view of 64 x 64 pixels" in seen.text
    assert "schedule.epochs=1 (recipe: 90)" in seen.text
    assert f"alexnet prepare SOURCE {tiny_store.path} --side 72 --encoding raw" in seen.text
    assert (
        f"alexnet train {tiny.RECIPE} --store {tiny_store.path} --run {run} data.image_size=72" in seen.text
    )
    assert "model.variant=2012 'model.architecture.widths=" in seen.text
    assert f"alexnet evaluate {run} --store {tiny_store.path} --views ten" in seen.text
    assert "BSD-3-Clause" in seen.text


def test_each_picture_of_the_page_is_kept_as_png_and_svg(seen: Seen, page: Path) -> None:
    files = sorted(path.name for path in (page.parent / "figures").iterdir())
    pngs = [name for name in files if name.endswith(".png")]
    assert files == sorted([*pngs, *(name.replace(".png", ".svg") for name in pngs)])
    assert len(pngs) == len(seen.all("img"))
    assert {"bars-of-errors.png", "curves.png", "first-filters.png", "first-nearest-images.png"} <= {*pngs}
    for name in pngs:
        with Image.open(page.parent / "figures" / name) as picture:
            assert picture.width >= 900, name


def test_the_page_of_a_calibrated_run_has_its_reliability_before_and_after(
    run: Path, tiny_store: Store, tmp_path: Path, report
) -> None:
    copy = tmp_path / "calibrated"
    shutil.copytree(run, copy, symlinks=True)
    assert f"type alexnet calibrate {copy} --store STORE" in report(copy).text
    found = calibrate(copy, tiny_store, CalibrateOptions(device="cpu"))
    seen = report(copy)
    assert f"Temperature {found.temperature:.3f}" in seen.text
    assert "alexnet calibrate" not in seen.text
    (described,) = [each["alt"] for each in seen.all("img") if "confidence" in each["alt"]]
    before, after = percentage(found.calibration_error_before), percentage(found.calibration_error_after)
    assert f"before: calibration error {before}" in described
    assert f"after: calibration error {after}" in described


def test_the_page_lists_recall_and_the_most_confident_mistakes(seen: Seen, run: Path) -> None:
    (result,) = read_results(run)
    assert "Recall and precision of each class" in seen.text
    for each in result.mistakes:
        assert Path(each.file).is_file() and shown_path(each.file) in seen.text
    described = " ".join(each["alt"] for each in seen.all("img"))
    correct = [each.images - each.top1_errors for each in result.per_class]
    for each, count in zip(result.per_class, correct, strict=True):
        assert f"{each.name}: {count} of {each.images} correct" in described


def test_the_page_is_one_file_without_scripts_or_addresses(seen: Seen) -> None:
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in seen.tags}
    for tag, attributes in seen.tags:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href"):
                assert value.startswith(("data:image/svg+xml;base64,", "#")), (tag, value[:60])
    for picture in pictures(seen):
        assert not re.search(r"""(href|src)="(?!#|data:)""", picture)
        assert "url(http" not in picture
        assert "prefers-color-scheme: dark" in picture
    images = seen.all("img")
    assert len(images) >= 9
    assert all(len(image["alt"].split()) > 8 for image in images)
    assert len({image["alt"] for image in images}) == len(images)


def test_headings_and_tables_are_in_order(seen: Seen) -> None:
    assert seen.headings[0] == 1 and seen.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(seen.headings, seen.headings[1:], strict=False))
    assert {heading.get("scope") for heading in seen.all("th")} == {"col", "row"}
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = [link["href"].removeprefix("#") for link in seen.all("a")]
    assert set(anchors) <= set(ids)


def test_predictions_and_features_are_reused(report, page: Path, run: Path) -> None:
    kept = sorted([*(run / "features").iterdir(), *(run / "predictions").iterdir()])
    before = {path: path.stat().st_mtime_ns for path in kept}
    report(run, "--detailed", 1)
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_names_with_markup_are_shown_as_text(report, tmp_path: Path) -> None:
    photos = tiny.photos(tmp_path / "photos")
    for split in ("train", "val"):
        for label, name in enumerate(HOSTILE):
            (photos / split / f"class{label}").rename(photos / split / name)
    store = prepare(
        open_source(photos), tmp_path / "st<ore>", PrepareSettings(side=72, encoding="raw"), workers=1
    )
    run = tiny.run(tmp_path / '<b onclick="x">&amp;', store, *tiny.TOWERS).path
    assert main(["evaluate", str(run), "--store", str(store.path), "--views", "center", "--json"]) == 0
    seen = report(run, "--store", store.path)
    assert not {"script", "b"} & {tag for tag, _ in seen.tags}
    assert all(image["src"].startswith("data:image/svg+xml") for image in seen.all("img"))
    for name in (*HOSTILE, '<b onclick="x">&amp;'):
        assert " ".join(printable(name.partition(",")[0]).split()) in seen.text
    for picture in pictures(seen):
        assert "<script" not in picture and "onerror=alert(1)>" not in html.unescape(
            re.sub(">[^<]*<", "", picture)
        )


@pytest.mark.slow
def test_a_thousand_classes_of_photos_that_nothing_can_compress_are_a_small_page(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(1000):
            folder = tmp_path / "photos" / split / f"n{label:08}"
            folder.mkdir(parents=True)
            noise = generator.integers(0, 256, (72, 72, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "0.png", compress_level=0)
    source = open_source(tmp_path / "photos")
    store = prepare(source, tmp_path / "store", PrepareSettings(side=72, encoding="raw"), workers=1)
    run = tiny.run(tmp_path / "run", store, *tiny.TOWERS).path
    assert main(["evaluate", str(run), "--store", str(store.path), "--views", "center"]) == 0
    assert main(["report", str(run), "--store", str(store.path), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").stat().st_size < 10e6


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (360, 740)], ids=["wide", "phone"])
def test_the_page_is_accessible_and_fits_the_screen(page: Path, chromium: Browser, size, scheme) -> None:
    requested: list[str] = []
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    shown = context.new_page()
    shown.on("request", lambda request: requested.append(request.url))
    shown.goto(page.as_uri())
    assert_accessible(shown)
    assert shown.evaluate("document.documentElement.scrollWidth") == size[0], "it scrolls sideways"
    assert shown.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert [address for address in requested if not address.startswith(("file:", "data:"))] == []
    context.close()


def test_folded_parts_are_open_in_print(page: Path, chromium: Browser) -> None:
    shown = chromium.new_page()
    shown.goto(page.as_uri())
    table = shown.locator("details table").last
    assert not table.is_visible()
    shown.emulate_media(media="print")
    assert table.bounding_box()["height"] > 500
    assert not shown.locator("nav").is_visible()
    shown.context.close()
