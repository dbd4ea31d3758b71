from __future__ import annotations

import re

import numpy as np
import odd_uploads
import pytest
from http_client import ask
from reference.json_form import misfits

from alexnet.analysis.neighbors import SimilarImages
from alexnet.web.app import make_app
from alexnet.web.further import similar
from alexnet.web.model import Model
from alexnet.web.openapi import document
from alexnet.web.photos import StorePhotos
from alexnet.web.server import serving


@pytest.fixture
def whole(models, store):
    """A model that gives every answer there is."""
    photos, classifier = StorePhotos(store), models[0].classifier

    class Nearest:
        def search(self, queries, count):
            from alexnet.analysis.neighbors import Found

            return Found(np.array([[1, 2]]), np.array([[0.5, 1.25]]))

    box = {"wnid": "n1", "name": "cat", "score": 1.5, "x0": 0.0, "y0": 0.1, "x1": 0.9, "y1": 1.0}
    more = {
        **models[0].more,
        "similar": similar(
            SimilarImages(classifier, store.split("train"), "fc7", Nearest()), photos, "train", "fc7"
        ),
        "localize": lambda seen: {"boxes": [box]},
    }
    with serving(make_app([Model("net", classifier, more=more)], photos)) as url:
        yield url


def test_it_describes_what_is_served_and_nothing_else(whole, models) -> None:
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in make_app(models).routes
        if route.path.startswith(("/api", "/health"))
        for method in route.methods - {"HEAD"}
    }
    assert served == {(path, method) for path, item in document()["paths"].items() for method in item}


def test_every_answer_has_the_form_described(whole) -> None:
    described = document()
    assert ask(f"{whole}/api/openapi.json").json == described
    for path, item in described["paths"].items():
        ((method, operation),) = item.items()
        if "{" in path:
            continue
        query = "?crops=1" if path.endswith("classify") else ""
        answer = ask(whole + path + query, odd_uploads.plain() if method == "post" else None)
        assert answer.status == 200
        form = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert misfits(answer.json, form, described["components"]["schemas"]) == []
        assert not query or {"square", "crops"} <= set(answer.json)
        if method == "post":
            refusal = ask(whole + path, b"no photo")
            assert str(refusal.status) in operation["responses"]
            assert (
                misfits(
                    refusal.json, {"$ref": "#/components/schemas/Error"}, described["components"]["schemas"]
                )
                == []
            )


def test_the_check_of_forms_finds_what_is_wrong() -> None:
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


def test_every_class_of_answer_is_used() -> None:
    text = str(document())
    for name in document()["components"]["schemas"]:
        assert f"#/components/schemas/{name}'" in text
