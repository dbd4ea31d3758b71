"""The JSON documents of the API. FastAPI validates and describes them (`/api/openapi.json`)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

ViewsName: TypeAlias = Literal["center", "ten"]
"""The center crop, or the paper's ten crops."""
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """A JSON object with these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Error(Document):
    """The reason for refusing a request."""

    error: Annotated[str, Field(description="One readable sentence.")]


class NamedClass(Document):
    """A class; both texts are empty if it is unknown."""

    wnid: str
    name: str


class ClassProbability(NamedClass):
    """A class and its predicted probability."""

    probability: Fraction


class PhotoInfo(Document):
    """The uploaded photo."""

    width: Annotated[int, Field(ge=1, description="Pixels, upright.")]
    height: Annotated[int, Field(ge=1, description="Pixels, upright.")]
    notes: Annotated[list[str], Field(description="Unusual properties of the file.")]


class Square(Document):
    """The square that a photo is resized to."""

    side: Annotated[int, Field(ge=1, description="Pixels.")]
    crop: Annotated[int, Field(ge=1, description="Side of the model's input, pixels.")]
    image: Annotated[str, Field(description="The square as a data: URL.")]


class Crop(Document):
    """One crop of the square and the classes predicted for it alone."""

    x: Annotated[int, Field(ge=0, description="Left edge in the square, pixels.")]
    y: Annotated[int, Field(ge=0, description="Upper edge in the square, pixels.")]
    mirrored: bool
    classes: list[ClassProbability]


class ClassifiedPhoto(Document):
    """The most probable classes; `square` and `crops` only if the request has `crops=1`."""

    views: ViewsName
    classes: Annotated[list[ClassProbability], Field(description="The most probable first.")]
    square: Square | SkipJsonSchema[None] = None
    crops: list[Crop] | SkipJsonSchema[None] = None


class Saliency(Document):
    """Grad-CAM of the most probable class as a grid over the center crop."""

    wnid: Annotated[str, Field(description="The most probable class.")]
    name: str
    x: Annotated[int, Field(ge=0, description="Left edge of the grid in the square, pixels.")]
    y: Annotated[int, Field(ge=0, description="Upper edge of the grid in the square, pixels.")]
    crop: Annotated[int, Field(ge=1, description="Side of the grid in the square, pixels.")]
    side: Annotated[int, Field(ge=1, description="Side of the square, pixels.")]
    values: Annotated[list[list[Fraction]], Field(description="Rows of the grid; 1 is most salient.")]


class SimilarImage(NamedClass):
    """A stored image and its distance to the uploaded photo."""

    photo: Annotated[str, Field(description="Address of the image.")]
    distance: Annotated[float, Field(description="Euclidean, between the features.")]


class NearestImages(Document):
    """The nearest images of a split."""

    split: str
    layer: str
    neighbors: Annotated[list[SimilarImage], Field(description="The nearest first.")]


class PredictedBox(NamedClass):
    """A class and its box, in fractions of the upright photo's width and height."""

    score: Annotated[
        float,
        Field(ge=0, description="Sum of the class's probabilities in the merged windows."),
    ]
    x0: Fraction
    y0: Fraction
    x1: Fraction
    y1: Fraction


class PredictedBoxes(Document):
    """Predicted boxes."""

    boxes: list[PredictedBox]


class OfPhoto(Document):
    """The model and the photo of a prediction."""

    model: str
    photo: PhotoInfo


class ClassifyResponse(ClassifiedPhoto, OfPhoto):
    """The most probable classes of a photo; `square` and `crops` only if the request has `crops=1`."""


class SaliencyResponse(Saliency, OfPhoto):
    """Grad-CAM of the most probable class of a photo, as a grid over the center crop."""


class SimilarResponse(NearestImages, OfPhoto):
    """The stored images nearest to a photo."""


class LocalizeResponse(PredictedBoxes, OfPhoto):
    """The boxes predicted for a photo."""


class ModelInfo(Document):
    """A served model."""

    name: str
    recipe: str
    classes: Annotated[int, Field(ge=1, description="Number of classes.")]
    side: Annotated[int, Field(ge=1, description="Side of the square that photos are resized to, pixels.")]
    crop: Annotated[int, Field(ge=1, description="Side of the model's input, pixels.")]
    views: Annotated[ViewsName, Field(description="Its default views.")]
    answers: Annotated[list[str], Field(description="The endpoints below /api/ that accept this model.")]
    trained: Annotated[str, Field(description="Training data and duration, as text; may be empty.")]
    tested: Annotated[str, Field(description="Its error, as text; may be empty.")]


class Models(Document):
    """The served models and the limits of an upload."""

    models: list[ModelInfo]
    max_bytes: Annotated[int, Field(ge=1)]
    max_pixels: Annotated[int, Field(ge=1)]


class StoredPhoto(NamedClass):
    """A photo of the store."""

    photo: Annotated[str, Field(description="Address of the image.")]


class Samples(Document):
    """Photos to try."""

    samples: list[StoredPhoto]


class Health(Document):
    """The server's state."""

    status: Literal["ok"] = "ok"
    version: str
    models: list[str]
    waiting: Annotated[int, Field(ge=0, description="Photos in the queue.")]


class PhotoQuery(Document):
    """Query parameters of every request with a photo."""

    model: Annotated[
        str | SkipJsonSchema[None], Field(description="A name of /api/models; the first is the default.")
    ] = None


class ClassifyQuery(PhotoQuery):
    """Query parameters of `/api/classify`."""

    views: Annotated[
        ViewsName | SkipJsonSchema[None],
        Field(description="Views to average; by default the model's `views`."),
    ] = None
    top: Annotated[int, Field(ge=1, lt=10**9, description="Number of classes.")] = 5
    crops: Annotated[
        Literal["0", "1"], Field(description="1: include the square and the classes of each crop.")
    ] = "0"
