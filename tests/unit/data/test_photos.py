"""Photos from folders and addresses; arrays are in `tests/unit/evaluation/test_predictor.py`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from local_server import Server
from PIL import Image

from alexnet.data import photos
from alexnet.data.photos import download, list_photos, pixels_of
from alexnet.errors import CommandError, DataError, NotFound, WorkError


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(file, "jpeg")
    return file.getvalue()


def test_a_photo_at_an_address_is_that_photo(server: Server) -> None:
    server.files["/cat.jpg"] = jpeg()
    np.testing.assert_array_equal(pixels_of(f"{server.url}/cat.jpg"), pixels_of(jpeg()))


def test_addresses_that_cannot_be_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/cat.jpg"] = jpeg()
    with pytest.raises(NotFound, match=r"no such photo: .*/dog\.jpg \(404"):
        pixels_of(f"{server.url}/dog.jpg")
    server.errors = [500]
    with pytest.raises(WorkError, match=r"cannot be read \(500"):
        pixels_of(f"{server.url}/cat.jpg")
    with pytest.raises(DataError, match="more than 100 bytes"):
        download(f"{server.url}/cat.jpg", most_bytes=100)
    server.dies_after = [50]
    with pytest.raises(WorkError, match="cannot be read"):
        pixels_of(f"{server.url}/cat.jpg")
    monkeypatch.setattr(photos, "_MOST_SECONDS", -1.0)
    with pytest.raises(WorkError, match="not finished after"):
        pixels_of(f"{server.url}/cat.jpg")
    with pytest.raises(WorkError, match="cannot be read"):
        pixels_of("http://127.0.0.1:1/cat.jpg")


def test_a_redirection_to_a_file_is_not_followed(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg())

    def respond(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", secret.as_uri())
        handler.end_headers()

    server.respond = respond
    with pytest.raises(WorkError, match="cannot be read"):
        pixels_of(f"{server.url}/cat.jpg")


def test_a_folder_stands_for_its_photos(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/1.png", ".hidden/3.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wanted = [tmp_path / "a" / "1.png", tmp_path / "b" / "2.jpg"]
    assert list_photos(tmp_path) == wanted
    assert list_photos([tmp_path / "a", "x.jpg"]) == [wanted[0], "x.jpg"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotFound, match="has no photos"):
        list_photos(empty)


def test_arrays_of_fractions_are_refused_with_the_way_to_convert_them() -> None:
    with pytest.raises(CommandError, match=r"got float32 \(3, 8, 8\); of values in 0\.\.1, pass"):
        pixels_of(torch.rand(3, 8, 8))
