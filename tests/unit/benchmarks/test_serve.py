"""The benchmark's clients get a response for every photo; a refusal is an error."""

from __future__ import annotations

import odd_uploads
import pytest
import tiny

from alexnet.errors import WorkError
from alexnet.web.app import make_app
from alexnet.web.served_model import open_models
from alexnet.web.server import serving
from benchmarks.serve import send_many


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    run = tiny.run(folder / "run", tiny.store(folder))
    with serving(make_app(open_models([run.path]))) as address:
        yield f"{address}/api/classify?views=center"


def test_every_photo_gets_a_response_for_any_number_of_clients(url) -> None:
    photos = [odd_uploads.plain(), odd_uploads.cmyk()]
    assert send_many(url, photos, count=10, clients=3) == 10
    assert send_many(url, photos, count=2, clients=8) == 2


def test_a_refusal_is_an_error(url) -> None:
    with pytest.raises(WorkError, match="not a photo"):
        send_many(url, [odd_uploads.text()], count=1, clients=1)
