"""`alexnet VERB ...`: imports the file of that verb only; an error becomes one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import keyword
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import typer
import typer.core

from alexnet import __version__, stopping
from alexnet.cli.output import discard_output, prepare_streams, write_lines, write_notes
from alexnet.errors import AlexNetError, Interrupted, WorkError
from alexnet.hardware import keep_freed_memory
from alexnet.stopping import SignalReceived
from alexnet.text import nearest, suggestion

GROUPS = {
    "Start": {
        "quickstart": "Run everything once on synthetic photos, in about two minutes.",
        "fit": "Train, choose and test a classifier of your own photos.",
        "help": "Explain a setting, a command or a recipe.",
    },
    "Data": {
        "fetch": "Download a public data set or published weights, verified and resumable.",
        "synthesize": "Make synthetic photos in ILSVRC's layout or in class folders.",
        "compose": "Make scenes of several objects from a store of photos with boxes.",
        "inspect": "Check a source of photos: counts, unusual and unreadable files.",
        "prepare": "Decode and resize photos and write them to a store.",
        "convert": "Write a store as class folders, parquet or WebDataset tars.",
        "verify": "Check a store, run or exported file for damage.",
    },
    "Training": {
        "recipes": "List the recipes with their sources and expected errors.",
        "config": "Print a configuration as YAML, with what each key means.",
        "preview": "Draw training photos as a recipe augments them.",
        "lr-range": "Find a learning rate by a range test, with a plot.",
        "train": "Train a recipe on a store.",
        "ensemble": "Train several models, or all of a row of the paper's table.",
        "claims": "Test a lecture's claims about AlexNet by training models.",
    },
    "Use": {
        "predict": "Predict the classes of photos, and boxes if the model has them.",
        "similar": "Find the training images most similar to a photo.",
        "calibrate": "Make probabilities match how often predictions are right.",
        "serve": "Start a web demo and a JSON API on this computer.",
        "export": "Write a model to one file, .safetensors or .onnx, or as a web page.",
        "import": "Make a run directory from weights of torchvision or Caffe.",
    },
    "Results": {
        "evaluate": "Evaluate one run, or several as an ensemble.",
        "compare": "Print the errors of runs next to published ones.",
        "report": "Write one HTML page about runs, with figures.",
        "lecture": "Draw the figures of a lecture on AlexNet that are not about one run.",
        "submit": "Write predictions for a test set in ILSVRC's format.",
    },
}
"""The verbs by the sections of `--help`; a verb's command is `command` of `alexnet.cli.<verb>`."""
VERBS = {verb: line for verbs in GROUPS.values() for verb, line in verbs.items()}
"""Each verb and its line in `--help`."""
COMPLETION_VARIABLE = "_ALEXNET_COMPLETE"
"""Set by the completion scripts of `--install-completion`."""

# typer contains its own copy of click since 0.16: this is the base class of usage errors in either.
_UsageError: Any = typer.BadParameter.__base__


class _Outcome(NamedTuple):
    """How a command ended."""

    code: int
    message: str = ""
    """What is printed of it, in one line."""
    traceback: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: that of the process) and returns its exit code; raises nothing.

    0 done, 1 failed while working, 2 the command was wrong, 3 the data is bad, 75 stopped and resumable, 130
    stopped by Ctrl-C.
    """
    keep_freed_memory()
    if arguments is not None:
        return _print(_outcome(arguments))
    stopping.take_over()
    try:
        try:
            prepare_streams()
            outcome = _outcome(sys.argv[1:])
        finally:
            stopping.end()
    except SignalReceived as received:
        outcome = _failed(received.error)
    stop = stopping.end()
    # The exception of a stop may have been lost, or taken for a failure.
    if stop is not None and (outcome.message or not outcome.code):
        outcome = _failed(stop)
    code = _print(outcome)
    stopping.end(code)
    return code


def _outcome(arguments: Sequence[str]) -> _Outcome:
    """Runs the command line; an error becomes its outcome."""
    words, debug = _without_debug(arguments)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output is gone: stay silent, also when the interpreter flushes at exit.
        discard_output()
        return _Outcome(1)
    except (Exception, KeyboardInterrupt, SignalReceived) as error:
        outcome = _failed(error, words, debug)
        return outcome._replace(traceback=traceback.format_exc()) if debug else outcome
    # typer catches KeyboardInterrupt itself where it can, and leaves only its code.
    if code == Interrupted.exit_code and not stopping.owned():
        return _Outcome(code, "interrupted")
    return _Outcome(code)


def _failed(error: BaseException, words: Sequence[str] = (), debug: bool = False) -> _Outcome:
    """What an error means for the exit code, and the line that is printed."""
    if isinstance(error, SignalReceived):
        error = error.error
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _Outcome(Interrupted.exit_code, "interrupted")
    if isinstance(error, AlexNetError):
        return _Outcome(error.exit_code, str(error))
    if isinstance(error, _UsageError):
        usage: Any = error
        path = usage.ctx.command_path if usage.ctx else "alexnet"
        if hasattr(usage, "possibilities") and usage.ctx:
            names = (name for param in usage.ctx.command.params for name in param.opts)
            usage.possibilities = list(filter(None, [nearest(usage.option_name, names)]))
        message = " ".join(usage.format_message().split()).removeprefix("Value error, ").rstrip(".")
        if setting := _setting_with_dashes(usage, words):
            message = f"{message}: settings have no dashes, type {setting}"
        return _Outcome(2, f"{message}; see `{path} --help`")
    if isinstance(error, OSError):
        return _refused_by_system(error)
    # Libraries in C++ and the loader of modules have this as a text alone.
    for number in _NO_HANDLES:
        if os.strerror(number) in str(error):
            return _refused_by_system(OSError(number, os.strerror(number)))
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        return _Outcome(1, _NO_MEMORY)
    hint = "" if debug else "; run with --debug for the traceback"
    return _Outcome(1, f"unexpected {type(error).__name__}: {error}{hint}")


def _setting_with_dashes(error: Any, words: Sequence[str]) -> str:
    """`epochs=3` if the unknown option of the error is `--epochs 3` and the command has such a setting.

    Empty if an option of the command is nearer, which the error then names.
    """
    option = getattr(error, "option_name", None)
    if (
        not option
        or getattr(error, "possibilities", None)
        or not error.ctx
        or all(each.name != "settings" for each in error.ctx.command.params)
    ):
        return ""
    from alexnet.cli.options import setting_of_option  # a right command line does not need it

    place = next((at for at, word in enumerate(words) if word.partition("=")[0] == option), len(words))
    following = "".join(words[place + 1 : place + 2])
    value = "".join(words[place : place + 1]).partition("=")[2] or following
    return setting_of_option(option, "" if value.startswith("--") else value)


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without `--debug`, which is accepted anywhere before a `--`, and whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != "--debug"]
    return [*rest, *words[end:]], len(rest) < end


def _run(words: list[str]) -> int:
    typed = _words_to_complete() if COMPLETION_VARIABLE in os.environ else words
    verb = next((word for word in typed if not word.startswith("-")), "")
    try:
        with stopping.resumable(words):
            program: Any = typer.main.get_command(_application(verb))
            result = program.main(
                args=words or ["--help"],
                prog_name="alexnet",
                complete_var=COMPLETION_VARIABLE,
                standalone_mode=False,
            )
    except SystemExit as done:  # typer has printed the completions
        result = done.code
    return result if isinstance(result, int) else 0


def _words_to_complete() -> list[str]:
    """The command line that a shell completes: zsh, fish and PowerShell pass the first, bash the second."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


class _PlainHelp(typer.core.TyperCommand):
    """Names what to type, such as `RUN` or `N`, without types and ranges.

    The metavar of an argument that takes several words ends in `...`.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        hints = get_type_hints(self.callback)
        for param in self.params:
            name = param.name or ""
            if param.metavar is None and param.param_type_name == "argument":
                param.metavar = name.upper()
            elif param.metavar is None:
                param.metavar = _metavar(name, hints[name])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The pieces after the name of the command; optional arguments are in brackets."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        names = (str(each.metavar) if each.required else f"[{each.metavar}]" for each in arguments)
        return [self.options_metavar or "", *names]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for the arguments and one for each group of options."""
        titles = ("Arguments", "Options", *OPTION_GROUPS)
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in titles}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            is_argument = param.param_type_name == "argument"
            name = str(param.metavar) if is_argument else record[0]
            title = "Arguments" if is_argument else _group_of(str(param.name))
            sections[title].append((name, _RANGE.sub("", record[1]).rstrip()))
        for title, records in ((title, records) for title, records in sections.items() if records):
            with formatter.section(title):
                formatter.write_dl(records)


OPTION_GROUPS = {
    "Training": (
        *("init_from", "init_layers", "resume", "minutes", "weights_only", "seeds", "only", "nets"),
        "updates",
    ),
    "Views and averages": ("views", "scales", "mean", "weights", "search_weights"),
    "Source": (
        *("class_level", "exclude", "labels", "image_column", "label_column", "group_column"),
        *("label_numbers", "labels_from_names"),
        *("skip_unlabeled", "splits", "configuration"),
    ),
    "Computer": ("device", "batch", "workers", "approximate"),
    "Output": (
        *("out", "as_json", "csv", "parquet", "per_class", "confusion", "figures", "detailed", "out_dir"),
        *("link", "terms", "print_commands"),
    ),
    "Help": ("help",),
}
"""The options of all commands by their sections in `--help`, by the names of their parameters. All others are
in the first section, Options."""


def _group_of(name: str) -> str:
    return next((title for title, names in OPTION_GROUPS.items() if name in names), "Options")


_RANGE = re.compile(r"; (?:[\d.]+<=)?x[<>]=[\d.]+|\[(?:[\d.]+<=)?x[<>]=[\d.]+(?:\]|; )")
"""What typer adds to the help of a number with limits; the error for a number outside them names them."""


def _metavar(name: str, hint: Any) -> str | None:
    """How `--help` shows the value of an option; None for a flag."""
    kind = next(each for each in get_args(hint) or (hint,) if each is not NoneType)
    if kind is bool:
        return None
    if kind in (int, float):
        return "N"
    if issubclass(kind, Enum):
        return "|".join(str(each.value) for each in kind)
    return name.upper().replace("_", "-")


class _GroupedHelp(typer.core.TyperGroup):
    """Lists the verbs in `GROUPS`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the verb; a usage error names the nearest verb."""
        if args[0] not in VERBS:
            hint = suggestion(args[0], VERBS, otherwise="`alexnet --help` lists them")
            from alexnet import old_names

            if args[0] in old_names.VERBS:
                hint = f"it is `alexnet {old_names.VERBS[args[0]]}` now"
            ctx.fail(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each group."""
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


def _application(chosen: str) -> typer.Typer:
    """All verbs with their help line, and the command of the chosen one: no other file is imported."""
    application = typer.Typer(
        cls=_GroupedHelp,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="AlexNet (2012): prepare photos, train, evaluate, predict, compare.",
    )
    application.callback()(_global_options)
    for verb, line in VERBS.items():
        # A file's name has no dash, and is no Python keyword.
        file = verb.replace("-", "_") + "_" * keyword.iskeyword(verb)
        command = importlib.import_module(f"alexnet.cli.{file}").command if verb == chosen else _not_chosen
        application.command(verb, short_help=line, cls=_PlainHelp)(command)
    return application


def _not_chosen() -> None:
    """Stands for a verb that this command line does not run."""


def _print_version(requested: bool) -> None:
    if requested:
        write_lines(f"alexnet {__version__}")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; accepted anywhere on the line.")
    ] = False,
) -> None:
    """Declared for `--help`; `main` removes `--debug` from the words before they are parsed."""


_NO_MEMORY = "not enough memory: use smaller batches or images, fewer --workers, or a larger machine"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NO_HANDLES = (errno.EMFILE, errno.ENFILE)


def _refused_by_system(error: OSError) -> _Outcome:
    """A line on a file that the system refused; the exit code is 3, or 1 if it is not about the data."""
    reason = error.strerror or str(error)
    if error.errno in _NO_HANDLES:
        return _Outcome(1, f"{reason}: allow more of them with `ulimit -n 4096`")
    name = None if error.filename is None else os.fsdecode(error.filename)
    if error.errno in _NO_SPACE:
        return _Outcome(1, f"cannot write {name or 'the output'} ({reason}): free some space")
    return (
        _Outcome(3, f"cannot use {name} ({reason})")
        if name
        else _Outcome(1, f"cannot read or write ({reason})")
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether torch had not enough memory: on a GPU it has an exception for that, on a CPU only a text."""
    torch = sys.modules.get("torch")
    return torch is not None and (
        isinstance(error, torch.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )


def _print(outcome: _Outcome) -> int:
    """Prints the message, if any, and returns the exit code."""
    if not outcome.message:
        return outcome.code
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
    with suppress(OSError, WorkError):  # of a full disk: the code is left
        sys.stderr.write(outcome.traceback)
        write_notes(f"alexnet: {outcome.message}")
    return outcome.code
