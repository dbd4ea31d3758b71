"""Security headers of every response, and which requests are refused."""

from __future__ import annotations

import logging
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
_HOST = re.compile(rf"({'|'.join(map(re.escape, HOSTS))})(:[0-9]{{1,5}})?")
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
"""With these headers the page loads nothing from other sites, and other sites cannot embed or read it."""


class SecurityMiddleware:
    """Adds `HEADERS`, and refuses requests that another site's page sends from the user's browser.

    Requests for other host names than `HOSTS` are refused too: another site may have a name that resolves to
    this computer (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface; an exception becomes a response 500 and a line in the log."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = _refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        try:
            await (refusal or self._app)(scope, receive, send_with_headers)
        except Exception as error:  # so that also this response has the headers
            logging.getLogger("uvicorn.error").error("a request failed", exc_info=error)
            failed = JSONResponse({"error": f"the server failed on this photo ({type(error).__name__})"}, 500)
            await failed(scope, receive, send_with_headers)


def _refusal(headers: Headers) -> JSONResponse | None:
    if not _HOST.fullmatch(headers.get("host", "")):
        return JSONResponse({"error": f"the host name must be {' or '.join(HOSTS)}"}, 400)
    if _is_cross_origin(headers):
        return JSONResponse({"error": "requests from pages of other sites are refused"}, 403)
    return None


def _is_cross_origin(headers: Headers) -> bool:
    """Whether a browser sent the request for a page of another site; programs send no `Origin`."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")
