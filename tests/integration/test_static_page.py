"""The page of `alexnet export --web` in a real browser."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import odd_uploads
import pytest
import static_page
import tiny
from browser import assert_accessible
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.runs.run_dir import RunDir
from alexnet.web.static_page import MODEL_FILE, WebPage
from alexnet.web.upload import read_upload

TOLERANCE = 0.005
"""Of probabilities: the browser decodes JPEG files itself, and the graph resizes the photo."""
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def run(tiny_store: Store, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return tiny.run(tmp_path_factory.mktemp("exported") / "run", tiny_store)


@pytest.fixture(scope="session")
def folder(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the stand-in."""
    made = tmp_path_factory.mktemp("pages")
    package = static_page.stand_in(made / "package")
    assert main(["export", str(run.path), "--web", str(made / "page"), "--runtime", str(package)]) == 0
    return made / "page"


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page; at the end there must be no error and no request to another server."""
    wrong: list[str] = []
    contexts = []

    def opened(url: str, **settings: object) -> Page:
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        own = (url, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or wrong.append(request.url))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with static_page.serving(folder) as address:
        yield address


def choose(page: Page, data: bytes, name: str = "photo.png", count: int = 1) -> None:
    """Chooses a file, and waits until so many photos were predicted."""
    page.set_input_files("#file", [{"name": name, "mimeType": "image/png", "buffer": data}])
    expect(page.locator("#history-list li")).to_have_count(count)
    expect(page.locator("#progress")).to_be_empty()


def shown(page: Page) -> list[tuple[str, str]]:
    names = page.locator("#bars .name").all_inner_texts()
    return list(
        zip(
            (each.split("\n")[0] for each in names),
            page.locator("#bars .percent").all_inner_texts(),
            strict=True,
        )
    )


def received(page: Page) -> np.ndarray:
    """(H, W, 3) the pixels of the last photo that the runtime received."""
    size, data = page.evaluate("() => [received.dims, btoa(String.fromCharCode(...received.data))]")
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(size)


def test_a_photo_reaches_the_model_upright_and_on_white(open_page, url) -> None:
    page = open_page(url)
    choose(page, odd_uploads.transparent())
    assert shown(page) == [("class1", "70.0 %"), ("class0", "20.0 %"), ("class2", "10.0 %")]
    wanted = read_upload(odd_uploads.transparent()).pixels.astype(int)
    assert np.abs(received(page) - wanted).max() <= 1
    choose(page, odd_uploads.rotated(), "photo.jpg", 2)
    wanted = read_upload(odd_uploads.rotated()).pixels.astype(int)
    assert wanted.shape == (60, 90, 3)
    assert np.abs(received(page) - wanted).mean() < 1
    created = page.evaluate("created")
    assert created["options"] == {"executionProviders": ["wasm"]}
    assert created["wasm"] == 4


def test_what_is_no_photo_is_refused_and_the_last_prediction_remains(open_page, url) -> None:
    page = open_page(url)
    choose(page, odd_uploads.encoded(odd_uploads.picture(), "PNG"))
    for data, sentence in (
        (
            odd_uploads.text(),
            "The browser cannot open this file as a photo: choose a JPEG, PNG or WebP file.",
        ),
        (odd_uploads.empty(), "The file is empty."),
        (
            odd_uploads.encoded(Image.new("RGB", (402, 2)), "PNG"),
            "One side of the photo is more than 200 times",
        ),
    ):
        page.set_input_files("#file", [{"name": "x", "mimeType": "image/png", "buffer": data}])
        expect(page.get_by_role("alert")).to_contain_text(sentence)
        assert shown(page)[0] == ("class1", "70.0 %")


def test_the_camera_works_and_the_page_is_accessible_in_both_colors(open_page, url) -> None:
    for scheme in ("light", "dark"):
        page = open_page(url, color_scheme=scheme, permissions=["camera"])
        choose(page, odd_uploads.plain())
        assert_accessible(page)
    page.get_by_role("button", name="Use the camera").click()
    shoot = page.get_by_role("button", name="Take the photo")
    expect(shoot).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#history-list li")).to_have_count(2)
    expect(page.locator("#caption")).to_contain_text("From the camera")


def test_files_that_were_changed_are_not_used(open_page, folder, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / MODEL_FILE).write_bytes(b"another model")
    with static_page.serving(copy) as address:
        page = open_page(address)
        expect(page.get_by_role("alert")).to_have_text(
            "model.onnx could not be loaded, or is not the file that this page was made with."
        )
    shutil.copy(folder / MODEL_FILE, copy / MODEL_FILE)
    (copy / "runtime" / "ort.wasm.bundle.min.mjs").write_text(
        "globalThis.foreign = true; export const env = 1;"
    )
    with static_page.serving(copy) as address:
        page = open_page(address)
        expect(page.locator("#progress")).to_contain_text("Loading")
        assert page.evaluate("globalThis.foreign") is None


def test_a_page_that_is_opened_as_a_file_says_what_it_needs(chromium: Browser, folder) -> None:
    page = chromium.new_page()
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("#progress")).to_contain_text("opened as a file instead of from a web server")
    page.close()


def test_onnxruntime_web_computes_what_the_run_predicts(open_page, run, folder, tmp_path) -> None:
    if not static_page.NPM_PACKAGE.is_dir():
        pytest.skip("no onnxruntime-web here: npm install --prefix build/npm onnxruntime-web")
    page_folder = tmp_path / "page"
    page_folder.mkdir()
    made = WebPage.begin(page_folder, static_page.NPM_PACKAGE)
    shutil.copy(folder / MODEL_FILE, page_folder / MODEL_FILE)
    made.write(bundle.load(run.checkpoints / "last" / "weights.safetensors", "cpu"), "center")
    loaded = alexnet.load(run.path, "cpu")
    large = odd_uploads.encoded(odd_uploads.picture(3, (700, 500)), "PNG")
    with static_page.serving(page_folder) as address:
        page = open_page(address)
        for count, data in enumerate((large, odd_uploads.rotated(), odd_uploads.transparent()), start=1):
            choose(page, data, count=count)
            wanted = loaded.predict(read_upload(data).pixels, views="center")[0]
            found = {name: float(percent.split()[0]) / 100 for name, percent in shown(page)}
            for each in wanted:
                assert found[each.name] == pytest.approx(each.probability, abs=TOLERANCE)
            page.get_by_label("model input").check()
            assert page.evaluate("[picture.width, picture.height]") == [960, 960]
            page.get_by_label("the photo").check()


def test_the_folder_has_no_inline_scripts_and_its_model_takes_photos(folder: Path) -> None:
    html = (folder / "index.html").read_text("utf-8")
    assert " on" not in "".join(part.split(">")[0] for part in html.split("<")[1:])
    assert html.count("<script") == 2 and 'type="importmap"' in html
    about = json.loads((folder / "model.json").read_text("utf-8"))
    (model,) = about["models"]["models"]
    assert (model["recipe"], model["classes"], model["views"]) == (tiny.RECIPE, 3, "center")
    assert "license of the weights" in html
