"""`alexnet report`: one page that needs nothing else, whatever the runs lack."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tiny
from browser import assert_accessible
from playwright.sync_api import Browser

from alexnet.cli.main import main
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store

HOSTILE = ('"><img src=x onerror=alert(1)>', "<script>alert(2)< $x", "ünï & 'co' 狗 $y \x01, \u202ereversed")
INSIDE = (
    "Nearest training images",
    "Ten crops",
    "What its layers answer",
    "Where it looks",
    "Map of the test",
)


class Seen(HTMLParser):
    """What a browser would make of the page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != [("style", {})]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def pictures(seen: Seen) -> list[str]:
    """The SVG of each picture of the page."""
    start = "data:image/svg+xml;base64,"
    sources = [image["src"] for image in seen.all("img")]
    assert all(source.startswith(start) for source in sources)
    return [base64.b64decode(source.removeprefix(start)).decode() for source in sources]


def typed(words: list[str]) -> None:
    """As if typed in a terminal: the run keeps the command line of its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["alexnet", *words])
        assert main(words) == 0


@pytest.fixture(scope="session")
def run(tiny_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and tested run."""
    folder = tmp_path_factory.mktemp("reported") / "first"
    settings = [*tiny.SETTINGS, tiny.TOWERS, "schedule.epochs=1"]
    typed(["train", tiny.RECIPE, "--store", str(tiny_store.path), "--run", str(folder), *settings])
    assert main(["evaluate", str(folder), "--store", str(tiny_store.path), "--views", "ten"]) == 0
    return folder


@pytest.fixture(scope="session")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report; the store is found where the run's command says it lay."""
    folder = tmp_path_factory.mktemp("page")
    assert main(["report", str(run), "--out", str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture(scope="session")
def seen(page: Path) -> Seen:
    return Seen(page.read_text(encoding="utf-8"))


@pytest.fixture
def report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Seen]:
    """Writes a report, to be quick without what is inside the nets, and reads it."""
    monkeypatch.setattr("alexnet.pictures.chapters.CLOSELY", 0)

    def written(*words: object) -> Seen:
        assert main(["report", *map(str, words), "--out", str(tmp_path / "page")]) == 0, (
            capsys.readouterr().err
        )
        return Seen((tmp_path / "page" / "report.html").read_text(encoding="utf-8"))

    return written


def test_the_page_has_all_of_a_run(seen: Seen, page: Path, run: Path, tiny_store: Store) -> None:
    for title in ("Errors", "Training", "First-layer filters", "Predictions", "Confusions", *INSIDE):
        assert title in seen.text, title
    assert "paper, table 2" in seen.text
    assert "trained to its end: 1 epochs, 6 updates" in seen.text
    assert "multiply-adds for one view of 64 x 64 pixels" in seen.text
    assert "schedule.epochs=1 (there 90)" in seen.text
    assert f"alexnet prepare SOURCE {tiny_store.path} --side 72 --encoding raw" in seen.text
    assert f"alexnet train {tiny.RECIPE} --store {tiny_store.path} --run {run} data.side=72" in seen.text
    assert "'model.variant=2012 widths=" in seen.text
    assert f"alexnet evaluate {run} --store {tiny_store.path} --views ten" in seen.text
    assert "BSD-3-Clause" in seen.text
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


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


def test_what_was_kept_is_used_again(report, page: Path, run: Path, monkeypatch) -> None:
    kept = sorted([*(run / "features").iterdir(), *(run / "predictions").iterdir()])
    before = {path: path.stat().st_mtime_ns for path in kept}
    monkeypatch.setattr("alexnet.pictures.chapters.CLOSELY", 1)
    report(run)
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_without_its_store_the_page_says_what_to_type(report, run: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(run, tmp_path / "moved")
    environment = json.loads((moved / "environment.json").read_text())
    environment["command"] = environment["command"].replace("--store ", "--store /no")
    (moved / "environment.json").write_text(json.dumps(environment))
    seen = report(moved)
    assert f"alexnet report {moved} --store STORE --out DIR (it was trained on store)" in seen.text
    assert "Confusions" in seen.text and "First-layer filters" in seen.text
    assert not any(title in seen.text.partition("Commands")[0] for title in INSIDE[1:])


def test_hostile_names_stay_text(report, tmp_path: Path) -> None:
    photos = tiny.photos(tmp_path / "photos")
    for split in ("train", "val"):
        for label, name in enumerate(HOSTILE):
            (photos / split / f"class{label}").rename(photos / split / name)
    store = prepare(open_source(photos), tmp_path / "st<ore>", Settings(side=72, encoding="raw"), workers=1)
    run = tiny.run(tmp_path / '<b onclick="x">&amp;', store, tiny.TOWERS).path
    assert main(["evaluate", str(run), "--store", str(store.path), "--views", "centre", "--json"]) == 0
    seen = report(run, "--store", store.path)
    assert not {"script", "b"} & {tag for tag, _ in seen.tags}
    assert all(image["src"].startswith("data:image/svg+xml") for image in seen.all("img"))
    for name in (*HOSTILE, '<b onclick="x">&amp;'):
        assert " ".join(name.partition(",")[0].split()) in seen.text
    for picture in pictures(seen):
        assert "<script" not in picture and "onerror=alert(1)>" not in html.unescape(
            re.sub(">[^<]*<", "", picture)
        )


def test_a_run_that_still_trains_says_so(report, run: Path, tmp_path: Path) -> None:
    young = shutil.copytree(run, tmp_path / "young")
    lines = (young / "metrics.jsonl").read_text().splitlines(keepends=True)
    (young / "metrics.jsonl").write_text("".join(lines[:4]) + '{"event": "train", "st')
    (young / "evaluation.json").unlink()
    seen = report(young)
    assert "still in training or stopped: this is how it was at epoch" in seen.text
    assert f"young has not been tested yet: type alexnet evaluate {young} --store STORE" in seen.text
    assert "Predictions" in seen.text


def test_a_run_without_checkpoints_or_a_log(report, run: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("checkpoints"))
    seen = report(bare)
    assert "bare has no checkpoint yet" in seen.text
    assert "Confusions" in seen.text
    assert not any(title in seen.text for title in ("First-layer filters", *INSIDE))
    for name in ("metrics.jsonl", "evaluation.json", "environment.json"):
        (bare / name).unlink()
    seen = report(bare)
    assert "bare has no curves: nothing has been logged yet." in seen.text
    assert "at its beginning" in seen.text


def test_exported_files_ensembles_and_several_runs(
    report, run: Path, tiny_store: Store, tmp_path: Path
) -> None:
    second, ensemble = shutil.copytree(run, tmp_path / "second"), tmp_path / "nets"
    assert main(["export", str(run), str(tmp_path / "net.safetensors")]) == 0
    small = [*tiny.SETTINGS, "schedule.epochs=1", "--nets", "2"]
    store = ["--store", str(tiny_store.path)]
    assert main(["ensemble", tiny.RECIPE, *store, "--out", str(ensemble), *small]) == 0
    assert main(["evaluate", str(ensemble), *store, "--views", "centre"]) == 0
    seen = report(run, second, tmp_path / "net.safetensors", ensemble, *store)
    assert "What differs between the configurations" in seen.text
    assert "As it was tested before it was exported" in seen.text
    assert "An ensemble's folder; its nets: seed-0, seed-1." in seen.text
    assert "What each further net of nets buys" in seen.text
    assert "Of so many runs the page looks inside the first ones only" in seen.text
    titles = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", "".join(pictures(seen))))
    assert "5 runs" in titles and "4 runs" in titles  # of the ensemble there are errors, but no curves


def test_an_ensemble_that_is_not_whole_is_no_reason_to_stop(
    report, tiny_store: Store, tmp_path: Path
) -> None:
    from alexnet.runs.ensemble_folder import EnsembleFolder

    members = [{"name": name, "pretraining": False, "settings": []} for name in ("seed-0", "seed-1")]
    folder = EnsembleFolder.begin(tmp_path / "nets", {"name": "n", "members": members})
    tiny.run(folder.path / "seed-0", tiny_store)
    seen = report(folder.path, "--store", tiny_store.path)
    assert "Not all of its nets are trained to the end yet." in seen.text
    assert "Predictions" in seen.text


def test_a_classic_pipeline_has_no_filters_and_no_layers(report, tmp_path: Path, tiny_store: Store) -> None:
    run = tmp_path / "classic"
    channel = {"descriptor": "root-sift", "step": 12, "patches": [16], "pca": 8, "words": 4}
    settings = ["data.side=72", "data.crop=72", "training.batch=8", "schedule.epochs=2"]
    settings += ["classic.sample_descriptors=900", f"classic.channels={json.dumps([channel])}"]
    typed(["train", "sift-fv", "--store", str(tiny_store.path), "--run", str(run), *settings])
    assert main(["evaluate", str(run), "--store", str(tiny_store.path)]) == 0
    seen = report(run)
    assert "First-layer filters" not in seen.text
    assert "classic has no curves: a classic pipeline is fitted stage by stage" in seen.text
    assert "classic is no net: it has no layers to look into" in seen.text
    assert "Predictions" in seen.text


def test_runs_on_different_data_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tiny.photos(tmp_path / "photos")
    for split in ("train", "val"):
        (photos / split / "class2" / "0.png").unlink()
        shutil.copytree(photos / split, tmp_path / "more" / split)
        (tmp_path / "more" / split / "class2").rename(tmp_path / "more" / split / "other")
    for source, name, said in (
        ("photos", "few", "first on store (digest"),
        ("more", "else", "class2 is in one of them only"),
    ):
        settings = Settings(side=72, encoding="raw")
        store = prepare(open_source(tmp_path / source), tmp_path / f"store-{name}", settings, workers=1)
        other = tiny.run(tmp_path / name, store).path
        out = tmp_path / f"page-{name}"
        assert main(["report", str(run), str(other), "--out", str(out)]) == 3
        error = capsys.readouterr().err.splitlines()[-1]
        assert said in error and "a report is of runs on the same data" in error
        assert not out.exists()
        if name == "else":
            assert main(["report", str(run), "--store", str(store.path), "--out", str(out)]) == 3
            assert "class2" in capsys.readouterr().err


def test_the_same_photos_at_another_size_are_the_same_data(report, run: Path, tmp_path: Path) -> None:
    source = open_source(tiny.photos(tmp_path / "photos"))
    store = prepare(source, tmp_path / "small", Settings(side=64, encoding="raw"), workers=1)
    settings = ["data.side=64", "data.crop=64", *tiny.SETTINGS[2:], "schedule.epochs=1"]
    other = tmp_path / "other"
    typed(["train", tiny.RECIPE, "--store", str(store.path), "--run", str(other), *settings])
    seen = report(run, other)
    assert "data.side" in seen.text
    assert "small val" in "".join(pictures(seen))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{run}", "{run}"], 2, "named twice"),
        (["{tmp}/nowhere"], 2, "no run at"),
        (["{run}", "--store", "{tmp}/nowhere"], 3, "nowhere"),
        (["{tmp}/text.safetensors"], 3, "not a whole safetensors file"),
    ],
)
def test_mistakes_are_one_line(run: Path, tmp_path: Path, capsys, words, code, said) -> None:
    (tmp_path / "text.safetensors").write_text("no net")
    typed = [word.format(run=run, tmp=tmp_path) for word in words]
    assert main(["report", *typed, "--out", str(tmp_path / "page")]) == code
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_an_old_page_stays_until_a_new_one_is_whole(run: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.pictures.chapters.CLOSELY", 0)
    out = tmp_path / "page"
    out.mkdir()
    (out / "report.html").write_text("old")
    monkeypatch.setattr("alexnet.pictures.trained.examples", lambda on, made: 1 / 0)
    assert main(["report", str(run), "--out", str(out)]) == 1
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_text() == "old"
    (tmp_path / "file").touch()
    assert main(["report", str(run), "--out", str(tmp_path / "file")]) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (360, 740)], ids=["wide", "phone"])
def test_nothing_stands_in_anybodys_way(page: Path, chromium: Browser, size, scheme) -> None:
    asked: list[str] = []
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    shown = context.new_page()
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(page.as_uri())
    assert_accessible(shown)
    assert shown.evaluate("document.documentElement.scrollWidth") == size[0], "it scrolls sideways"
    assert shown.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
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
