"""`alexnet classify IMAGE... --model RUN|FILE`: names for photos."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.views import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, parse_scales

if TYPE_CHECKING:
    from alexnet.evaluation.predictor import Answer, Classifier

PHOTOS_AT_ONCE = 25
STANDARD_INPUT = "-"


def command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, folders, or - for stdin.")],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run folder or a model file.")],
    views: Annotated[
        str,
        typer.Option(metavar=VIEWS_METAVAR, help=VIEWS_HELP),
    ] = "",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    terms: Annotated[
        bool, typer.Option("--terms", help="Say first whose weights these are, on standard error.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Name what is in photos, with probabilities.

    Folders are searched for photos; - reads one photo from standard input. A file without a readable photo is
    named and the rest is done; the exit code is then 3.
    """
    from alexnet.cli.licenses import license_text
    from alexnet.cli.progress import progress_bar
    from alexnet.evaluation.predictor import load
    from alexnet.hardware import choose_device

    names = list(photo_names(images))
    classifier = load(model, choose_device(device))
    if terms:
        sys.stderr.write(license_text(classifier.terms, classifier.provenance))
    results: list[dict[str, Any]] = []
    with progress_bar("classifying", len(names), unit="photos", silent=as_json or len(names) == 1) as advance:
        for start in range(0, len(names), PHOTOS_AT_ONCE):
            part = names[start : start + PHOTOS_AT_ONCE]
            answered = classify(classifier, part, views, top, parse_scales(scales))
            if not as_json:
                typer.echo("".join(map(_text, answered)), nl=False)
            results += answered
            advance(len(part))
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    refuse_unreadable(results)


def photo_names(images: list[str]) -> Iterator[str]:
    """Each photo's path, folders searched; CommandError for what does not exist or holds no photo."""
    from alexnet.errors import CommandError
    from alexnet.evaluation.predictor import photos_in

    for image in images:
        if image != STANDARD_INPUT and not Path(image).exists():
            raise CommandError(f"no such photo or folder: {image}")
        if not Path(image).is_dir():
            yield image
            continue
        found = photos_in(Path(image))
        if not found:
            raise CommandError(f"no photos in the folder {image}")
        yield from map(str, found)


def classify(
    classifier: Classifier, names: list[str], views: str, top: int, scales: tuple[int, ...] = ()
) -> list[dict[str, Any]]:
    """For each photo `{image, classes: [{wnid, name, probability}]}`, or `{image, error}` if unreadable."""
    from alexnet.data.decode import quiet
    from alexnet.errors import AlexNetError

    photos = [sys.stdin.buffer.read() if name == STANDARD_INPUT else name for name in names]
    with quiet():
        attempted = classifier.attempt(photos, views, top, scales)
    return [
        {"image": name, "error": str(answers)}
        if isinstance(answers, AlexNetError)
        else {"image": name, "classes": list(map(_as_dict, answers))}
        for name, answers in zip(names, attempted, strict=True)
    ]


def refuse_unreadable(results: list[dict[str, Any]]) -> None:
    """DataError that names the photos of `{image, error}` among the results, if there are any."""
    from alexnet.errors import DataError

    unreadable = [result["image"] for result in results if "error" in result]
    if unreadable:
        listed = ", ".join(unreadable[:5]) + (", ..." if len(unreadable) > 5 else "")
        raise DataError(f"{len(unreadable)} of {len(results)} photos could not be read: {listed}")


def _as_dict(answer: Answer) -> dict[str, Any]:
    return dict(zip(("wnid", "name", "probability"), answer, strict=True))


def _text(result: dict[str, Any]) -> str:
    lines = io.StringIO()
    lines.write(f"{result['image']}\n")
    for each in result.get("classes", []):
        wnid = "" if each["wnid"] == each["name"] else f"  ({each['wnid']})"
        lines.write(f"  {each['probability']:7.2%}  {each['name']}{wnid}\n")
    if "error" in result:
        lines.write(f"  unreadable: {result['error']}\n")
    return lines.getvalue()
