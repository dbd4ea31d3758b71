"""Photos per second through `alexnet serve`, compared with the model alone at batch size 16 on the same
cores."""

from __future__ import annotations

import http.client
import itertools
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import torch

from alexnet import recipes
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import FILTER
from alexnet.data.sources import Source
from alexnet.errors import WorkError
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.views import OF_A_SQUARE, positions_of
from alexnet.models.bundle import TERMS, ModelBundle
from alexnet.models.registry import build_run
from alexnet.web.app import make_app
from alexnet.web.served_model import ServedModel
from alexnet.web.server import serving
from benchmarks.decode import first_photos
from benchmarks.timing import Measurement, median_seconds

RECIPE, CLASSES = "alexnet-2012", 1000
BATCH, CLIENTS, PHOTOS = 16, 32, 128
TARGET = ">= 0.8"
BARE = "the model alone, batch 16"


def measure(source: Source, device: torch.device) -> list[Measurement]:
    """One row for the center crop of each photo, and one for ten crops.

    Clients in another process, on the same cores, send whole photos and wait for each response.
    """
    classifier, photos = classifier_of_random_weights(device), first_photos(source)
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    app = make_app([ServedModel("model", classifier)])
    with serving(app) as url, ProcessPoolExecutor(1, spawn) as clients:
        return [_row(classifier, url, clients, photos, views) for views in OF_A_SQUARE]


def classifier_of_random_weights(device: torch.device) -> Predictor:
    """The network of 2012 at its own size, untrained: as fast as a trained one."""
    torch.manual_seed(0)
    config = recipes.get(RECIPE)
    data, channels = config.data, config.data.channels
    preprocessing = Preprocessing(
        data=data,
        mean=torch.full((data.image_size, data.image_size, channels), 120.0),
        std=torch.full((channels,), 60.0),
        eigenvalues=torch.ones(channels),
        eigenvectors=torch.eye(channels),
        resized={"shape": "square", "resize": "crop", "resampling": FILTER},
    )
    classes = [Class(f"n{number:08}", f"class {number}") for number in range(CLASSES)]
    model = build_run(config, CLASSES).to(device).eval()
    return Predictor(ModelBundle(model, config, classes, preprocessing, dict(TERMS)))


def send_many(url: str, photos: Sequence[bytes], count: int = PHOTOS, clients: int = CLIENTS) -> int:
    """Sends `count` photos with `clients` at the same time, each over one connection; returns their number.

    WorkError if one is refused.
    """
    place = urlsplit(url)
    target = f"{place.path}?{place.query}"

    def client(number: int) -> int:
        mine = range(number, count, clients)
        with closing(http.client.HTTPConnection(place.netloc)) as connection:
            for each in mine:
                connection.request("POST", target, photos[each % len(photos)])
                response = connection.getresponse()
                body = response.read()
                if response.status != http.client.OK:
                    raise WorkError(f"the server refused a photo of the benchmark: {body.decode()[:200]}")
        return len(mine)

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(client, range(clients)))


def _row(
    classifier: Predictor, url: str, clients: ProcessPoolExecutor, photos: Sequence[bytes], views: str
) -> Measurement:
    preprocessing, model = classifier.preprocessing, classifier.model
    crops = len(positions_of(views, preprocessing))
    count = PHOTOS // crops // BATCH * BATCH or BATCH
    inputs = torch.randn(BATCH * crops, 3, preprocessing.crop, preprocessing.crop)
    device = next(model.parameters()).device
    inputs = inputs.to(device).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.no_grad():
            for _ in itertools.repeat(None, count // BATCH):
                model(inputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def served() -> None:
        clients.submit(send_many, f"{url}/api/classify?views={views}", photos, count).result()

    seconds = median_seconds({"served": served, "bare": bare})
    name = f"{RECIPE}, {CLIENTS} clients, {views}"
    rate, ratio = count / seconds["served"], seconds["bare"] / seconds["served"]
    return Measurement("serve", name, rate, "photos/s", BARE, ratio, TARGET)
