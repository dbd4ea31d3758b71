"""`alexnet predict PHOTO... --model RUN|FILE`: classes, and boxes if the model predicts them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

import alexnet
from alexnet.cli.options import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, view_names, view_set
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError, DataError
from alexnet.tasks.config import DEFAULT_MIN_SCORE

if TYPE_CHECKING:
    from alexnet.errors import AlexNetError
    from alexnet.tasks.base import BoxPrediction, Prediction

PHOTOS_PER_CALL = 25
STANDARD_INPUT = "-"


def command(
    images: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Files or folders; - for standard input.")
    ],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run directory or an exported file.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the predicted boxes and save the drawings here.")
    ] = None,
    views: Annotated[
        str, typer.Option(metavar=VIEWS_METAVAR, help=VIEWS_HELP, autocompletion=view_names)
    ] = "",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Number of classes or objects per photo. [default: 5; all for a detector]"),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="For a detector: minimum probability of an object at a window whose box is used. "
            f"[default: {DEFAULT_MIN_SCORE:g}]",
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    terms: Annotated[
        bool,
        typer.Option(
            "--terms", help="First print the licenses and the origin of the weights, on standard error."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Predict the classes of photos, and boxes if the model was trained to predict them.

    A classifier predicts classes with probabilities, a localizer also a box for each class, and a detector
    all objects with their boxes, in pixels of the photo. The score of a box is the sum of the class's
    probabilities at all windows whose boxes were merged.

    Folders are searched for photos; - reads one photo from standard input. Unreadable files are reported and
    the others processed; the exit code is then 3.
    """
    from alexnet.data.decode import quiet
    from alexnet.runs.provenance import license_text

    names = list(photo_names(images))
    predictor = alexnet.load(model, device)
    if out is not None and not predictor.predicts_boxes:
        raise CommandError(
            f"{predictor.config.recipe} is a classifier; it predicts no boxes to draw: omit --out"
        )
    if terms:
        sys.stderr.write(license_text(predictor.terms, predictor.provenance))
    chosen = view_set(views, scales)
    results: list[dict[str, Any]] = []
    with progress_bar("predicting", len(names), unit="photos", silent=as_json or len(names) == 1) as advance:
        for start in range(0, len(names), PHOTOS_PER_CALL):
            part = names[start : start + PHOTOS_PER_CALL]
            photos = [sys.stdin.buffer.read() if name == STANDARD_INPUT else name for name in part]
            with quiet():
                predicted = predictor.attempt(photos, chosen, top, min_score)
            for name, photo, each in zip(part, photos, predicted, strict=True):
                result = _to_json(name, each, predictor.predicts_boxes)
                if out is not None and "error" not in result:
                    boxes = cast("list[BoxPrediction]", each)
                    result["drawn"] = str(_draw(out, len(results), name, photo, boxes))
                results.append(result)
                if not as_json:
                    typer.echo(_text(result), nl=False)
            advance(len(part))
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    refuse_unreadable(results)


def photo_names(images: Sequence[str]) -> Iterator[str]:
    """The path of each photo, also of those in folders; CommandError for missing files and folders without
    photos.
    """
    from alexnet.evaluation.predictor import find_photos

    for image in images:
        if image != STANDARD_INPUT and not Path(image).exists():
            raise CommandError(f"no such photo or folder: {image}")
        if not Path(image).is_dir():
            yield image
            continue
        found = find_photos(Path(image))
        if not found:
            raise CommandError(f"no photos in the folder {image}")
        yield from map(str, found)


def refuse_unreadable(results: Sequence[dict[str, Any]]) -> None:
    """DataError that lists the unreadable photos, if any."""
    unreadable = [result["image"] for result in results if "error" in result]
    if unreadable:
        listed = ", ".join(unreadable[:5]) + (", ..." if len(unreadable) > 5 else "")
        raise DataError(f"{len(unreadable)} of {len(results)} photos could not be read: {listed}")


def _to_json(name: str, predicted: list[Prediction] | AlexNetError, boxes: bool) -> dict[str, Any]:
    """`{image}` with `classes`, `objects` (those with boxes) or `error`."""
    if not isinstance(predicted, list):
        return {"image": name, "error": str(predicted)}
    return {"image": name, "objects" if boxes else "classes": [each._asdict() for each in predicted]}


def _draw(
    folder: Path, number: int, name: str, photo: str | bytes, predicted: Sequence[BoxPrediction]
) -> Path:
    """Writes the photo with its boxes, the best on top of the others.

    Files are numbered, since photos of two folders may share a name.
    """
    from alexnet.data.decode import quiet
    from alexnet.evaluation.predictor import pixels_of
    from alexnet.report.plots.boxes import DrawnBox, draw_boxes
    from alexnet.report.plots.output import save

    with quiet():
        pixels = pixels_of(photo)
    size = 2 * [pixels.shape[1], pixels.shape[0]]
    drawn = [
        DrawnBox([edge / length for edge, length in zip(each.box, size, strict=True)], _caption(each))
        for each in reversed(predicted)
    ]
    return save(draw_boxes(pixels, drawn), folder / f"{number:04d}-{Path(name).stem}.png")


def _caption(predicted: BoxPrediction) -> str:
    return f"{predicted.name.split(',')[0]} {predicted.score:.2f}"


def _text(result: dict[str, Any]) -> str:
    lines = [result["image"]]
    for each in result.get("classes", []):
        wnid = "" if each["wnid"] == each["name"] else f"  ({each['wnid']})"
        lines.append(f"  {100 * each['probability']:6.2f} %  {each['name']}{wnid}")
    for each in result.get("objects", []):
        box = ", ".join(f"{edge:.0f}" for edge in each["box"])
        lines.append(f"  {each['score']:7.2f}  {each['name']}  at {box}")
    if "error" in result:
        lines.append(f"  unreadable: {result['error']}")
    if not result.get("objects", ["something"]):
        lines.append("  nothing found; a lower --min-score shows less certain objects")
    if "drawn" in result:
        lines.append(f"  drawn: {result['drawn']}")
    return "".join(f"{line}\n" for line in lines)
