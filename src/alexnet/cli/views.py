"""`--views` and `--scales` on the command line: which views of each photo a model receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.runs.results import ViewSet

VIEWS_METAVAR = "center|ten|multi-crop|dense|dense+multi-crop"
VIEWS_HELP = (
    "Which views of each photo are averaged. The last three use the whole photo (in a store of squares, the "
    "square). [default: ten; center for models trained without mirroring; dense for boxes]"
)
SCALES_HELP = (
    "Sizes of the shorter side in pixels; predictions are averaged over them. [default: those of the recipe]"
)


def view_set(views: str, scales: str) -> ViewSet:
    """The views of that name, which may be empty, at scales such as `256,384,512`, each once, smallest first.

    CommandError if `scales` is not a list of numbers.
    """
    from alexnet.errors import CommandError
    from alexnet.runs.results import ViewSet

    try:
        sizes = tuple(sorted({int(number) for number in scales.split(",")})) if scales else ()
    except ValueError as error:
        raise CommandError(f"--scales {scales} is not a list of pixels, such as 256,384,512") from error
    return ViewSet(views, sizes)
