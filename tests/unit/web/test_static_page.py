"""The folder that `alexnet export --web` writes, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
import static_page

import alexnet
from alexnet.errors import AlreadyExists, CommandError, DataError
from alexnet.web.page_files import PAGE
from alexnet.web.static_page import MODEL_FILE, PUBLIC_RUNTIME, Runtime, WebPage


def write(folder: Path, runs: list[Path], package: Path | None = None) -> list[str]:
    page = WebPage.begin(folder, package)
    folder.mkdir(exist_ok=True)
    (folder / MODEL_FILE).write_bytes(b"a graph")
    return page.write(alexnet.load(runs[0], "cpu").bundle, "ten")


def policy_of(html: str) -> dict[str, str]:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    return dict(each.split(" ", 1) for each in policy.replace("&#39;", "'").split("; "))


def test_a_page_loads_the_runtime_from_a_public_server_with_its_hash(runs, tmp_path) -> None:
    lines = write(tmp_path / "page", runs)
    assert f"onnxruntime-web {PUBLIC_RUNTIME.version}" in lines[0] and "compares with its hash" in lines[0]
    html = (tmp_path / "page" / "index.html").read_text("utf-8")
    (text,) = re.findall(r'<script type="importmap">(.*?)</script>', html)
    imports = json.loads(text)
    address = imports["imports"]["onnxruntime-web"]
    assert address.startswith("https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/")
    assert imports["integrity"] == {address: PUBLIC_RUNTIME.script.integrity}
    policy = policy_of(html)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    server = "https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == ["'self'", "'wasm-unsafe-eval'", f"'sha256-{digest}'", server]
    assert policy["connect-src"].split() == ["'self'", server]
    about = json.loads((tmp_path / "page" / "model.json").read_text("utf-8"))
    assert about["files"]["runtime"]["integrity"] == PUBLIC_RUNTIME.binary.integrity
    wanted = base64.b64encode(hashlib.sha384(b"a graph").digest()).decode()
    assert about["files"]["model"] == {"address": MODEL_FILE, "bytes": 7, "integrity": f"sha384-{wanted}"}
    assert {path.name for path in (tmp_path / "page").iterdir()} == {*PAGE, "model.json", MODEL_FILE}


def test_the_hashes_are_those_of_the_npm_package() -> None:
    if not static_page.NPM_PACKAGE.is_dir():
        pytest.skip("no onnxruntime-web here: npm install --prefix build/npm onnxruntime-web")
    package = Runtime.of_package(static_page.NPM_PACKAGE)
    if package.version != PUBLIC_RUNTIME.version:
        pytest.skip(f"onnxruntime-web {package.version} is another version")
    for mine, theirs in ((PUBLIC_RUNTIME.script, package.script), (PUBLIC_RUNTIME.binary, package.binary)):
        assert (mine.integrity, mine.size) == (theirs.integrity, theirs.size)


def test_a_copied_runtime_needs_no_other_server(runs, tmp_path) -> None:
    package = static_page.stand_in(tmp_path / "package")
    (runtime, *_) = write(tmp_path / "page", runs, package)
    assert runtime.startswith(f"runtime: onnxruntime-web 1.0.0, copied from {package}")
    html = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert policy_of(html)["connect-src"] == "'self'" and "https://" not in html
    copied = (tmp_path / "page" / "runtime" / "ort.wasm.bundle.min.mjs").read_bytes()
    assert copied == (package / "dist" / "ort.wasm.bundle.min.mjs").read_bytes()
    write(tmp_path / "page", runs, package)  # replaces it


def test_other_folders_and_packages_are_refused(tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(AlreadyExists, match="contains something else: choose another folder with --web"):
        WebPage.begin(tmp_path / "mine")
    with pytest.raises(CommandError, match=r"no package\.json: type npm install onnxruntime-web"):
        WebPage.begin(tmp_path / "page", tmp_path / "mine")
    other = static_page.stand_in(tmp_path / "other", "lodash")
    with pytest.raises(CommandError, match=r"npm package lodash 1\.0\.0: type"):
        WebPage.begin(tmp_path / "page", other)
    incomplete = static_page.stand_in(tmp_path / "incomplete")
    (incomplete / "dist" / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(CommandError, match=r"without dist/ort-wasm-simd-threaded\.wasm"):
        WebPage.begin(tmp_path / "page", incomplete)
    (other / "package.json").write_text("{")
    with pytest.raises(DataError, match="is not the description of an npm package"):
        WebPage.begin(tmp_path / "page", other)
    assert not (tmp_path / "page").exists()
