"""`alexnet similar PHOTO... --model RUN|FILE`: the nearest training images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import write_document, write_lines, write_notes
from alexnet.cli.predict import STANDARD_INPUT, photo_names, refuse_unreadable
from alexnet.cli.progress import progress_bar
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import AlexNetError, CommandError
from alexnet.hardware import choose_device
from alexnet.runs.run_dir import members_of

if TYPE_CHECKING:
    from alexnet.analysis.neighbors import Neighbor, SimilarImages
    from alexnet.data.decode import Pixels
    from alexnet.errors import AlexNetError

QUERIES_AT_ONCE = 100
PHOTOS_DRAWN = 8


def command(
    images: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Files or folders; - for standard input.")
    ],
    model: Annotated[
        Path,
        typer.Option(
            metavar="RUN|FILE", help="A run directory, a model of an ensemble, or an exported file."
        ),
    ],
    store: Annotated[
        Path | None, typer.Option(help="The store to search; by default the one used in training.")
    ] = None,
    split: Annotated[str, typer.Option(help="The split of the store to search.")] = "train",
    layer: Annotated[str, typer.Option(help="The layer to compare. [default: the last hidden one]")] = "",
    top: Annotated[int, typer.Option(min=1, help="Number of images.")] = 6,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png|svg|pdf", help="Also draw the images.")
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate", help="Search a graph, kept in RUN/features: faster, but it may miss some images."
        ),
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    csv: Annotated[Path | None, csv_option("similar image")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """List the images of a store that are most similar to a photo, according to a model.

    Similar images are near in Euclidean distance in the last hidden layer, as in the paper's figure 4. The
    features of the store's images are saved in RUN/features; nothing is saved for an exported file.
    Unreadable files are reported and the others processed; the exit code is then 3.
    """
    from alexnet.analysis.neighbors import SearchSpec, open_similar_images
    from alexnet.data.decode import quiet
    from alexnet.evaluation.predictor import load
    from alexnet.evaluation.run_evaluation import opened_store
    from alexnet.report.plots.output import refuse_other_suffix

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    if out is not None:
        refuse_other_suffix(out)
    given, model = model, _one_model(model)
    names, chosen, opened = list(photo_names(images)), choose_device(device), opened_store(store, [given])
    classifier, spec = load(model, chosen), SearchSpec(opened, split, layer, approximate)
    bars = partial(progress_bar, unit="images", silent=as_json)
    similar = open_similar_images(model, classifier, spec, chosen, bars)
    found: list[tuple[str, list[Neighbor] | AlexNetError]] = []
    for start in range(0, len(names), QUERIES_AT_ONCE):
        part = names[start : start + QUERIES_AT_ONCE]
        photos = [sys.stdin.buffer.read() if name == STANDARD_INPUT else name for name in part]
        with quiet():
            batch = list(zip(part, similar.attempt(photos, top), strict=True))
        if not as_json and not tables:
            write_lines(*(line for name, each in batch for line in _lines(name, each)))
        found += batch
    results = [
        {"image": name, "neighbors": [asdict(near) for near in each]}
        if isinstance(each, list)
        else {"image": name, "error": str(each)}
        for name, each in found
    ]
    if tables:
        tables.write(_COLUMNS, _rows(found), quiet=as_json)
    if as_json:
        write_document(results)
    if out is not None:
        about = f"{model.name}, {similar.layer}: nearest of {len(opened.split(split)):,} images of"
        _draw(similar, found, f"{about} {opened.path.name} {split}", out)
    refuse_unreadable(results)


def _one_model(path: Path) -> Path:
    """The run directory or file that finds similar images; CommandError for an average of several models."""
    members = members_of([path])
    if len(members) > 1:
        raise CommandError(
            f"{path} is the average of {len(members)} models, which have no features in common: type --model "
            f"{' or '.join(map(str, members))}"
        )
    return members[0]


_COLUMNS = {
    "photo": str,
    "rank": int,
    "image": str,
    "wnid": str,
    "class": str,
    "distance": float,
    "error": str,
}


def _rows(found: Sequence[tuple[str, list[Neighbor] | AlexNetError]]) -> list[dict[str, Any]]:
    """A row for each similar image, the most similar first, and one for each unreadable photo."""
    rows: list[dict[str, Any]] = []
    for photo, each in found:
        if isinstance(each, AlexNetError):
            rows.append({"photo": photo, "error": str(each)})
            continue
        for rank, near in enumerate(each, start=1):
            row = {"image": near.key, "wnid": near.wnid, "class": near.name, "distance": near.distance}
            rows.append({"photo": photo, "rank": rank, **row})
    return rows


def _draw(
    similar: SimilarImages, found: list[tuple[str, list[Neighbor] | AlexNetError]], about: str, out: Path
) -> None:
    """Draws the first few readable photos with their neighbors; standard input cannot be read again."""
    from alexnet.data.decode import quiet
    from alexnet.report.plots.neighbors import draw_neighbors
    from alexnet.report.plots.output import save

    queries: list[tuple[Pixels, str]] = []
    neighbors: list[list[tuple[Pixels, str, float]]] = []
    for name, each in found:
        if name == STANDARD_INPUT or isinstance(each, AlexNetError) or len(queries) == PHOTOS_DRAWN:
            continue
        with quiet():
            square = similar.square_of(name)
        if not isinstance(square, AlexNetError):
            queries.append((square, Path(name).name))
            neighbors.append([(similar.pixels(near.number), near.name, near.distance) for near in each])
    if not queries:
        write_notes(f"no figure: {out} would show no photo, since standard input is not drawn")
        return
    save(draw_neighbors(queries, neighbors, about), out)


def _lines(name: str, found: list[Neighbor] | AlexNetError) -> list[str]:
    if not isinstance(found, list):
        return [name, f"  unreadable: {found}"]
    return [name, *(f"  {near.distance:9.4g}  {near.key}  {near.name}" for near in found)]
