"""HEIC and AVIF photos, read by Pillow and the extra `heic`, or refused by name and number without it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from unit.data import source_makers as make

from alexnet.data import prepare as prepare_module
from alexnet.data.decode import NoDecoder, UnreadableImage, decode, heic_is_readable, image_size, oddities
from alexnet.data.inspect import inspect
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.errors import DataError

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)).resize((64, 48))


def encoded(kind: str) -> bytes:
    if kind == "HEIF":
        assert heic_is_readable()
    file = io.BytesIO()
    PICTURE.save(file, kind, quality=95)
    return file.getvalue()


@pytest.fixture
def without_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("alexnet.data.decode", prepare_module.__name__):
        monkeypatch.setattr(f"{module}.heic_is_readable", lambda: False)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_they_are_decoded(kind: str) -> None:
    data = encoded(kind)
    assert image_size(data) == (64, 48)
    assert np.abs(decode(data, exif=True).astype(int) - np.asarray(PICTURE)).mean() < 6
    assert oddities(data, "a.HEIC") == ([] if kind == "HEIF" else ["AVIF named .HEIC"])


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_damage_is_unreadable(kind: str) -> None:
    data = encoded(kind)
    for length in (12, 40, len(data) // 2, len(data) - 40):
        with pytest.raises(UnreadableImage):
            decode(data[:length])


@pytest.mark.usefixtures("without_decoder")
def test_without_the_decoder_they_are_named_and_counted(tmp_path: Path) -> None:
    files = {f"cat/IMG_{number}.HEIC": encoded("AVIF") for number in range(3)}
    files = {name: data.replace(b"avif", b"heic").replace(b"avis", b"heic") for name, data in files.items()}
    files |= {f"dog/{number}.jpg": make.photo(number) for number in range(2)}
    source = open_source(make.write(tmp_path / "photos", files), 0)
    with pytest.raises(NoDecoder, match="alexnet\\[heic\\]"):
        decode(source.splits["train"][0].image)
    unreadable = inspect(source, workers=1).splits["train"].unreadable
    assert [key for key, reason in unreadable.items() if "pillow-heif" in reason] == [
        f"cat/IMG_{number}.HEIC" for number in range(3)
    ]
    with pytest.raises(DataError, match=r"3 HEIC photos such as cat/IMG_0\.HEIC: install pillow-heif"):
        prepare(source, tmp_path / "store", PrepareSettings(16), workers=1)
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("without_decoder")
def test_files_of_that_name_that_pillow_reads_need_no_decoder(tmp_path: Path) -> None:
    files = {"cat/a.HEIC": encoded("AVIF"), "dog/b.heic": make.photo(1)}
    source = open_source(make.write(tmp_path / "photos", files), 0)
    assert len(prepare(source, tmp_path / "store", PrepareSettings(16), workers=1).split("train")) == 2
