"""What commands print: lines of text, in which names of files and classes cannot act on a terminal."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from alexnet.errors import WorkError
from alexnet.text import printable

if TYPE_CHECKING:
    from alexnet.report.tables import Table


def next_command(*words: str | Path) -> str:
    """What to type next, `next: alexnet ...`, quoted for a shell."""
    return f"next: {shlex.join(['alexnet', *map(str, words)])}"


def write_lines(*lines: str) -> None:
    """Writes lines to standard output at once, also into a pipe; what is not printable is escaped.

    WorkError if the disk is full, as for the others.
    """
    _write(sys.stdout, lines)


def write_notes(*lines: str) -> None:
    """The same on standard error, for what is not the result of a command."""
    _write(sys.stderr, lines)


def write_tables(tables: Iterable[Table]) -> None:
    """Writes tables, with an empty line between them; on a terminal as wide as it is."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    write_lines(*"\n".join(table.text(width) for table in tables).splitlines())


def write_document(document: object) -> None:
    """Writes indented JSON to standard output."""
    _write(sys.stdout, json.dumps(document, indent=2).splitlines())


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    try:
        stream.write("".join(f"{printable(line)}\n" for line in lines))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WorkError(f"cannot write the output ({error.strerror}): free some space") from error


def prepare_streams() -> None:
    """Makes the standard streams of this process accept any text.

    What their encoding lacks is escaped. A closed stream is replaced by the null device: without it, the next
    file that is opened would have its number, and text would be written into that file.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            null = os.open(os.devnull, os.O_RDONLY if name == "stdin" else os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace"))
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Sends what is still to be written to standard output to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
