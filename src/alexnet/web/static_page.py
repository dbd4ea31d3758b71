"""A web page that classifies photos in the browser: static files, which any web server can deliver."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import AlreadyExists, CommandError, DataError
from alexnet.io import atomic_write, is_left_over
from alexnet.json_reader import as_object, parse_json, refusing
from alexnet.models.bundle import ModelBundle
from alexnet.runs.provenance import license_lines
from alexnet.text import sized
from alexnet.web.page_files import PAGE, page_file
from alexnet.web.responses import ModelInfo, Models, ViewsName
from alexnet.web.served_model import evaluated_text, trained_text
from alexnet.web.upload import MAX_BYTES, MAX_UPLOAD_PIXELS

MODEL_FILE, ABOUT_FILE = "model.onnx", "model.json"
PACKAGE = "onnxruntime-web"
"""The npm package that runs the model in the browser; it is not part of this one."""
_RUNTIME_FOLDER = "runtime"
_SCRIPT, _BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The two files of its folder `dist` that are used."""
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{import_map}'{runtime}; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'{runtime}; base-uri 'none'; form-action 'none'"
)
"""The page runs no other scripts than its own and those of the runtime, and sends nothing anywhere."""


@dataclass(frozen=True)
class _RuntimeFile:
    address: str
    """Of the page, or of another server."""
    integrity: str
    """SHA-384 of the contents, as browsers compare it."""
    size: int


@dataclass(frozen=True)
class Runtime:
    """The files of onnxruntime-web, and where the page loads them."""

    version: str
    script: _RuntimeFile
    binary: _RuntimeFile
    folder: Path | None = None
    """Where they are copied from; None if the page loads them from a public server."""

    @classmethod
    def of_package(cls, folder: Path) -> Runtime:
        """Those in the folder of the npm package; CommandError if it is another, DataError if broken."""
        about = folder / "package.json"
        install = f"type npm install {PACKAGE}, and --runtime node_modules/{PACKAGE}"
        if not about.is_file():
            raise CommandError(f"{folder} has no package.json: {install}")
        with refusing(about, "is not the description of an npm package", install):
            described = as_object(parse_json(about.read_text("utf-8")))
            name, version = str(described["name"]), str(described["version"])
        missing = [each for each in (_SCRIPT, _BINARY) if not (folder / "dist" / each).is_file()]
        if name != PACKAGE or missing:
            lacks = f" without dist/{missing[0]}" if name == PACKAGE else ""
            raise CommandError(f"{folder} has the npm package {name} {version}{lacks}: {install}")
        script, binary = (
            _RuntimeFile(
                f"./{_RUNTIME_FOLDER}/{each}", _integrity(data := _read(folder / "dist" / each)), len(data)
            )
            for each in (_SCRIPT, _BINARY)
        )
        return cls(version, script, binary, folder)

    @property
    def server(self) -> str:
        """The address of the other server that the page loads it from; empty for a copy."""
        return "" if self.folder is not None else f"{self.script.address.rpartition('/')[0]}/"

    def files(self) -> list[tuple[str, bytes]]:
        """Names and contents of the files to copy."""
        if self.folder is None:
            return []
        return [
            (f"{_RUNTIME_FOLDER}/{each}", _read(self.folder / "dist" / each)) for each in (_SCRIPT, _BINARY)
        ]

    def described(self) -> str:
        """A line on where the page loads it from."""
        if self.folder is None:
            return (
                f"runtime: {PACKAGE} {self.version}, which the page loads from {self.server} and compares "
                "with its hash; --runtime DIR copies it into the folder instead"
            )
        return f"runtime: {PACKAGE} {self.version}, copied from {self.folder}; it keeps its license (MIT)"


_VERSION = "1.30.0"
_SERVER = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{_VERSION}/dist/"
PUBLIC_RUNTIME = Runtime(
    _VERSION,
    _RuntimeFile(
        _SERVER + _SCRIPT, "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG", 73054
    ),
    _RuntimeFile(
        _SERVER + _BINARY, "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM", 14239897
    ),
)
"""A public copy of the npm package, with the hashes of the package's own files."""


@dataclass(frozen=True)
class WebPage:
    """The folder of a page, before or after it is written."""

    folder: Path
    runtime: Runtime

    @classmethod
    def begin(cls, folder: Path, package: Path | None = None) -> WebPage:
        """A page in a new folder, or in that of an earlier page, which `write` replaces.

        `package` is the folder of the npm package onnxruntime-web, from which the runtime is copied.
        AlreadyExists if the folder has something else; errors as `Runtime.of_package`.
        """
        if folder.is_file() or (
            folder.is_dir()
            and not (folder / ABOUT_FILE).is_file()
            and not all(map(is_left_over, folder.iterdir()))
        ):
            raise AlreadyExists(f"{folder} contains something else: choose another folder with --web")
        return cls(folder, PUBLIC_RUNTIME if package is None else Runtime.of_package(package))

    def write(self, net: ModelBundle, views: ViewsName) -> list[str]:
        """Writes the page for the graph in `MODEL_FILE`, which takes photos; returns lines to print.

        WorkError if the disk is full or not writable.
        """
        graph = _read(self.folder / MODEL_FILE)
        import_map = json.dumps(
            {
                "imports": {PACKAGE: self.runtime.script.address},
                "integrity": {self.runtime.script.address: self.runtime.script.integrity},
            }
        )
        server = f" {self.runtime.server}".rstrip()
        policy = _POLICY.format(import_map=_integrity(import_map.encode(), "sha256"), runtime=server)
        about = {
            "models": Models(
                models=[_info(net, views)], max_bytes=MAX_BYTES, max_pixels=MAX_UPLOAD_PIXELS
            ).model_dump(),
            "classes": [{"wnid": each.wnid, "name": each.name} for each in net.classes],
            "files": {
                "model": _file(MODEL_FILE, _integrity(graph), len(graph)),
                "runtime": _file(*vars(self.runtime.binary).values()),
            },
        }
        values = {"policy": policy, "import_map": import_map, "terms": license_lines(net.terms, None)}
        made = [(ABOUT_FILE, json.dumps(about, indent=1).encode()), *self.runtime.files()]
        made += [
            (name, page_file(name, "browser_api.js" if name == "api.js" else "", **values))
            for name in reversed(PAGE)  # index.html comes last
        ]
        for name, contents in made:
            with atomic_write(self.folder / name) as unfinished:
                unfinished.write_bytes(contents)
        loaded = sized(len(graph) + self.runtime.script.size + self.runtime.binary.size)
        return [
            self.runtime.described(),
            f"{self.folder}: a page that loads {loaded} when it is opened",
            f"next: python3 -m http.server --bind 127.0.0.1 --directory {self.folder}, and open http://127.0.0.1:8000",
        ]


def _info(net: ModelBundle, views: ViewsName) -> ModelInfo:
    known = net.provenance
    members = known.members if known is not None else ()
    return ModelInfo(
        name=known.run if known is not None else net.config.recipe,
        recipe=f"average of {len(members)} models" if members else net.config.recipe,
        classes=len(net.classes),
        side=net.preprocessing.side,
        crop=net.preprocessing.crop,
        views=views,
        answers=["classify"],
        trained=trained_text(known),
        tested=evaluated_text(known),
    )


def _file(address: str, integrity: str, size: int) -> dict[str, Any]:
    return {"address": address, "integrity": integrity, "bytes": size}


def _integrity(data: bytes, digest: str = "sha384") -> str:
    return f"{digest}-{base64.b64encode(hashlib.new(digest, data).digest()).decode()}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): copy it again") from error
