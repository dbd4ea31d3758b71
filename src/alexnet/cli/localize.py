"""`alexnet localize IMAGE... --model RUN`: what is in photos, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.views import parse_scales

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from alexnet.evaluation.localizer import Place


def command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files or folders.")],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run of overfeat-fast-localization.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the boxes on the photos, there.")
    ] = None,
    views: Annotated[
        str, typer.Option(metavar="dense|centre", help="Windows at all places, or one in the middle.")
    ] = "dense",
    scales: Annotated[
        str, typer.Option(metavar="Q,Q,...", help="Shorter sides of the photo. [default: the net's own]")
    ] = "",
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Say what is in photos and where: the surest classes, a box each, in pixels of the photo.

    A score is the sum of the class's probabilities in all windows whose boxes were merged into the one that
    is shown. A file without a readable photo is named and the rest is done; the exit code is then 3.
    """
    from alexnet.cli.classify import photo_names
    from alexnet.cli.device import choose_device
    from alexnet.errors import AlexNetError, DataError
    from alexnet.evaluation.localizer import load
    from alexnet.evaluation.photos import pixels_of

    names = list(photo_names(images))
    localizer = load(model, choose_device(device), views, parse_scales(scales))
    results: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        try:
            photo = pixels_of(name)
            places = localizer.localize(photo, top)
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
    unreadable = [result["image"] for result in results if "error" in result]
    if unreadable:
        listed = ", ".join(unreadable[:5]) + (", ..." if len(unreadable) > 5 else "")
        raise DataError(f"{len(unreadable)} of {len(names)} photos could not be read: {listed}")


def _draw(folder: Path, number: int, name: str, photo: npt.NDArray[np.uint8], places: list[Place]) -> Path:
    """Writes the photo with its boxes; files are numbered, since photos of two folders may share a name."""
    from alexnet.figures.boxes import DrawnBox, draw_boxes
    from alexnet.figures.save import save

    height, width = photo.shape[:2]
    size = 2 * [width, height]
    drawn = [
        DrawnBox([edge / length for edge, length in zip(place.box, size, strict=True)], _caption(place))
        for place in places
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
    if "drawn" in result:
        lines.append(f"  drawn: {result['drawn']}")
    return "".join(f"{line}\n" for line in lines)
