from __future__ import annotations

import re

import numpy as np
import odd_uploads
import pytest
from http_client import send
from reference.json_form import misfits

from alexnet.analysis.neighbors import SimilarImages
from alexnet.web.app import make_app
from alexnet.web.photos import StorePhotos
from alexnet.web.responses import PredictedBox, PredictedBoxes
from alexnet.web.served_model import Analyses, ServedModel, similar_of
from alexnet.web.server import serving


@pytest.fixture
def whole(models, store):
    """A model that supports every endpoint."""
    photos, classifier = StorePhotos(store), models[0].classifier

    class Nearest:
        def search(self, queries, count):
            from alexnet.analysis.neighbors import NearestVectors

            return NearestVectors(np.array([[1, 2]]), np.array([[0.5, 1.25]]))

    box = PredictedBox(wnid="n1", name="cat", score=1.5, x0=0.0, y0=0.1, x1=0.9, y1=1.0)
    analyses = Analyses(
        saliency=models[0].analyses.saliency,
        similar=similar_of(SimilarImages(classifier, store.split("train"), "fc7", Nearest()), photos),
        localize=lambda given: PredictedBoxes(boxes=[box]),
    )
    with serving(make_app([ServedModel("model", classifier, analyses=analyses)], photos)) as url:
        yield url


@pytest.fixture
def described(whole):
    """The OpenAPI document, as a client receives it."""
    return send(f"{whole}/api/openapi.json").json


def test_it_describes_what_is_served_and_nothing_else(models, described) -> None:
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in make_app(models).routes
        if route.path.startswith(("/api/", "/health")) and route.path != "/api/openapi.json"
        for method in route.methods - {"HEAD"}
    }
    assert served == {(path, method) for path, item in described["paths"].items() for method in item}


def test_every_response_matches_its_schema(whole, described) -> None:
    for path, item in described["paths"].items():
        ((method, operation),) = item.items()
        if "{" in path:
            continue
        query = "?crops=1" if path.endswith("classify") else ""
        response = send(whole + path + query, odd_uploads.plain() if method == "post" else None)
        assert response.status == 200
        form = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert misfits(response.json, form, described["components"]["schemas"]) == []
        assert not query or {"square", "crops"} <= set(response.json)
        if method == "post":
            refusal = send(whole + path, b"no photo")
            assert str(refusal.status) in operation["responses"]
            assert (
                misfits(
                    refusal.json, {"$ref": "#/components/schemas/Error"}, described["components"]["schemas"]
                )
                == []
            )


def test_the_schema_check_finds_errors() -> None:
    forms = {
        "Class": {
            "type": "object",
            "properties": {"p": {"type": "number", "maximum": 1}},
            "required": ["p"],
            "additionalProperties": False,
        }
    }
    form = {"type": "array", "items": {"$ref": "#/components/schemas/Class"}}
    assert misfits([{"p": 0.5}], form, forms) == []
    assert misfits([{"p": 1.5}], form, forms)
    assert misfits([{}], form, forms)
    assert misfits([{"p": 1, "q": 2}], form, forms)
    assert misfits([{"p": "1"}], form, forms)
    assert misfits({}, form, forms)
    assert misfits("c", {"enum": ["a", "b"]}, forms)


def test_every_schema_is_used(described) -> None:
    text = str(described)
    for name in described["components"]["schemas"]:
        assert f"#/components/schemas/{name}'" in text
