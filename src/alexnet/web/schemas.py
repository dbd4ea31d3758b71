"""The forms of all answers, in the words of JSON Schema."""

from __future__ import annotations

from typing import Any

from alexnet.evaluation.views import OF_A_SQUARE

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
SCORE: Json = {
    "type": "number",
    "minimum": 0,
    "description": "Sum of the class's probabilities in the windows whose boxes were merged.",
}


def object_of(**properties: Json) -> Json:
    """An object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(of: Json, description: str = "") -> Json:
    """Any number of them."""
    return {"type": "array", "items": of} | ({"description": description} if description else {})


def whole(description: str = "", least: int = 0) -> Json:
    """A whole number from `least` on."""
    return {"type": "integer", "minimum": least, "description": description}


def ref(name: str) -> Json:
    """What stands under that name in `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_OF_CLASS: dict[str, Json] = {"wnid": TEXT, "name": TEXT}
_ANSWERED: dict[str, Json] = {"model": TEXT, "photo": ref("Photo")}
_CLASSIFIED = object_of(
    **_ANSWERED,
    views={"enum": [*OF_A_SQUARE]},
    classes=list_of(ref("Class"), "The most probable first."),
    square=ref("Square"),
    crops=list_of(ref("Crop")),
)
_CLASSIFIED["required"] = [name for name in _CLASSIFIED["required"] if name not in ("square", "crops")]
SCHEMAS: dict[str, Json] = {
    "Error": object_of(error={**TEXT, "description": "One sentence for people."}),
    "Class": object_of(**_OF_CLASS, probability=SHARE),
    "Photo": object_of(
        width=whole("Pixels, upright.", 1),
        height=whole("Pixels, upright.", 1),
        notes=list_of(TEXT, "What was unusual about the file."),
    ),
    "Square": object_of(
        side=whole("Pixels.", 1),
        crop=whole("Pixels that the net sees of it.", 1),
        image={**TEXT, "description": "The net's square as a data: address."},
    ),
    "Crop": object_of(
        x=whole("Left edge in the square, pixels."),
        y=whole("Upper edge in the square, pixels."),
        mirrored={"type": "boolean"},
        classes=list_of(ref("Class")),
    ),
    "Classified": _CLASSIFIED,
    "Saliency": object_of(
        **_ANSWERED,
        wnid={**TEXT, "description": "The class asked about: the most probable one."},
        name=TEXT,
        x=whole("Left edge of the grid in the square, pixels."),
        y=whole("Upper edge of the grid in the square, pixels."),
        crop=whole("Side of the grid in the square, pixels.", 1),
        side=whole("Side of the square, pixels.", 1),
        values=list_of(list_of(SHARE), "Rows of the grid, 1 where it looked most."),
    ),
    "Similar": object_of(
        **_ANSWERED,
        split=TEXT,
        layer=TEXT,
        neighbors=list_of(object_of(photo=TEXT, **_OF_CLASS, distance=NUMBER), "The nearest first."),
    ),
    "Localize": object_of(
        **_ANSWERED,
        boxes=list_of(
            object_of(**_OF_CLASS, score=SCORE, x0=SHARE, y0=SHARE, x1=SHARE, y1=SHARE),
            "Shares of the upright photo's width and height.",
        ),
    ),
    "Models": object_of(models=list_of(ref("Model")), max_bytes=whole(least=1), max_pixels=whole(least=1)),
    "Model": object_of(
        name=TEXT,
        recipe=TEXT,
        classes=whole("How many it knows.", 1),
        side=whole("Of its stored square, pixels.", 1),
        crop=whole("Of what it sees, pixels.", 1),
        views={"enum": [*OF_A_SQUARE]},
        answers=list_of(TEXT, "Words behind /api/ that it can be asked."),
        trained={**TEXT, "description": "On what and how long, for people; may be empty."},
        tested={**TEXT, "description": "Its error, for people; may be empty."},
    ),
    "Samples": object_of(samples=list_of(object_of(photo=TEXT, **_OF_CLASS))),
    "Health": object_of(
        status={"const": "ok"}, version=TEXT, models=list_of(TEXT), waiting=whole("Photos in the queue.")
    ),
}
"""By their names in the document."""
