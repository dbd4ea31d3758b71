"""The whole of what is served: the page's files, the questions, and who may ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alexnet.data.decode import quiet
from alexnet.web.api import Api
from alexnet.web.guard import Guard
from alexnet.web.model import Model
from alexnet.web.openapi import MORE
from alexnet.web.photos import StorePhotos
from alexnet.web.upload import Refused

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "page.js": "text/javascript",
    "ask.js": "text/javascript",
    "show.js": "text/javascript",
    "draw.js": "text/javascript",
    "camera.js": "text/javascript",
}
"""The page's files and their types. They are in memory while it is served; no other can be asked for."""


def make_app(models: Sequence[Model], photos: StorePhotos | None = None) -> Starlette:
    """The application; `models` by their names, the first the one that is asked if none is named.

    With `photos` the page has some to try. Runs for one server at a time.
    """

    api = Api(models, photos)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        with quiet():
            yield
        api.close()

    return Starlette(
        routes=[*_page_routes(), *_api_routes(api)],
        lifespan=lifespan,
        middleware=[Middleware(Guard)],
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )


def _page_routes() -> list[Route]:
    folder = files("alexnet.web") / "page"
    return [
        Route(
            "/" if name == "index.html" else f"/{name}",
            partial(_file, (folder / name).read_bytes(), kind),
            methods=["GET"],
        )
        for name, kind in PAGE.items()
    ]


def _api_routes(api: Api) -> list[Route]:
    return [
        Route("/health", api.health),
        Route("/api/models", api.models),
        Route("/api/samples", api.samples),
        Route("/api/photos/{split:str}/{index:int}", api.photo),
        Route("/api/openapi.json", api.openapi),
        Route("/api/classify", api.classify, methods=["POST"]),
        *(Route(f"/api/{what}", partial(api.more, what), methods=["POST"]) for what in MORE),
    ]


async def _file(data: bytes, kind: str, _: Request) -> Response:
    return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": str(error)}, error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: f"no such address: {request.url.path}", 405: f"{request.method} is not for this address"}
    said = words.get(error.status_code, error.detail)
    return JSONResponse({"error": said}, error.status_code, error.headers)


async def _gone(_: Request, __: Exception) -> Response:
    """The client went away while it sent: nobody reads this."""
    return Response(status_code=400)


async def _failed(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the server failed at this photo ({type(error).__name__})"}, 500)
