"""`alexnet VERB ...`: imports only that verb's file; errors become one line and an exit code."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from alexnet import __version__
from alexnet.errors import AlexNetError
from alexnet.hardware import keep_freed_memory

VERBS = {
    "quickstart": "The whole chain on made-up photos, in about two minutes.",
    "recipes": "List the recipes, or print one of them as JSON.",
    "fetch": "Get a public data set or published weights, checked and resumable.",
    "synthesize": "Make up photos in ILSVRC's layout or in class folders.",
    "inspect": "Count a source's classes and images; list every odd or unreadable file.",
    "prepare": "Turn a source of photos into a store.",
    "compose": "Scenes of several objects, from a store of photos with boxes.",
    "train": "Train a recipe on a store.",
    "ensemble": "Train several nets, or all of a row of the paper's table.",
    "evaluate": "Test one run, or several as an ensemble.",
    "submit": "Write the answers to a test set in ILSVRC's form.",
    "compare": "The table of errors, beside the published ones.",
    "report": "One page about runs, with its pictures inside.",
    "claims": "List the lecture's claims, or test them: held, failed or untested.",
    "predict": "What is in photos, and where if the model predicts boxes.",
    "similar": "Name the training images that are most like a photo.",
    "serve": "A page on this computer that names photos.",
    "export": "One file of a net that says all of itself: .safetensors or .onnx.",
    "import": "A run folder of weights that torchvision or Caffe trained.",
}
"""Each verb and its line in `--help`; the command is the function `command` of `alexnet.cli.<verb>`."""

INTERRUPTED = 130
"""Exit code after Ctrl-C where nothing asked to go on later (that would be `Stopped`, 75)."""

# typer has carried its own copy of click since 0.16: this is the base of all usage errors in either.
_UsageError: Any = typer.BadParameter.__base__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's own) and returns its exit code; raises nothing.

    0 done, 1 failed while working, 2 the command was wrong, 3 the data is bad, 75 stopped and resumable.
    """
    keep_freed_memory()
    words, debug = _without_debug(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone: say nothing, also when the interpreter flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED, debug)
    except AlexNetError as error:
        return _fail(str(error), error.exit_code, debug)
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else "alexnet"
        said = " ".join(error.format_message().split()).removeprefix("Value error, ").rstrip(".")
        return _fail(f"{said}; see `{path} --help`", 2, debug)
    except Exception as error:
        again = "" if debug else "; run with --debug for the traceback"
        return _fail(f"unexpected {type(error).__name__}: {error}{again}", 1, debug)
    # typer catches Ctrl-C itself where it can, and only leaves its code.
    return _fail("interrupted", code, debug=False) if code == INTERRUPTED else code


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words less `--debug`, which may stand anywhere before a `--`, and whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != "--debug"]
    return [*rest, *words[end:]], len(rest) < end


def _run(words: list[str]) -> int:
    verb = next((word for word in words if not word.startswith("-")), "")
    program: Any = typer.main.get_command(_application(verb))
    result = program.main(args=words or ["--help"], prog_name="alexnet", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _application(chosen: str) -> typer.Typer:
    """All verbs with their help line, the chosen one with its real command: no other file is imported."""
    application = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="AlexNet (2012), completely and for real: prepare, train, test, compare.",
    )
    application.callback()(_global_options)
    for verb, line in VERBS.items():
        # A verb that is a word of Python too has `_` behind its file's name.
        file = verb + "_" * keyword.iskeyword(verb)
        command = importlib.import_module(f"alexnet.cli.{file}").command if verb == chosen else _not_chosen
        application.command(verb, short_help=line)(command)
    return application


def _not_chosen() -> None:
    """Stands for a verb that this command line does not run."""


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"alexnet {__version__}\n")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Parsed here so that `--help` shows them; `main` has taken `--debug` out of the words before."""


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"alexnet: {message}\n")
    return code
