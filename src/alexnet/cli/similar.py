"""`alexnet similar IMAGE... --model RUN|FILE --store STORE`: the nearest training images."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import torch

    from alexnet.analysis.features import Vectors
    from alexnet.analysis.neighbors import ApproximateIndex, SimilarImages
    from alexnet.data.store import Store
    from alexnet.evaluation.predictor import Predictor
    from alexnet.runs.run_dir import RunDir

PHOTOS_AT_ONCE = 100
PHOTOS_DRAWN = 8
PICTURES = (".png", ".svg", ".pdf")


def command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, folders, or - for stdin.")],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run folder or a model file.")],
    store: Annotated[Path, typer.Option(help="Where the images to compare with are.")],
    split: Annotated[str, typer.Option(help="Which of the store's splits.")] = "train",
    layer: Annotated[str, typer.Option(help="[default: the last hidden one]")] = "",
    top: Annotated[int, typer.Option(min=1, help="How many images to name.")] = 6,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png|svg|pdf", help="Draw them there too.")] = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="By a graph, kept in RUN/features: faster, may miss some.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Name the images of a store that a net takes for most like a photo.

    Alike is what is near by Euclidean distance in the last hidden layer, as in the paper's figure 4. What
    that layer says of the store's images is kept in RUN/features; of an exported file nothing is kept. A file
    without a readable photo is named and the rest is done; the exit code is then 3.
    """
    from alexnet.cli.predict import photo_names, refuse_unreadable
    from alexnet.data.store import Store
    from alexnet.evaluation.predictor import load
    from alexnet.hardware import choose_device

    if out is not None:
        refuse_no_picture(out)
    names, chosen, opened = list(photo_names(images)), choose_device(device), Store.open(store)
    classifier = load(model, chosen)
    similar = similar_images(model, classifier, opened, split, layer, chosen, approximate, silent=as_json)
    results: list[dict[str, Any]] = []
    for start in range(0, len(names), PHOTOS_AT_ONCE):
        part = _similar(classifier, similar, names[start : start + PHOTOS_AT_ONCE], top)
        if not as_json:
            typer.echo("".join(map(_text, part)), nl=False)
        results += part
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    if out is not None:
        data = f"{len(opened.split(split)):,} images of {opened.path.name} {split}"
        about = f"{model.name}, {similar.layer}: nearest of {data}"
        _draw(classifier, similar, results, about, out)
    refuse_unreadable(results)


def similar_images(
    model: Path,
    classifier: Predictor,
    store: Store,
    split: str,
    layer: str,
    device: torch.device,
    approximate: bool = False,
    silent: bool = False,
) -> SimilarImages:
    """What finds the images of a split that are like a photo; what the run keeps of them is used, or made."""
    from alexnet.analysis.features import features_of, graph_of, last_hidden_layer, path_of, refuse_unknown
    from alexnet.analysis.neighbors import ExactIndex, Index, SimilarImages
    from alexnet.cli.progress import progress_bar
    from alexnet.hardware import describe_device
    from alexnet.runs.run_dir import RunDir

    run, part = RunDir.open(model, or_file=True), store.split(split)
    if approximate:
        _refuse_no_graph(run)
    layer = layer or last_hidden_layer(classifier.model)
    refuse_unknown(layer, classifier.model)
    title = f"{layer} of {model.name}: {store.path.name} {split} on {describe_device(device)}"
    kept = path_of(run.path, store, split, layer)
    with progress_bar(title, len(part), unit="images", silent=silent) as advance:
        vectors = features_of(run, store, split, layer, device=device, progress=advance)
    index: Index = (
        _graph(graph_of(kept), layer, vectors, silent) if approximate else ExactIndex(vectors, device)
    )
    return SimilarImages(classifier, part, layer, index)


def _graph(path: Path, layer: str, vectors: Vectors, silent: bool) -> ApproximateIndex:
    from alexnet.analysis.neighbors import open_graph
    from alexnet.cli.progress import progress_bar

    with progress_bar(
        f"graph of {layer}", len(vectors), unit="images", silent=silent or path.is_file()
    ) as advance:
        return open_graph(vectors, path, advance)


def _refuse_no_graph(run: RunDir) -> None:
    from alexnet.analysis.neighbors import refuse_without_usearch
    from alexnet.errors import CommandError

    refuse_without_usearch()
    if run.is_exported:
        raise CommandError(
            f"{run.path} is one file and keeps no graph: leave --approximate out, or name its run"
        )


def refuse_no_picture(out: Path) -> None:
    """CommandError where the file's name does not say which kind of picture it is to be."""
    from alexnet.errors import CommandError

    if out.suffix not in PICTURES:
        raise CommandError(f"{out} is no picture's name: end it in {' or '.join(PICTURES)}")


def _similar(
    classifier: Predictor, similar: SimilarImages, names: list[str], top: int
) -> list[dict[str, Any]]:
    """For each photo `{image, neighbors: [{number, key, wnid, name, distance}]}`, or `{image, error}`."""
    squares, errors = _read_squares(classifier, names)
    found = iter(similar.of(squares, top))
    return [
        {"image": name, "error": errors[name]}
        if name in errors
        else {"image": name, "neighbors": [asdict(each) for each in next(found)]}
        for name in names
    ]


def _read_squares(classifier: Predictor, names: list[str]) -> tuple[list[Any], dict[str, str]]:
    """Squares of the readable photos in order, and what is wrong with the others."""
    from alexnet.cli.predict import STANDARD_INPUT
    from alexnet.data.decode import quiet
    from alexnet.errors import AlexNetError
    from alexnet.evaluation.predictor import pixels_of, to_stored_square

    squares: list[Any] = []
    errors: dict[str, str] = {}
    with quiet():
        for name in names:
            try:
                pixels = pixels_of(sys.stdin.buffer.read() if name == STANDARD_INPUT else name)
                squares.append(to_stored_square(pixels, classifier.preprocessing))
            except AlexNetError as error:
                errors[name] = str(error)
    return squares, errors


def _draw(
    classifier: Predictor, similar: SimilarImages, results: list[dict[str, Any]], about: str, out: Path
) -> None:
    """The first few readable photos with their neighbors; those of standard input are gone."""
    from alexnet.cli.predict import STANDARD_INPUT
    from alexnet.report.plots.neighbors import draw_neighbors
    from alexnet.report.plots.output import save

    shown = [each for each in results if "neighbors" in each and each["image"] != STANDARD_INPUT][
        :PHOTOS_DRAWN
    ]
    names = [each["image"] for each in shown]
    squares, _ = _read_squares(classifier, names)
    queries = [(square, Path(name).name) for square, name in zip(squares, names, strict=True)]
    found = [
        [(similar.pixels(near["number"]), near["name"], near["distance"]) for near in each["neighbors"]]
        for each in shown
    ]
    save(draw_neighbors(queries, found, about), out)


def _text(result: dict[str, Any]) -> str:
    lines = io.StringIO()
    lines.write(f"{result['image']}\n")
    for near in result.get("neighbors", []):
        lines.write(f"  {near['distance']:9.4g}  {near['key']}  {near['name']}\n")
    if "error" in result:
        lines.write(f"  unreadable: {result['error']}\n")
    return lines.getvalue()
