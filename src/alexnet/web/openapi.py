"""The description of the questions that can be asked, in the form of OpenAPI 3.1."""

from __future__ import annotations

from alexnet import __version__
from alexnet.evaluation.views import OF_A_SQUARE
from alexnet.web.schemas import SCHEMAS, TEXT, Json, ref, whole
from alexnet.web.upload import FORMS, MAX_BYTES, MAX_PIXELS, megabytes

MORE = {
    "saliency": "What the net looked at (Grad-CAM), as a grid over the part of its square that it saw.",
    "similar": "The training images nearest to the photo, by Euclidean distance in the last hidden layer.",
    "localize": "Where the most probable class is, or all objects, of a net that detects: boxes.",
}
"""Further questions, which a model answers if `/api/models` says so."""


def parameters(what: str) -> list[str]:
    """What may stand behind the `?` of `/api/<what>`."""
    return [each["name"] for each in document()["paths"][f"/api/{what}"]["post"]["parameters"]]


def document() -> Json:
    """The whole document, ready for JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alexnet serve",
            "version": __version__,
            "description": (
                "Names for photos, by nets on this computer. A photo is the body of the request itself "
                f"({FORMS}; at most {megabytes(MAX_BYTES)} and {MAX_PIXELS / 1e6:.0f} million pixels); "
                "it is never written to a disk."
            ),
        },
        "paths": {
            "/health": {"get": _get("Whether it answers, and how many photos wait.", "Health")},
            "/api/models": {"get": _get("The models served; the first is asked if none is named.", "Models")},
            "/api/samples": {"get": _get("The store's photos to try; none without a store.", "Samples")},
            "/api/photos/{split}/{index}": {"get": _photo()},
            "/api/openapi.json": {"get": _get("This document.", None)},
            "/api/classify": {"post": _ask("The most probable classes.", "Classified", _CLASSIFY)},
            **{f"/api/{what}": {"post": _ask(line, what.title(), [])} for what, line in MORE.items()},
        },
        "components": {"schemas": SCHEMAS},
    }


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_MODEL = _query("model", TEXT, "A name of /api/models; the first is the default.")
_CLASSIFY = [
    _query("views", {"enum": [*OF_A_SQUARE]}, "Views averaged; the model's `views` by default."),
    _query("top", whole(least=1) | {"default": 5}, "How many classes."),
    _query(
        "crops", {"enum": ["0", "1"], "default": "0"}, "1: also the net's square, and what each view says."
    ),
]


def _answer(description: str, schema: str | None) -> Json:
    content = {"application/json": {"schema": ref(schema) if schema else {"type": "object"}}}
    return {"description": description, "content": content}


def _get(line: str, schema: str | None) -> Json:
    return {"summary": line, "responses": {"200": _answer(line, schema)}}


def _ask(line: str, schema: str, parameters: list[Json]) -> Json:
    reasons = {
        "400": "Nothing was sent, or a parameter is wrong.",
        "404": "No such model, or it gives no such answer.",
        "408": "The photo did not arrive in time.",
        "413": "Too many bytes or pixels.",
        "415": "Not a photo.",
        "422": "A photo that is damaged or incomplete.",
    }
    body = {"schema": {"type": "string", "format": "binary"}}
    return {
        "summary": line,
        "parameters": [_MODEL, *parameters],
        "requestBody": {"required": True, "content": {"image/*": body, "application/octet-stream": body}},
        "responses": {"200": _answer(line, schema)}
        | {status: _answer(reason, "Error") for status, reason in reasons.items()},
    }


def _photo() -> Json:
    place = [
        {"name": "split", "in": "path", "required": True, "schema": TEXT},
        {"name": "index", "in": "path", "required": True, "schema": whole()},
    ]
    content = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "summary": "One of the store's photos.",
        "parameters": place,
        "responses": {
            "200": {"description": "A JPEG file.", "content": content},
            "404": _answer("There is none.", "Error"),
        },
    }
