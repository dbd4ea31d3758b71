"""Pages of `alexnet export --web`: a server of files, and a stand-in for onnxruntime-web."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROBABILITIES = [0.2, 0.7, 0.1]
"""What the stand-in predicts for any photo."""
_SCRIPT = """
export const env = { wasm: {} };
export class Tensor {
  constructor(type, data, dims) {
    Object.assign(this, { type, data, dims });
  }
}
export class InferenceSession {
  static async create(graph, options) {
    globalThis.created = { bytes: graph.length, wasm: env.wasm.wasmBinary.byteLength, options };
    return new InferenceSession();
  }
  async run({ photo }) {
    globalThis.received = photo;
    const square = new Tensor("uint8", new Uint8Array(2 * 2 * 3).fill(128), [2, 2, 3]);
    return { probabilities: new Tensor("float32", Float32Array.from(%s), [3]), square };
  }
}
"""
NPM_PACKAGE = Path(__file__).parents[1] / "build" / "npm" / "node_modules" / "onnxruntime-web"
"""Where `.ci/run` installs the real one."""


def stand_in(folder: Path, name: str = "onnxruntime-web") -> Path:
    """An npm package with a runtime that keeps what it receives and predicts `PROBABILITIES`."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    (folder / "dist" / "ort.wasm.bundle.min.mjs").write_text(_SCRIPT % json.dumps(PROBABILITIES))
    (folder / "dist" / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the files in the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
