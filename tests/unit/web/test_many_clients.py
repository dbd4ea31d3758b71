"""Concurrent clients: shared batches, own results, nothing left behind."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import odd_uploads
import pytest
from http_client import send

from alexnet.web.served_model import PHOTOS_PER_PASS, ServedModel

AT_ONCE = 20


class Counting(ServedModel):
    """A model that records the sizes of its batches and waits for the event `go` before the first."""

    def __init__(self, *arguments) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        super().__init__(*arguments)

    def _score(self, positions, squares):
        self.go.wait()
        self.batches.append(len(squares))
        return super()._score(positions, squares)


def test_concurrent_photos_share_batches_and_get_their_own_predictions(serve_model, classifier) -> None:
    model = Counting("model", classifier)
    url = serve_model(model)
    photos = [odd_uploads.encoded(odd_uploads.picture(seed), "PNG") for seed in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as clients:
        pending = [clients.submit(send, f"{url}/api/classify?views=center", photo) for photo in photos]
        while send(f"{url}/health").json["waiting"] < AT_ONCE - PHOTOS_PER_PASS:
            pass
        model.go.set()
        responses = [each.result() for each in pending]
    assert sum(model.batches) == AT_ONCE
    assert len(model.batches) < AT_ONCE
    assert max(model.batches) <= PHOTOS_PER_PASS
    wanted = classifier.predict([odd_uploads.picture(seed) for seed in range(AT_ONCE)], views="center")
    for response, classes in zip(responses, wanted, strict=True):
        assert [each["wnid"] for each in response.json["classes"]] == [wnid for wnid, *_ in classes]
        np.testing.assert_allclose(
            [each["probability"] for each in response.json["classes"]], [p for *_, p in classes], atol=1e-5
        )
    assert send(f"{url}/health").json["waiting"] == 0


def test_concurrent_bad_photos_get_their_own_reasons(url) -> None:
    makers = [*odd_uploads.REFUSED] * 3
    with ThreadPoolExecutor(AT_ONCE) as clients:
        responses = list(clients.map(lambda make: send(f"{url}/api/classify", make()), makers[:AT_ONCE]))
    for make, response in zip(makers, responses, strict=False):
        status, reason = odd_uploads.REFUSED[make]
        assert response.status == status
        assert reason in response.json["error"]
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200


def test_disconnected_clients_leave_nothing_behind(url) -> None:
    place = urlsplit(url)
    for _ in range(40):  # more than are received at the same time
        with socket.create_connection((place.hostname, place.port)) as half:
            half.sendall(
                b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf of it"
            )
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200
    assert send(f"{url}/health").json["waiting"] == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux reports the memory in use")
def test_photos_are_freed(url) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    from PIL import Image

    photo = odd_uploads.encoded(Image.fromarray(noise), "JPEG", quality=90)
    broken = photo[: len(photo) // 2]
    assert len(photo) > 10**6

    def round_of_twenty() -> int:
        with ThreadPoolExecutor(AT_ONCE) as clients:
            list(clients.map(lambda n: send(f"{url}/api/classify", (photo, broken)[n % 2]), range(AT_ONCE)))
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = max(round_of_twenty() for _ in range(3))
    after = min(round_of_twenty() for _ in range(3))
    # The 60 photos in between are 80 MB encoded and 350 MB decoded.
    assert after - before < 40 * 2**20
