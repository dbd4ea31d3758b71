"""The questions that a page or a program can ask; `openapi.py` describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alexnet import __version__
from alexnet.evaluation.predictor import enlargement
from alexnet.evaluation.views import OF_A_SQUARE
from alexnet.hardware import cpu_count
from alexnet.serialization import UnknownKeyError
from alexnet.web import openapi
from alexnet.web.model import Model, Seen
from alexnet.web.photos import StorePhotos
from alexnet.web.upload import MAX_BYTES, MAX_PIXELS, Refused, note_of_size, read_photo, receive

_CURLS = "application/x-www-form-urlencoded"
"""What curl says of any body, of `-d` and of `--data-binary` alike."""
UPLOADS_AT_ONCE = 16
"""Photos that are received or decoded at the same time; whoever comes later waits. Bounds the memory."""


class Api:
    """Handlers of the addresses below `/api`, over the models served and maybe a store's photos.

    Photos are read by threads of their own, one on each core; all nets share one more, and so the processor
    or the GPU: one batch after the other.
    """

    def __init__(self, models: Sequence[Model], photos: StorePhotos | None = None) -> None:
        self._models, self._photos = {model.name: model for model in models}, photos
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._readers = _threads(cpu_count(), torch_threads=1)
        self._net = _threads(1, torch_threads=torch.get_num_threads())
        for model in models:
            model.start(self._net)

    def close(self) -> None:
        """Ends the threads."""
        for threads in (self._readers, self._net):
            threads.shutdown(cancel_futures=True)

    async def health(self, _: Request) -> Response:
        """Whether it answers, and how many photos wait."""
        waiting = sum(model.waiting for model in self._models.values())
        return JSONResponse(
            {"status": "ok", "version": __version__, "models": list(self._models), "waiting": waiting}
        )

    async def models(self, _: Request) -> Response:
        """What is served, and how large a photo may be."""
        return JSONResponse(
            {
                "models": [model.about() for model in self._models.values()],
                "max_bytes": MAX_BYTES,
                "max_pixels": MAX_PIXELS,
            }
        )

    async def samples(self, _: Request) -> Response:
        """Photos to try."""
        found = await self._in(self._readers, self._photos.samples) if self._photos else []
        return JSONResponse({"samples": found})

    async def photo(self, request: Request) -> Response:
        """One of the store's photos."""
        place = request.path_params["split"], request.path_params["index"]
        data = await self._in(self._readers, self._photos.jpeg, *place) if self._photos else None
        if data is None:
            raise Refused(404, "no such photo")
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def classify(self, request: Request) -> Response:
        """The most probable classes of the photo sent."""
        _refuse_unknown(request, "classify")
        model = self._model(request)
        views = _choice(request, "views", OF_A_SQUARE, model.default_views)
        top = _number(request, "top", 5, len(model.classifier.classes))
        crops = _choice(request, "crops", ("0", "1"), "0") == "1"
        seen, photo = await self._receive(request, model)
        answer = await model.classify(seen.square, views, top, crops)
        return JSONResponse({"model": model.name, "photo": photo, **answer})

    async def more(self, what: str, request: Request) -> Response:
        """Another answer of the model about the photo sent; `what` is the last word of the address."""
        _refuse_unknown(request, what)
        model = self._model(request)
        if what not in model.more:
            raise Refused(
                404, f"{model.name} gives no {what}; it gives {', '.join(['classify', *model.more])}"
            )
        seen, photo = await self._receive(request, model)
        answer = await self._in(self._net, model.more[what], seen)
        return JSONResponse({"model": model.name, "photo": photo, **answer})

    async def openapi(self, _: Request) -> Response:
        """The description of all this, for programs."""
        return JSONResponse(openapi.document())

    def _model(self, request: Request) -> Model:
        return self._models[_choice(request, "model", self._models, next(iter(self._models)), status=404)]

    async def _receive(self, request: Request, model: Model) -> tuple[Seen, dict[str, Any]]:
        """The photo as the model sees it, and what an answer says of it."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Refused(
                415, "send the photo itself as the body: curl --data-binary @photo.jpg, not a form's field"
            )
        async with self._uploads:
            data = await receive(request.stream())
            try:
                return await self._in(self._readers, _read, data, model)
            except Refused as error:
                if error.status != 422 or request.headers.get("content-type") != _CURLS:
                    raise
                raise Refused(422, f"{error}; with curl type --data-binary, as -d leaves bytes out") from None

    async def _in(self, threads: ThreadPoolExecutor, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


def _read(data: bytes, model: Model) -> tuple[Seen, dict[str, Any]]:
    photo = read_photo(data)
    height, width, _ = photo.pixels.shape
    small = note_of_size(enlargement(photo.pixels, model.classifier.preprocessing))
    return model.seen(photo.pixels), {"width": width, "height": height, "notes": photo.notes + small}


def _threads(count: int, torch_threads: int) -> ThreadPoolExecutor:
    """Threads in which torch is helped by so many of its own: reading photos, these would only wait."""
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(torch_threads,))


def _refuse_unknown(request: Request, what: str) -> None:
    known = openapi.parameters(what)
    for name in request.query_params:
        if name not in known:
            raise Refused(400, f"{UnknownKeyError(name[:40], known)}; there is {', '.join(known)}")


def _choice(request: Request, name: str, allowed: Any, otherwise: str, status: int = 400) -> str:
    found = request.query_params.get(name, otherwise)
    if found not in allowed:
        raise Refused(status, f"no {name} {found[:40]!r}; there are {', '.join(allowed)}")
    return found


def _number(request: Request, name: str, otherwise: int, most: int) -> int:
    """From 1 up; more than `most` is `most`."""
    found = request.query_params.get(name, str(otherwise))
    if not (found.isascii() and found.isdigit() and len(found) < 10 and int(found)):
        raise Refused(400, f"{name} must be a whole number from 1 on, got {found[:40]!r}")
    return min(int(found), most)
