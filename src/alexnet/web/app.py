"""The web application: the page's files and the JSON API below `/api`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, TypeVar, cast

import torch
from fastapi import FastAPI, Query
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from alexnet import __version__
from alexnet.data.decode import UnreadableImage, quiet
from alexnet.hardware import cpu_count
from alexnet.serialization import UnknownKeyError
from alexnet.text import nearest
from alexnet.web.page_files import PAGE, page_file
from alexnet.web.photos import StorePhotos
from alexnet.web.responses import (
    ClassifyQuery,
    ClassifyResponse,
    Error,
    Health,
    LocalizeResponse,
    Models,
    PhotoQuery,
    SaliencyResponse,
    Samples,
    SimilarResponse,
)
from alexnet.web.security import SecurityMiddleware
from alexnet.web.served_model import ModelInput, ServedModel
from alexnet.web.upload import FORMATS, MAX_BYTES, MAX_UPLOAD_PIXELS, Refused, Uploads, megabytes, read_upload

MAX_DECODED = 16
"""Largest number of photos that are decoded at the same time; later ones wait. It bounds the memory."""
_NO_PHOTO = "no such photo"
_CURL_CONTENT_TYPE = "application/x-www-form-urlencoded"
"""The type that curl sends for any body, with `-d` and with `--data-binary`."""

_Result = TypeVar("_Result")


def make_app(models: Sequence[ServedModel], photos: StorePhotos | None = None) -> FastAPI:
    """The application; the first of `models` is the default. With `photos` the page offers samples.

    It can run in one server at a time.
    """
    api = Api(models, photos)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with quiet():
            yield
        api.close()

    app = FastAPI(
        title="alexnet serve",
        version=__version__,
        description=(
            "Image classification by models on this computer. A photo is the body of the request itself "
            f"({FORMATS}; at most {megabytes(MAX_BYTES)} and {MAX_UPLOAD_PIXELS / 1e6:.0f} million pixels); "
            "it is never written to a disk."
        ),
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's documentation pages would load scripts from other sites
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
        middleware=[Middleware(SecurityMiddleware)],
        exception_handlers={
            Refused: _refused,
            RequestValidationError: _invalid,
            HTTPException: _http_error,
            ClientDisconnect: _disconnected,
        },
        routes=_page_routes(),
    )
    _add_routes(app, api)
    return app


class Api:
    """The endpoints, over the served models and the photos of a store.

    Photos are decoded by a pool of one thread per core. All models share one more thread, and so the CPU or
    the GPU: they run one batch at a time.
    """

    def __init__(self, models: Sequence[ServedModel], photos: StorePhotos | None = None) -> None:
        self._models, self._photos = {model.name: model for model in models}, photos
        self._uploads, self._decoding = Uploads(), asyncio.Semaphore(MAX_DECODED)
        self._readers = _threads(cpu_count(), torch_threads=1)
        self._runner = _threads(1, torch_threads=torch.get_num_threads())
        for model in models:
            model.start(self._runner)

    def close(self) -> None:
        """Ends the threads."""
        for threads in (self._readers, self._runner):
            threads.shutdown(cancel_futures=True)

    async def health(self) -> Health:
        """The server's state and the number of waiting photos."""
        waiting = sum(model.waiting for model in self._models.values())
        return Health(version=__version__, models=list(self._models), waiting=waiting)

    async def models(self) -> Models:
        """The served models, the default first, and the limits of an upload."""
        return Models(
            models=[model.info() for model in self._models.values()],
            max_bytes=MAX_BYTES,
            max_pixels=MAX_UPLOAD_PIXELS,
        )

    async def samples(self) -> Samples:
        """Photos of the store to try; none without a store."""
        return Samples(samples=await _run(self._readers, self._photos.samples) if self._photos else [])

    async def photo(self, split: str, index: Annotated[int, PathParameter(ge=0, lt=2**31)]) -> Response:
        """One photo of the store."""
        data = await _run(self._readers, self._photos.jpeg, split, index) if self._photos else None
        if data is None:
            raise Refused(404, _NO_PHOTO)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def classify(self, request: Request, query: Annotated[ClassifyQuery, Query()]) -> ClassifyResponse:
        """The most probable classes."""
        model = self._model(query)
        given = await self._receive(request, model)
        found = await model.classify(
            given, query.views or model.default_views, query.top, crops=query.crops == "1"
        )
        return ClassifyResponse(model=model.name, photo=given.info, **dict(found))

    async def saliency(self, request: Request, query: Annotated[PhotoQuery, Query()]) -> SaliencyResponse:
        """Grad-CAM of the most probable class, as a grid over the center crop."""
        model = self._model(query)
        found = await self._analyze(request, model, "saliency", model.analyses.saliency)
        return SaliencyResponse(model=model.name, **found)

    async def similar(self, request: Request, query: Annotated[PhotoQuery, Query()]) -> SimilarResponse:
        """The nearest training images, by Euclidean distance in the last hidden layer."""
        model = self._model(query)
        found = await self._analyze(request, model, "similar", model.analyses.similar)
        return SimilarResponse(model=model.name, **found)

    async def localize(self, request: Request, query: Annotated[PhotoQuery, Query()]) -> LocalizeResponse:
        """The most probable class and its box, or all objects if the model is a detector."""
        model = self._model(query)
        found = await self._analyze(request, model, "localize", model.analyses.localize)
        return LocalizeResponse(model=model.name, **found)

    def _model(self, query: PhotoQuery) -> ServedModel:
        name = next(iter(self._models)) if query.model is None else query.model
        if name not in self._models:
            raise Refused(404, f"no model {name[:40]!r}; choose from: {', '.join(self._models)}")
        return self._models[name]

    async def _analyze(
        self, request: Request, model: ServedModel, name: str, analysis: Callable[[ModelInput], Any] | None
    ) -> dict[str, Any]:
        """The fields of the response without the model's name."""
        if analysis is None:
            offered = ", ".join(["classify", *model.analyses.names])
            raise Refused(404, f"{model.name} does not support {name}; it supports {offered}")
        given = await self._receive(request, model)
        return {"photo": given.info, **dict(await _run(self._runner, analysis, given))}

    async def _receive(self, request: Request, model: ServedModel) -> ModelInput:
        """The photo in the request's body."""
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/"):
            raise Refused(
                415, "send the photo itself as the body: curl --data-binary @photo.jpg, not a form field"
            )
        async with self._uploads.receive(request.stream()) as data, self._decoding:
            try:
                return await _run(self._readers, lambda: model.prepare(read_upload(data)))
            except UnreadableImage as error:  # resized, it would be too large
                raise Refused(422, str(error)) from None
            except Refused as error:
                if error.status != 422 or content_type != _CURL_CONTENT_TYPE:
                    raise
                raise Refused(422, f"{error}; with curl use --data-binary, as -d drops bytes") from None


def _add_routes(app: FastAPI, api: Api) -> None:
    for path, endpoint in (
        ("/health", api.health),
        ("/api/models", api.models),
        ("/api/samples", api.samples),
    ):
        app.add_api_route(path, endpoint, methods=["GET"])
        app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    photo = "/api/photos/{split}/{index}"
    app.add_api_route(
        photo,
        api.photo,
        methods=["GET"],
        response_class=Response,
        responses={
            200: {"description": "A JPEG file.", "content": {"image/jpeg": {"schema": _BINARY}}},
            "4XX": {"model": Error, "description": "There is no such photo."},
        },
    )
    app.add_api_route(photo, api.photo, methods=["HEAD"], include_in_schema=False)
    for endpoint in (api.classify, api.saliency, api.similar, api.localize):
        app.add_api_route(
            f"/api/{endpoint.__name__}",
            endpoint,
            methods=["POST"],
            response_model_exclude_none=True,
            responses={
                status: {"model": Error, "description": reason} for status, reason in _REFUSALS.items()
            },
            openapi_extra={"requestBody": _PHOTO_BODY},
        )


_BINARY = {"type": "string", "format": "binary"}
_PHOTO_BODY = {
    "required": True,
    "content": {"image/*": {"schema": _BINARY}, "application/octet-stream": {"schema": _BINARY}},
}
_REFUSALS: dict[int | str, str] = {
    400: "The body is empty, or a parameter is wrong.",
    404: "No such model, or it does not support this endpoint.",
    408: "The photo arrived too slowly.",
    413: "Too many bytes or pixels.",
    415: "Not a photo.",
    422: "A damaged or truncated photo, or one of extreme shape.",
    503: "Too many photos arrive at the same time.",
}


def _page_routes() -> list[BaseRoute]:
    return [
        Route(
            "/" if name == "index.html" else f"/{name}",
            partial(_file, page_file(name), kind),
            methods=["GET"],
        )
        for name, kind in PAGE.items()
    ]


async def _file(data: bytes, kind: str, _: Request) -> Response:
    return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": str(error)}, error.status)


async def _invalid(request: Request, error: Exception) -> Response:
    """An unknown or invalid query parameter; unknown ones first, as they explain missing ones."""
    assert isinstance(error, RequestValidationError)
    if any(each["loc"][0] == "path" for each in error.errors()):
        return JSONResponse({"error": _NO_PHOTO}, 404)
    document = cast(FastAPI, request.app).openapi()
    path: str = request.scope["path"]
    parameters = {each["name"]: each["schema"] for each in document["paths"][path]["post"]["parameters"]}
    found = {str(each["loc"][1]): str(each["input"])[:40] for each in error.errors()}
    name = next((each for each in found if each not in parameters), next(iter(found)))
    if name not in parameters:
        sentence = f"{UnknownKeyError(name[:40], list(parameters))}; choose from: {', '.join(parameters)}"
    elif "enum" in parameters[name]:
        sentence = f"no {name} {found[name]!r}; choose from: {', '.join(parameters[name]['enum'])}"
    else:
        sentence = f"{name} must be a whole number from 1 on, got {found[name]!r}"
    return JSONResponse({"error": sentence}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: _no_such_address(cast(FastAPI, request.app), request.scope["path"]),
        405: f"{request.method} is not allowed at this address",
    }
    sentence = sentences.get(error.status_code, error.detail)
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


def _no_such_address(app: FastAPI, path: str) -> str:
    """A sentence with the nearest address of the API, where one is near."""
    near = nearest(path[:100], app.openapi()["paths"])
    return f"no such address: {path[:100]}" + (f"; the nearest is {near}" if near else "")


async def _disconnected(_: Request, __: Exception) -> Response:
    """The client disconnected while it was sending: no one reads this."""
    return Response(status_code=400)


def _threads(count: int, torch_threads: int) -> ThreadPoolExecutor:
    """A thread pool, each with this number of torch threads: while decoding photos, more would only wait."""
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(torch_threads,))


async def _run(threads: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: Any) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
