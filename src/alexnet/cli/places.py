"""Boxes of photos for people: in lines of text or JSON, and drawn on the photos."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from alexnet.tasks.localization import Place


def say_places(
    names: Sequence[str],
    find: Callable[[npt.NDArray[np.uint8]], list[Place]],
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints what `find` says of each photo (H, W, 3), and draws it into the folder `out`, if there is one.

    DataError, after all others are done, where a file could not be read.
    """
    from alexnet.cli.classify import refuse_unreadable
    from alexnet.data.decode import quiet
    from alexnet.errors import AlexNetError
    from alexnet.evaluation.predictor import pixels_of

    results: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        try:
            with quiet():
                photo = pixels_of(name)
            places = find(photo)
        except AlexNetError as error:
            results.append({"image": name, "error": str(error)})
        else:
            results.append({"image": name, "objects": [place.to_dict() for place in places]})
            if out is not None:
                results[-1]["drawn"] = str(_draw(out, number, name, photo, places))
        if not as_json:
            typer.echo(_text(results[-1]), nl=False)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    refuse_unreadable(results)


def _draw(folder: Path, number: int, name: str, photo: npt.NDArray[np.uint8], places: list[Place]) -> Path:
    """Writes the photo with its boxes, the surest on top of the others.

    Files are numbered, since photos of two folders may share a name.
    """
    from alexnet.report.plots.boxes import DrawnBox, draw_boxes
    from alexnet.report.plots.output import save

    height, width = photo.shape[:2]
    size = 2 * [width, height]
    drawn = [
        DrawnBox([edge / length for edge, length in zip(place.box, size, strict=True)], _caption(place))
        for place in reversed(places)
    ]
    return save(draw_boxes(photo, drawn), folder / f"{number:04d}-{Path(name).stem}.png")


def _caption(place: Place) -> str:
    return f"{place.name.split(',')[0]} {place.score:.2f}"


def _text(result: dict[str, Any]) -> str:
    lines = [result["image"]]
    for each in result.get("objects", []):
        box = ", ".join(f"{edge:.0f}" for edge in each["box"])
        lines.append(f"  {each['score']:7.2f}  {each['name']}  at {box}")
    if "error" in result:
        lines.append(f"  unreadable: {result['error']}")
    if not result.get("objects", ["something"]):
        lines.append("  nothing found; a smaller --least shows what is less sure")
    if "drawn" in result:
        lines.append(f"  drawn: {result['drawn']}")
    return "".join(f"{line}\n" for line in lines)
