"""`alexnet predict PHOTO... --model RUN|FILE`: classes, and boxes if the model predicts them."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

import alexnet
from alexnet.cli.options import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, view_names, view_set
from alexnet.cli.output import write_document, write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import located_source
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import CommandError, DataError
from alexnet.runs.hugging_face import hub_address
from alexnet.runs.run_dir import PRETRAINED
from alexnet.tasks.config import DEFAULT_MIN_SCORE
from alexnet.text import counted, first_few, percentage

if TYPE_CHECKING:
    from alexnet.errors import AlexNetError
    from alexnet.evaluation.class_folders import ClassFolders
    from alexnet.evaluation.predictor import Predictor
    from alexnet.runs.calibration import Calibration
    from alexnet.runs.results import ViewSet
    from alexnet.tasks.base import BoxPrediction, Prediction

PHOTOS_PER_CALL = 25
STANDARD_INPUT = "-"


def command(
    images: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO...", help="Files, folders or URLs; - for standard input."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|FILE|hf:OWNER/NAME",
            help="A run directory, an exported file or a model on the Hugging Face Hub; `pretrained` is the "
            "model that comes with alexnet.",
        ),
    ] = None,
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
        str,
        typer.Option(
            metavar="N|auto",
            help="Print `not sure` if the highest probability is below N; auto: the threshold found by "
            "`alexnet "
            "calibrate`. For a detector: use the box of a window only if its object probability is at "
            "least N. "
            f"[default: 0; {DEFAULT_MIN_SCORE:g} for a detector]",
        ),
    ] = "",
    csv: Annotated[Path | None, csv_option("photo, or for each object")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy the photos to a folder for each class in this new folder."),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="With --out-dir: make symbolic links instead of copies.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
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
    the others processed; the exit code is then 3. Photos are never changed, moved or overwritten.
    """
    from alexnet.data.decode import quiet
    from alexnet.evaluation.class_folders import ClassFolders
    from alexnet.runs.provenance import license_lines, unfinished_note
    from alexnet.runs.run_dir import RunDir

    if link and out_dir is None:
        raise CommandError("--link is for --out-dir DIR, the folder for the links")
    model, photos_named = _model_and_photos(model, images)
    names = list(photo_names(photos_named))
    predictor = alexnet.load(model, device)
    boxes = predictor.predicts_boxes
    if out is not None and not boxes:
        raise CommandError(
            f"{predictor.config.recipe} is a classifier; it predicts no boxes to draw: omit --out"
        )
    if boxes and out_dir is not None:
        raise CommandError(f"{predictor.config.recipe} predicts boxes: --out-dir is for classifiers")
    if out_dir is not None and (found := _without_file(names)):
        raise CommandError(f"{found} has no file to copy: omit --out-dir")
    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    folders = None if out_dir is None else ClassFolders(out_dir, predictor.classes, link)
    if note := unfinished_note(RunDir(model)):
        write_notes(note)
    if str(model) == PRETRAINED:
        write_notes(
            f"note: the model that comes with alexnet knows {len(predictor.classes)} classes and is often "
            "wrong; `alexnet fit PHOTOS --run RUN` makes one for your classes"
        )
    if terms:
        write_notes(*license_lines(predictor.terms, predictor.provenance))
    chosen, calibration = view_set(views, scales), predictor.calibration
    least = _min_score(min_score, predictor, chosen)
    if calibration is not None and predictor.calibration_for(chosen) is None:
        write_notes(
            "note: the probabilities of these views are not calibrated, but those of the views "
            f"{calibration.views}: for these omit --views and --scales"
        )
    elif calibration is not None and min_score == "auto":
        write_notes(_described_score(calibration))
    prints = not as_json and not tables and folders is None
    results: list[dict[str, Any]] = []
    with progress_bar("predicting", len(names), unit="photos", silent=as_json or len(names) == 1) as advance:
        for start in range(0, len(names), PHOTOS_PER_CALL):
            part = names[start : start + PHOTOS_PER_CALL]
            photos = [sys.stdin.buffer.read() if name == STANDARD_INPUT else name for name in part]
            with quiet():
                predicted = predictor.attempt(photos, chosen, top, least if boxes else None)
            for name, photo, each in zip(part, photos, predicted, strict=True):
                result = _to_json(name, each, boxes)
                if out is not None and "error" not in result:
                    found = cast("list[BoxPrediction]", each)
                    result["drawn"] = str(_draw(out, len(results), name, photo, found))
                if least is not None and "classes" in result:
                    result["sure"] = result["classes"][0]["probability"] >= least
                if folders is not None and "error" not in result:
                    wnid = result["classes"][0]["wnid"] if result.get("sure", True) else None
                    result["sorted"] = str(folders.add(Path(name), wnid))
                results.append(result)
                if prints:
                    write_lines(*_lines(result))
            advance(len(part))
    if tables:
        columns, rows = (_OBJECT_COLUMNS, _object_rows(results)) if boxes else _table(results)
        tables.write(columns, rows, quiet=as_json)
    if as_json:
        write_document(results)
    elif not prints:
        write_lines(*_summary(results, folders))
    refuse_unreadable(results)


def _model_and_photos(model: Path | None, images: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """The model and the photos: `hf:owner/name` before the photos is the model, too.

    CommandError if a model is given twice.
    """
    first = Path(images[0])
    if hub_address(first) is None or first.exists():
        return model or Path(PRETRAINED), images
    if model is not None:
        raise CommandError(f"two models, {images[0]} and --model {model}: type one of them")
    if len(images) == 1:
        raise CommandError(f"no photos: type alexnet predict {images[0]} PHOTO...")
    return first, images[1:]


def _without_file(names: Sequence[str]) -> str:
    """The first photo that is no file on this computer, in words; empty without one."""
    from alexnet.data.remote import is_web_file

    if STANDARD_INPUT in names:
        return "a photo from standard input"
    return next((f"the photo at {name}" for name in names if is_web_file(name)), "")


def _min_score(text: str, predictor: Predictor, views: ViewSet) -> float | None:
    """The minimum score; that of the calibration for `auto`, None if the text is empty."""
    if not text:
        return None
    if text != "auto":
        try:
            score = float(text)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            raise CommandError(f"--min-score {text} is neither a number from 0 to 1 nor auto")
        return score
    calibration = predictor.calibration
    if calibration is None:
        raise CommandError(
            "--min-score auto needs a calibration of the present weights: type alexnet calibrate RUN --store "
            "STORE, or a number"
        )
    if predictor.calibration_for(views) is None:
        raise CommandError(
            f"--min-score auto needs the views of the calibration, {calibration.views}: omit --views and "
            "--scales, or calibrate again with other --views"
        )
    if calibration.min_score is None:
        raise CommandError(
            f"no minimum score reached an accuracy of {100 * calibration.wanted_accuracy:g} % on the "
            f"{counted(calibration.images, 'photo')} of {calibration.store} {calibration.split}: type a "
            "number, or calibrate again for a lower accuracy: alexnet calibrate RUN --accuracy N"
        )
    return calibration.min_score


def _described_score(found: Calibration) -> str:
    """The minimum score of `auto`, and what it is worth."""
    error = found.kept_error
    reached = ""
    if error is not None:
        low, high = error.interval
        reached = (
            f", which {found.kept:,} of {found.images:,} photos of {found.store} {found.split} reached: "
            f"{percentage(1 - error.error)} of these were correct (95 % interval: {percentage(1 - high)} to "
            f"{percentage(1 - low)})"
        )
    return f"--min-score auto: {found.min_score:.3f} with the views {found.views}{reached}"


def photo_names(images: Sequence[str]) -> Iterator[str]:
    """The path of each photo, also of those in folders, or the http(s) address of one photo.

    Files at other addresses are fetched. A path that the system refuses to look up is that of a photo, which
    cannot be read. CommandError for missing files and folders without photos.
    """
    from alexnet.data.photos import find_photos
    from alexnet.data.remote import is_address, is_web_file

    for given in images:
        if is_web_file(given):
            yield given
            continue
        image = str(located_source(given)) if is_address(given) else given
        if image != STANDARD_INPUT and _is_missing(image):
            raise CommandError(f"no such photo or folder: {image}")
        if not os.path.isdir(image):  # noqa: PTH112 - Path.is_dir raises errors of the system
            yield image
            continue
        found = find_photos(Path(image))
        if not found:
            raise CommandError(f"no photos in the folder {image}")
        yield from map(str, found)


def _is_missing(path: str) -> bool:
    """Whether there is nothing at a path; False if that cannot be found out, as in a forbidden folder."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return False


def refuse_unreadable(results: Sequence[dict[str, Any]]) -> None:
    """DataError that lists the unreadable photos, if any."""
    unreadable = [result["image"] for result in results if "error" in result]
    if unreadable:
        listed = first_few(unreadable, 5)
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
    from alexnet.data.photos import pixels_of
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


def _table(results: Sequence[dict[str, Any]]) -> tuple[dict[str, type], list[dict[str, Any]]]:
    """Columns, and a row for each photo: its path, the most probable class, its score, the next classes.

    WNIDs have a column if they are not the names, and so has whether a score is enough if there is a minimum.
    """
    predicted = [result.get("classes", []) for result in results]
    named = any(each["wnid"] != each["name"] for classes in predicted for each in classes)
    least = any("sure" in result for result in results)
    columns: dict[str, type] = {"photo": str}
    columns |= ({"wnid": str} if named else {}) | ({"sure": bool} if least else {})
    for place in range(1, max(1, *map(len, predicted)) + 1):
        columns |= {f"class{_nth(place)}": str, f"score{_nth(place)}": float}
    rows: list[dict[str, Any]] = []
    for result, classes in zip(results, predicted, strict=True):
        row = {"photo": result["image"], "sure": result.get("sure"), "error": result.get("error")}
        row["wnid"] = classes[0]["wnid"] if classes else None
        for place, each in enumerate(classes, start=1):
            row |= {f"class{_nth(place)}": each["name"], f"score{_nth(place)}": float(each["probability"])}
        rows.append(row)
    return {**columns, "error": str}, rows


def _nth(place: int) -> str:
    return f"_{place}" if place > 1 else ""


_OBJECT_COLUMNS: dict[str, type] = {
    "photo": str,
    "wnid": str,
    "class": str,
    "score": float,
    "left": float,
    "top": float,
    "right": float,
    "bottom": float,
    "error": str,
}


def _object_rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row of `_OBJECT_COLUMNS` for each predicted box, in pixels, and for each photo without any."""
    rows: list[dict[str, Any]] = []
    for result in results:
        boxes = [
            {
                "wnid": each["wnid"],
                "class": each["name"],
                "score": float(each["score"]),
                **dict(zip(("left", "top", "right", "bottom"), map(float, each["box"]), strict=True)),
            }
            for each in result.get("objects", [])
        ]
        rows += [{"photo": result["image"], "error": result.get("error"), **box} for box in boxes or [{}]]
    return rows


def _summary(results: Sequence[dict[str, Any]], folders: ClassFolders | None) -> list[str]:
    """Where the copies of the photos are, and which photos could not be read."""
    lines: list[str] = []
    if folders is not None:
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(folders.photos.items()))
        lines.append(f"{folders.folder}: {counted(folders.photos.total(), 'photo')}: {counts or 'none'}")
    lines += [f"unreadable: {result['image']}: {result['error']}" for result in results if "error" in result]
    return lines


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [result["image"], *(["  not sure"] if not result.get("sure", True) else [])]
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
    return lines
