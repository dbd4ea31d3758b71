"""The web demo in a real browser: user actions and what the page shows."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator

import odd_uploads
import pytest
import tiny
from browser import assert_accessible
from playwright.sync_api import Browser, Page, Route, expect

from alexnet.analysis.features import features_of
from alexnet.analysis.neighbors import ExactIndex, SimilarImages
from alexnet.data.store import Store
from alexnet.evaluation.predictor import load
from alexnet.web.app import make_app
from alexnet.web.photos import StorePhotos
from alexnet.web.served_model import ServedModel, boxes_of, open_models, similar_of
from alexnet.web.server import serving
from alexnet.web.upload import read_upload

WIDE, PHONE = (1280, 900), (360, 740)
DROP = """([text, name, type]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  dropped((data) => data.items.add(new File([bytes], name, { type })));
}"""
DROP_HUGE = """() => dropped((data) => data.items.add(new File([new Uint8Array(22e6)], "huge.jpg")))"""
DROP_LINK = """() => dropped((data) => data.setData("text/uri-list", "http://elsewhere.example/photo.jpg"))"""
PASTE = """(text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""
DROPPED = """window.dropped = (fill) => {
  const dataTransfer = new DataTransfer();
  fill(dataTransfer);
  for (const kind of ["dragenter", "dragover", "drop"])
    document.getElementById("frame").dispatchEvent(
      new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
}"""
"""Sends the events of a drop: an automated browser cannot drag a file."""
HOLD = """() => {
  const send = window.fetch;
  window.held = [];
  window.fetch = (address, ...rest) =>
    address.startsWith("/api/classify")
      ? new Promise((answer) => held.push({ address, go: () => answer(send(address, ...rest)) }))
      : send(address, ...rest);
}"""
LET_GO = """async () => {
  const end = performance.now() + 30_000;
  while (!held.length && performance.now() < end) await new Promise(requestAnimationFrame);
  const { address, go } = held.shift();
  go();
  return address;
}"""
OUTLINE = """() => {
  const focused = document.activeElement;
  return getComputedStyle(focused.closest(".button") ?? focused).outlineStyle;
}"""
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def models(tiny_store: Store, tmp_path_factory: pytest.TempPathFactory) -> list[ServedModel]:
    """Two models; the first supports every endpoint."""
    folder = tmp_path_factory.mktemp("served")
    runs = [tiny.run(folder / name, tiny_store, seed=seed) for name, seed in (("one", 5), ("two", 6))]
    opened = open_models([run.path for run in runs])
    train = tiny_store.split("train")
    vectors = features_of(runs[0], tiny_store, "train", "fc7")
    images = SimilarImages(opened[0].classifier, train, "fc7", ExactIndex(vectors))
    analyses = opened[0].analyses
    analyses.similar = similar_of(images, StorePhotos(tiny_store))
    analyses.localize = boxes_of(load(tiny.box_run(folder / "boxes", tiny_store).path, "cpu"))
    return opened


@pytest.fixture(scope="session")
def url(models: list[ServedModel], tiny_store: Store) -> Iterator[str]:
    with serving(make_app(models, StorePhotos(tiny_store))) as address:
        yield address


@pytest.fixture
def open_page(chromium: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Opens the page on a screen of that size; at the end there must be no error and no foreign request."""
    wrong: list[str] = []
    contexts = []

    def opened(size: tuple[int, int] = WIDE, **settings: object) -> Page:
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(DROPPED)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: _ours(request.url, url) or wrong.append(request.url))
        page.goto(url)
        expect(page.locator("#sample-list li")).to_have_count(3)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def _ours(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))


def drop(page: Page, data: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> None:
    page.evaluate(DROP, [base64.b64encode(data).decode(), name, kind])


def label(page: Page) -> str:
    return page.locator("#bars li").first.locator(".name").inner_text()


def wanted(models: list[ServedModel], data: bytes) -> tuple[str, str]:
    """The class that the first model predicts, and its probability as shown on the page."""
    ((_, name, probability),) = models[0].classifier.predict(read_upload(data).pixels, top=1)[0]
    return name, f"{100 * probability:.1f} %"


def answered(page: Page, count: int = 1) -> None:
    """Waits until this number of photos is in the history and all predictions have arrived."""
    expect(page.locator("#history-list li")).to_have_count(count)
    expect(page.locator("#progress")).to_be_empty()
    expect(page.locator("#frame.busy")).to_have_count(0)


def choose(page: Page, count: int, **others: bytes) -> list[bytes]:
    """Chooses several photos at once, `0.png` and so on; `others` replaces some, such as `_1=b"none"`."""
    photos = [odd_uploads.encoded(odd_uploads.picture(seed), "PNG") for seed in range(count)]
    photos = [others.get(f"_{number}", data) for number, data in enumerate(photos)]
    page.set_input_files(
        "#file",
        [{"name": f"{n}.png", "mimeType": "image/png", "buffer": data} for n, data in enumerate(photos)],
    )
    return photos


def hold(page: Page) -> None:
    """Holds the requests to /api/classify until `let_go`."""
    page.evaluate(HOLD)


def let_go(page: Page, count: int = 1) -> str:
    """Sends this number of them, one after the other; returns the address of the last one."""
    return [page.evaluate(LET_GO) for _ in range(count)][-1]


def test_a_dropped_photo_is_classified(open_page, models) -> None:
    page = open_page()
    drop(page, odd_uploads.plain(), "holiday.jpg")
    answered(page)
    name, percent = wanted(models, odd_uploads.plain())
    assert label(page) == name
    expect(page.locator("#bars li")).to_have_count(3)
    expect(page.locator("#bars li .percent").first).to_have_text(percent)
    expect(page.locator("#caption")).to_have_text("holiday.jpg, 90 \u00d7 60 pixels")
    expect(page.locator("#crop-list li")).to_have_count(10)
    expect(page.locator("#similar-list li")).to_have_count(6)
    expect(page.locator("#announcement")).to_contain_text(f"{name} {percent}")
    expect(page.get_by_role("img", name=f"holiday.jpg, predicted: {name}")).to_be_visible()


@pytest.mark.parametrize("make", odd_uploads.REFUSED, ids=lambda make: make.__name__)
def test_anything_but_a_photo_is_refused_and_the_last_prediction_remains(open_page, models, make) -> None:
    page = open_page()
    drop(page, odd_uploads.plain())
    answered(page)
    drop(page, make(), "strange.bin", "application/octet-stream")
    alert = page.get_by_role("alert")
    expect(alert).not_to_be_empty()
    text = alert.inner_text()
    assert text[0].isupper()
    assert text.endswith(".")
    reason = "file is empty" if make is odd_uploads.empty else odd_uploads.REFUSED[make][1]
    assert reason.lower() in text.lower()
    assert label(page) == wanted(models, odd_uploads.plain())[0]
    drop(page, odd_uploads.cmyk())
    answered(page, 2)
    expect(alert).to_be_empty()


def test_an_oversized_photo_is_not_sent(open_page) -> None:
    page = open_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate(DROP_HUGE)
    expect(page.get_by_role("alert")).to_have_text("The photo is larger than 20 MB: choose a smaller one.")
    assert sent == []


def test_a_dropped_link_is_refused(open_page) -> None:
    page = open_page()
    page.evaluate(DROP_LINK)
    expect(page.get_by_role("alert")).to_contain_text("not a photo")


@pytest.mark.parametrize("make", odd_uploads.ODD, ids=lambda make: make.__name__)
def test_odd_photos_are_shown_whether_the_browser_can_decode_them_or_not(open_page, make) -> None:
    page = open_page()
    drop(page, make(), "odd", "")
    answered(page)
    remark = odd_uploads.ODD[make]
    notes = page.locator("#notes")
    (expect(notes).to_contain_text(remark) if remark else expect(notes).to_be_hidden())
    shown = make is not odd_uploads.pages_of_tiff
    assert page.evaluate("[picture.width, picture.height]") == ([960, 640] if shown else [960, 960])
    unknown = "" if shown else "; the browser cannot show this format: this is the model input"
    expect(page.locator("#caption")).to_have_text(f"odd, 90 \u00d7 60 pixels{unknown}")
    expect(page.get_by_label("saliency")).to_be_visible()
    expect(page.get_by_label("boxes")).to_be_visible(visible=shown)


def test_a_photo_that_is_dropped_early_waits_for_the_page(open_page, models) -> None:
    page, held = open_page(), list[Route]()
    page.route("**/api/models", lambda route: held.append(route))
    with page.expect_request("**/api/models"):
        page.reload()
    drop(page, odd_uploads.plain())
    expect(page.locator("#history-list li")).to_have_count(0)
    held[0].continue_()
    answered(page)
    assert label(page) == wanted(models, odd_uploads.plain())[0]


def test_a_pasted_text_is_refused(open_page) -> None:
    page = open_page()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", "hen");
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(page.locator("#refused")).to_have_text(
        "This is a link or a text, not a photo: save the photo first."
    )


def test_a_pasted_photo_is_classified(open_page, models) -> None:
    page = open_page()
    data = odd_uploads.transparent()
    page.evaluate(PASTE, base64.b64encode(data).decode())
    answered(page)
    assert label(page) == wanted(models, data)[0]


def test_several_photos_are_processed_in_turn_and_can_be_recalled(open_page, models) -> None:
    page = open_page()
    photos = choose(page, 4, _0=b"", _2=b"x")
    answered(page, 2)
    expect(page.locator("#caption")).to_contain_text("3.png")
    page.locator("#history-list button").last.click()
    expect(page.locator("#caption")).to_contain_text("1.png")
    expect(page.locator("#bars li .percent").first).to_have_text(wanted(models, photos[1])[1])
    refused = page.get_by_role("alert").locator("p")
    expect(refused).to_have_text(["0.png: The file is empty.", re.compile(r"2\.png: This is not a photo.*")])
    drop(page, odd_uploads.plain())
    answered(page, 3)
    expect(refused).to_have_count(0)


def test_the_queue_continues_while_an_earlier_photo_is_shown(open_page) -> None:
    page = open_page()
    progress, caption, busy = (page.locator(each) for each in ("#progress", "#caption", "#frame.busy"))
    hold(page)
    choose(page, 3)
    expect(progress).to_have_text("Predicting: 1 of 3.")
    let_go(page)
    expect(progress).to_have_text("Predicting: 2 of 3.")
    expect(progress).to_be_in_viewport()
    expect(busy).to_have_count(1)
    page.locator("#history-list button").click()
    expect(busy).to_have_count(0)
    let_go(page)
    expect(progress).to_have_text("Predicting: 3 of 3.")
    let_go(page)
    answered(page, 3)
    expect(caption).to_contain_text("0.png")
    expect(page.locator("#history-list [aria-current=true]")).to_have_count(1)
    expect(page.locator("#history-list button").last).to_have_attribute("aria-current", "true")
    expect(page.locator("#history-list button").last).to_be_focused()
    page.locator("#history-list button").first.click()  # which only has classes so far
    expect(caption).to_contain_text("2.png")
    expect(page.locator("#similar-list li")).to_have_count(6)


def test_photos_chosen_later_come_first_and_stay_on_the_page(open_page) -> None:
    page = open_page()
    hold(page)
    choose(page, 3)
    let_go(page)
    expect(page.locator("#progress")).to_have_text("Predicting: 2 of 3.")
    drop(page, odd_uploads.plain(), "new.jpg")
    expect(page.locator("#progress")).to_have_text("Predicting: 2 of 4.")
    let_go(page, 2)
    expect(page.locator("#caption")).to_contain_text("new.jpg")
    let_go(page)
    answered(page, 4)
    expect(page.locator("#caption")).to_contain_text("new.jpg")


def test_another_model_processes_the_queue_and_earlier_photos_name_theirs(open_page) -> None:
    page = open_page()
    hold(page)
    choose(page, 3)
    assert "model=one" in let_go(page)
    expect(page.locator("#progress")).to_have_text("Predicting: 2 of 3.")
    page.locator("#model").select_option("two")
    assert "model=one" in let_go(page)  # was already sent; is requested again
    for _ in range(3):
        assert "model=two" in let_go(page)
    answered(page, 4)
    expect(page.locator("#caption")).to_contain_text("2.png")
    expect(page.locator("#history-list small:last-child")).to_have_text(["two", "two", "two", "one"])


def test_only_the_first_of_too_many_photos_are_used(open_page) -> None:
    page = open_page()
    choose(page, 25, **{f"_{number}": b"x" for number in range(1, 25)})
    answered(page)
    lines = page.get_by_role("alert").locator("p")
    expect(lines).to_have_count(24)
    expect(lines.first).to_have_text("Only the first 24 of 25 photos are used.")
    expect(lines.last).to_contain_text("23.png: ")


def test_the_focus_is_kept_when_the_oldest_photo_is_removed(open_page) -> None:
    page = open_page()
    choose(page, 24)
    answered(page, 24)
    oldest = page.locator("#history-list button").last
    oldest.focus()
    drop(page, odd_uploads.plain(), "one-more.jpg")
    expect(page.locator("#history-list button").first).to_have_attribute("title", "one-more.jpg")
    expect(page.locator("#history-list li")).to_have_count(24)
    expect(page.locator("#history-list button").last).to_be_focused()


def test_a_sample_shows_its_true_class(open_page, tiny_store) -> None:
    page = open_page()
    for number, each in enumerate(tiny_store.classes):
        page.locator("#sample-list button").nth(number).click()
        answered(page, number + 1)
        row = page.locator("#bars li", has_text="true class")
        expect(row).to_have_count(1)
        expect(row).to_contain_text(each.name)


def test_a_photo_from_the_camera_is_classified(open_page) -> None:
    page = open_page(permissions=["camera"])
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Take the photo").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    answered(page)
    expect(page.locator("#caption")).to_contain_text("From the camera")
    assert page.evaluate("video.srcObject") is None


def test_another_model_predicts_the_same_photo(open_page, models) -> None:
    page = open_page()
    data = odd_uploads.plain()
    drop(page, data)
    answered(page)
    page.locator("#model").select_option("two")
    answered(page, 2)
    ((*_, probability),) = models[1].classifier.predict(read_upload(data).pixels, top=1)[0]
    expect(page.locator("#bars li .percent").first).to_have_text(f"{100 * probability:.1f} %")
    expect(page.locator("#similar")).to_be_hidden()  # this model does not support it


def test_saliency_and_boxes_are_drawn_over_the_photo(open_page) -> None:
    page = open_page()
    drop(page, odd_uploads.plain())
    answered(page)
    seen = {}
    for mode in ("the photo", "model input", "saliency", "boxes"):
        page.get_by_label(mode).check()
        seen[mode] = page.evaluate("picture.toDataURL()")
    assert len(set(seen.values())) == 4
    page.locator("#crop-list button").first.hover()
    assert page.evaluate("picture.toDataURL()") not in seen.values()
    expect(page.locator("#caption")).to_contain_text("prediction for this crop alone: class")
    page.mouse.move(0, 0)
    assert page.evaluate("picture.toDataURL()") == seen["boxes"]
    expect(page.locator("#caption")).to_contain_text(": 1 found")


def test_everything_works_by_keyboard_alone(open_page, tmp_path) -> None:
    page = open_page()

    def tab_to(what: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({what!r})"):
                outline = page.evaluate(OUTLINE)
                assert outline != "none", f"{what} has no visible focus"
                return
        raise AssertionError(f"Tab does not reach {what}")

    file = tmp_path / "photo.jpg"
    file.write_bytes(odd_uploads.plain())
    page.on("filechooser", lambda chooser: chooser.set_files(file))
    tab_to("#model")
    tab_to("#file")
    page.keyboard.press("Enter")
    answered(page)
    tab_to("[name=mode]")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelector('[name=mode]:checked').value") == "square"
    before = page.evaluate("picture.toDataURL()")
    tab_to("#crop-list button")
    assert page.evaluate("picture.toDataURL()") != before
    tab_to("#sample-list button")
    page.keyboard.press("Enter")
    answered(page, 2)
    tab_to("#history-list li:last-child button")
    page.keyboard.press("Space")
    expect(page.locator("#caption")).to_contain_text("photo.jpg")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_is_accessible(open_page, size, scheme) -> None:
    page = open_page(size, color_scheme=scheme, reduced_motion="reduce")
    assert_accessible(page)
    page.locator("#sample-list button").first.click()
    answered(page)
    drop(page, odd_uploads.cmyk())
    answered(page, 2)
    drop(page, b"no photo")
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0], "it scrolls sideways"


def test_on_a_small_screen_the_prediction_is_visible_after_a_tap(open_page) -> None:
    page = open_page(PHONE, has_touch=True, is_mobile=True)
    page.locator("#sample-list button").last.tap()
    answered(page)
    page.locator("#sample-list button").first.tap()
    answered(page, 2)
    expect(page.locator("#frame")).to_be_in_viewport(ratio=0.9)
    buttons = page.locator(".buttons > *:visible")
    assert min(buttons.nth(number).bounding_box()["height"] for number in range(2)) >= 44


def test_a_stopped_server_is_reported(chromium, models) -> None:
    page = chromium.new_context().new_page()
    page.add_init_script(DROPPED)
    with serving(make_app(models)) as address:
        page.goto(address)
        expect(page.locator("#about")).not_to_be_empty()
        expect(page.locator("#samples")).to_be_hidden()
    drop(page, odd_uploads.plain())
    expect(page.get_by_role("alert")).to_have_text("The server does not respond: has it been stopped?")
    page.context.close()
