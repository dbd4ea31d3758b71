"""`--views` and `--scales` on the command line: which views of photos a model is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.runs.results import ViewSet

VIEWS_METAVAR = "center|ten|multi-crop|dense|dense+multi-crop"
VIEWS_HELP = (
    "The last three take the whole photo, of a store of squares the square. "
    "[default: ten, or center if never mirrored; dense for boxes]"
)
SCALES_HELP = "Shorter sides of the photo in pixels, averaged. [default: the model's own]"


def view_set(views: str, scales: str) -> ViewSet:
    """The views of that name, which may be empty, at the scales in `256,384,512`, each once, smallest first.

    CommandError where the scales are no such list.
    """
    from alexnet.errors import CommandError
    from alexnet.runs.results import ViewSet

    try:
        sizes = tuple(sorted({int(number) for number in scales.split(",")})) if scales else ()
    except ValueError as error:
        raise CommandError(f"--scales {scales} is not a list of pixels, such as 256,384,512") from error
    return ViewSet(views, sizes)
