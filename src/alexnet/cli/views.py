"""`--views` and `--scales`: how photos are shown to a net, as a person types it."""

from __future__ import annotations

VIEWS_METAVAR = "center|ten|multi-crop|dense|dense+multi-crop"
VIEWS_HELP = (
    "The last three see the whole photo, of a store of squares the square. "
    "[default: ten, or center if never mirrored]"
)
SCALES_HELP = "Shorter sides of the photo in pixels, averaged. [default: the net's own]"


def parse_scales(text: str) -> tuple[int, ...]:
    """The sides in `256,384,512`, each once, smallest first; none in empty text. CommandError otherwise."""
    from alexnet.errors import CommandError

    try:
        return tuple(sorted({int(number) for number in text.split(",")})) if text else ()
    except ValueError as error:
        raise CommandError(f"--scales {text} is not a list of pixels, such as 256,384,512") from error
