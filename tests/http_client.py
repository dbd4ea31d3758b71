"""A minimal HTTP client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(url: str, body: bytes | None = None, **headers: str) -> Response:
    """GET, or POST if there is a body; underscores in header names become hyphens."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=120)
    try:
        target = place.path + (f"?{place.query}" if place.query else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", target, body, named)
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()
