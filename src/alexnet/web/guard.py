"""What every answer says to browsers, and who may ask."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
"""The page loads nothing from elsewhere, and other pages can neither show nor read it."""


class Guard:
    """Adds `HEADERS`, and refuses what another site's page sends from a visitor's browser.

    Such a page may have made a name of its own point here: whoever asks for another than `HOSTS` is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = _refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send_guarded)


def _refusal(headers: Headers) -> JSONResponse | None:
    if headers.get("host", "").split(":")[0] not in HOSTS:
        return JSONResponse({"error": f"ask this server as {' or '.join(HOSTS)}"}, 400)
    if _from_elsewhere(headers):
        return JSONResponse({"error": "only its own page and programs may ask this server"}, 403)
    return None


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that a page of another site asks; programs say nothing."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
