"""`alexnet serve` as a process: start, use, stop."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import odd_uploads
import pytest
import tiny
from http_client import send
from PIL import Image

from alexnet.cli.main import main
from alexnet.web.server import listening


@contextmanager
def served(*words, **environment) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, the lines it printed until it was ready, and its address."""
    command = [sys.executable, "-W", "error", "-m", "alexnet", "serve", *map(str, words), "--port", "0"]
    with subprocess.Popen(
        [*command, "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            output = ""
            while "http" not in output:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                output += line
            yield process, output, re.search(r"http://127\.0\.0\.1:\d+", output)[0]
        finally:
            if process.poll() is None:
                process.kill()


def test_it_prints_its_address_and_stops_with_ctrl_c(runs, store) -> None:
    with served(*runs, "--store", store.path) as (process, output, url):
        assert re.fullmatch(rf"one, two on cpu \(\d+ threads\): {url} \(Ctrl-C stops it\)\n", output)
        assert (
            process.stdout.readline() == f"for programs: curl --data-binary @photo.jpg {url}/api/classify\n"
        )
        models = send(f"{url}/api/models").json["models"]
        assert [each["answers"] for each in models] == [["classify", "saliency", "similar"]] * 2
        found = send(f"{url}/api/similar?model=two", odd_uploads.plain()).json
        assert (len(found["neighbors"]), found["split"], found["layer"]) == (6, "train", "fc7")
        distances = [each["distance"] for each in found["neighbors"]]
        assert distances == sorted(distances)
        assert send(url + found["neighbors"][0]["photo"]).status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_an_unfinished_run_is_served_with_a_note(store, tmp_path) -> None:
    run = tiny.run(tmp_path / "half", store)
    run.metrics_file.write_text('{"event": "stopped", "step": 9, "epoch": 1}\n')
    with served(run.path) as (process, _, _):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "note: half is unfinished, at epoch 3 of 3, update 18; alexnet train with --resume" in errors


@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux can forbid another process to write files"
)
def test_no_upload_is_written_to_a_disk(runs, store, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    large = odd_uploads.encoded(Image.fromarray(noise), "PNG")
    assert len(large) > 10 * 2**20  # above the size at which libraries spool uploads to a disk
    with served(runs[0], "--store", store.path, TMPDIR=str(tmp_path)) as (process, _, url):
        assert send(f"{url}/api/classify?crops=1", odd_uploads.plain()).status == 200
        before = set(tmp_path.iterdir())
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))  # from now on writing a byte kills it
        photos = [large, large[:-1000], *(make() for make in (*odd_uploads.ODD, *odd_uploads.REFUSED))]
        with ThreadPoolExecutor(8) as clients:
            for what in ("classify", "saliency", "similar"):
                statuses = clients.map(
                    lambda photo, what=what: send(f"{url}/api/{what}", photo).status, photos
                )
                assert [status == 200 for status in statuses] == [True, False, *[True] * 10, *[False] * 8]
        assert process.poll() is None
        assert set(tmp_path.iterdir()) == before


def test_a_model_that_only_classifies_is_served_too(runs, tmp_path) -> None:
    """An exported ONNX file has no named layers, so it only classifies."""
    exported = tmp_path / "net.onnx"
    assert main(["export", str(runs[0]), str(exported)]) == 0
    with served(exported) as (_, _, url):
        (model,) = send(f"{url}/api/models").json["models"]
        assert (model["name"], model["answers"]) == ("net.onnx", ["classify"])
        wanted = send(f"{url}/api/classify", odd_uploads.plain())
        assert wanted.status == 200


def code_and_error(capsys, *words) -> tuple[int, str]:
    code = main(["serve", *map(str, words)])
    return code, capsys.readouterr().err


def test_wrong_commands_are_one_line(runs, store, tmp_path, capsys) -> None:
    code, error = code_and_error(capsys, tmp_path / "absent", "--port", 0)
    assert (code, error.count("\n")) == (2, 1)
    code, error = code_and_error(capsys, runs[0], runs[0], "--port", 0)
    assert code == 2
    assert "two models have the name" in error
    with listening(0) as listener:
        port = listener.getsockname()[1]
        code, error = code_and_error(capsys, runs[0], "--port", port)
    assert (code, error) == (2, f"alexnet: port {port} is taken: choose another with --port\n")


def test_a_store_with_other_classes_is_bad_data(runs, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(tiny, "CLASSES", 2)
    other = tiny.store(tmp_path)
    code, error = code_and_error(capsys, runs[0], "--store", other.path, "--port", 0)
    assert code == 3
    assert "class2" in error


def test_runs_with_equal_names_get_their_parent_directories(runs, store, tmp_path) -> None:
    from alexnet.web.served_model import unique_names

    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c"]
    assert unique_names(paths) == ["a/run", "b/run", "c"]
