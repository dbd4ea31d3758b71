from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest
import typer

from alexnet import __version__, stopping
from alexnet.cli import main as program
from alexnet.errors import CommandError, DataError, Stopped, WorkError


def alexnet(*words: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alexnet", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Makes `alexnet recipes` run a function of the test."""

    def replace(function) -> None:
        monkeypatch.setitem(sys.modules, "alexnet.cli.recipes", SimpleNamespace(command=function))

    return replace


def test_help_lists_every_verb_and_exits_0() -> None:
    for words in ((), ("--help",), ("-h",)):
        done = alexnet(*words)
        assert done.returncode == 0
        assert all(f"  {verb} " in done.stdout for verb in program.VERBS)
        assert not done.stderr


def test_version() -> None:
    for word in ("--version", "-V"):
        assert alexnet(word).stdout == f"alexnet {__version__}\n"


def test_help_and_listing_import_nothing_heavy() -> None:
    code = (
        "import sys; from alexnet.cli.main import main; main(['--help']); main(['recipes']);"
        "main(['help', 'lr']); main(['config', 'alexnet-2012']);"
        "print(sorted({'torch', 'numpy', 'pyarrow', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "code"), [(CommandError, 2), (DataError, 3), (WorkError, 1), (Stopped, 75)]
)
def test_package_errors_are_one_line_with_their_exit_code(verb, capsys, error, code) -> None:
    def command() -> None:
        raise error("what was found; what to type next")

    verb(command)
    assert program.main(["recipes"]) == code
    assert capsys.readouterr().err == "alexnet: what was found; what to type next\n"


def test_an_unexpected_error_is_one_line_and_debug_shows_where(verb, capsys) -> None:
    def command() -> None:
        raise KeyError("lost")

    verb(command)
    assert program.main(["recipes"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("alexnet: unexpected KeyError: 'lost'")
    assert "--debug" in shown
    assert shown.count("\n") == 1
    for words in (["--debug", "recipes"], ["recipes", "--debug"]):
        assert program.main(words) == 1
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_where_nothing_can_be_lost_is_75_and_names_what_resumes(
    verb, capsys, monkeypatch, name
) -> None:
    number = getattr(signal, name)

    def command() -> None:
        try:
            os.kill(os.getpid(), number)
        except Exception:  # libraries catch errors of their imports
            pytest.fail("the signal was caught")

    monkeypatch.setitem(stopping.RESUMED_BY, "recipes", "type it with --resume")
    before = signal.getsignal(number)
    verb(command)
    assert program.main(["recipes"]) == 75
    assert capsys.readouterr().err == f"alexnet: stopped by {name}; nothing was lost: type it with --resume\n"
    assert signal.getsignal(number) == before


def test_only_commands_can_be_resumed() -> None:
    assert stopping.RESUMED_BY.keys() <= program.VERBS.keys()


@pytest.mark.parametrize("name", ["quickstart", "similar", "calibrate", "submit", "report"])
def test_sigterm_ends_a_resumable_command_with_75(name, monkeypatch, capsys) -> None:
    def command() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setitem(sys.modules, f"alexnet.cli.{name}", SimpleNamespace(command=command))
    assert program.main([name]) == 75
    assert capsys.readouterr().err.endswith("nothing was lost: run the same command again\n")


def test_ctrl_c_is_130(verb, capsys) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    verb(command)
    assert program.main(["recipes"]) == 130
    assert capsys.readouterr().err == "alexnet: interrupted\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["trian"], "trian"),
        (["--nonsense"], "--nonsense"),
        (["recipes", "--nonsense"], "--nonsense"),
        (["recipes", "1"], "count"),
        (["recipes"], "count"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(verb, capsys, words, names) -> None:
    def command(count: Annotated[list[int], typer.Argument()], size: Annotated[int, typer.Option()]) -> None:
        pass

    verb(command)
    assert program.main(words) == 2
    shown = capsys.readouterr().err
    assert names.lower() in shown.lower() or "size" in shown
    assert "--help`" in shown
    assert shown.count("\n") == 1


class Form(StrEnum):
    round = "round"
    square = "square"


def test_a_missing_choice_is_one_line_too(verb, capsys) -> None:
    def command(form: Annotated[Form, typer.Option("--as")]) -> None:
        pass

    verb(command)
    assert program.main(["recipes"]) == 2
    shown = capsys.readouterr().err
    assert "Choose from: round, square; see" in shown
    assert shown.count("\n") == 1


def test_after_a_double_dash_debug_is_an_argument(verb, capsys) -> None:
    seen: list[str] = []

    def command(words: Annotated[list[str], typer.Argument()]) -> None:
        seen.extend(words)

    verb(command)
    assert program.main(["recipes", "--", "--debug"]) == 0
    assert seen == ["--debug"]


def test_a_closed_pipe_is_silent() -> None:
    command = f"{sys.executable} -m alexnet recipes alexnet-2012 | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert not done.stderr


def test_help_groups_the_verbs() -> None:
    shown = alexnet("--help").stdout
    sections = [line.removesuffix(":") for line in shown.splitlines() if line.endswith(":")]
    assert sections == ["Options", *program.GROUPS]
    training = shown.partition("\nTraining:")[2].partition("\nUse:")[0]
    assert "  train " in training and "  evaluate " not in training


def test_help_of_a_verb_names_what_to_type_without_types_and_ranges(verb, capsys) -> None:
    def command(
        run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="The run.")],
        store: Annotated[Path, typer.Option(help="The store.")],
        settings: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...")] = None,
        top: Annotated[
            int | None, typer.Option(min=1, help="How many. [default: 5; all for a detector]")
        ] = None,
        port: Annotated[int, typer.Option(min=0, max=65535, help="The port.")] = 8000,
        seed: Annotated[int, typer.Option(min=0)] = 0,
        form: Annotated[Form, typer.Option(help="The form.")] = Form.round,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
        device: Annotated[str, typer.Option(metavar="auto|cpu", show_default=False)] = "auto",
        whole: Annotated[bool, typer.Option("--whole", help="All of it.")] = False,
    ) -> None:
        pass

    verb(command)
    assert program.main(["recipes", "--help"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]
    assert shown == [
        "Usage: alexnet recipes [OPTIONS] RUN|FILE [KEY=VALUE...]",
        "Arguments:",
        "RUN|FILE The run. [required]",
        "KEY=VALUE...",
        "Options:",
        "--store STORE The store. [required]",
        "--top N How many. [default: 5; all for a detector]",
        "--port N The port. [default: 8000]",
        "--seed N [default: 0]",
        "--form round|square The form. [default: round]",
        "--whole All of it.",
        "Computer:",
        "--device auto|cpu",
        "Output:",
        "--json Print JSON.",
        "Help:",
        "-h, --help Show this message and exit.",
    ]


def test_no_help_shows_types_or_ranges() -> None:
    for verb in program.VERBS:
        shown = alexnet(verb, "--help").stdout
        assert not re.search(r"<[a-z]+[\[ >|]|x[<>]=|\.\.\.[\]}]\.\.\.|\{", shown), shown


def completed(line: str, **environment: str) -> list[str]:
    """The completions that bash offers for the last word of a command line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = alexnet(env={**os.environ, **words, "_ALEXNET_COMPLETE": "complete_bash", **environment})
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("alexnet eva", ["evaluate"]),
        ("alexnet prepare --res", ["--resize"]),
        ("alexnet synthesize photos --layout f", ["folder"]),
        ("alexnet train alexnet-mod", ["alexnet-modern"]),
        ("alexnet recipes 7-", ["7-cnns-star"]),
        ("alexnet config alexnet-mod", ["alexnet-modern"]),
        ("alexnet help warm", ["warmup_epochs"]),
        ("alexnet train --conf", ["--config"]),
        ("alexnet fetch image", ["imagenette"]),
        ("alexnet train alexnet-2012 schedule.ep", ["schedule.epochs="]),
        ("alexnet train alexnet-2012 epo", ["epochs="]),
        ("alexnet train no-such-recipe schedule.ep", []),
        ("alexnet evaluate run --store store --views d", ["dense", "dense+multi-crop"]),
        ("alexnet predict photo.jpg --views t", ["ten"]),
        ("alexnet submit run --views ce", ["center"]),
    ],
)
def test_the_shell_completes_verbs_options_and_names(line: str, wanted: list[str]) -> None:
    assert completed(line) == wanted


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_too(shell: str) -> None:
    words = {"_TYPER_COMPLETE_ARGS": "alexnet train alexnet-mod", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = alexnet(env={**os.environ, **words, "_ALEXNET_COMPLETE": f"complete_{shell}"})
    assert "alexnet-modern" in done.stdout and not done.stderr


def test_the_options_in_groups_are_those_of_commands() -> None:
    commands = [typer.main.get_command(program._application(verb)).commands[verb] for verb in program.VERBS]
    there = {str(param.name) for each in commands for param in each.params} | {"help"}
    assert {name for names in program.OPTION_GROUPS.values() for name in names} <= there


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(tmp_path, shell: str) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = alexnet("--show-completion", shell, env=environment)
    assert shown.returncode == 0 and f"complete_{shell}" in shown.stdout


def test_completion_can_be_shown_and_installed(tmp_path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = alexnet("--show-completion", "bash", env=environment)
    assert shown.returncode == 0
    assert "_ALEXNET_COMPLETE=complete_bash" in shown.stdout
    assert alexnet("--install-completion", "bash", env=environment).returncode == 0
    assert "_ALEXNET_COMPLETE" in (tmp_path / ".bash_completions" / "alexnet.sh").read_text()


@pytest.mark.parametrize(
    ("typed", "setting"),
    [
        (["--epochs", "3"], "epochs=3"),
        (["--lr=0.1"], "lr=0.1"),
        (["--batch-size", "32"], "batch_size=32"),
        (["--optimizer.lr", "0.1"], "optimizer.lr=0.1"),
        (["--learning-rate", "0.1"], "optimizer.lr=0.1"),
        (["--epochs"], "epochs=..."),
        (["--epoch", "3"], "epochs=3"),
        (["--seed", "3"], "seed=3"),
        (["--name", "vgg"], "model.name=vgg or optimizer.name=vgg or schedule.name=vgg"),
        (["--codes", "pq"], "codes=pq"),
    ],
)
def test_a_setting_typed_as_an_option_is_explained(capsys, typed: list[str], setting: str) -> None:
    assert program.main(["train", "alexnet-2012", "--store", "s", "--run", "r", *typed]) == 2
    shown = capsys.readouterr().err
    assert f"settings have no dashes, type {setting}; see `alexnet train --help`" in shown
    assert shown.count("\n") == 1


def test_other_unknown_options_are_not_explained_as_settings(capsys) -> None:
    assert program.main(["train", "alexnet-2012", "--nonsense", "3"]) == 2
    assert "dashes" not in capsys.readouterr().err
    assert program.main(["evaluate", "run", "--epochs", "3"]) == 2
    assert "dashes" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "no command 'trian'; the nearest is 'train'"),
        (["resnet50"], "no command 'resnet50'; `alexnet --help` lists them"),
        (["classify", "photo.jpg"], "no command 'classify'; it is `alexnet predict` now"),
        (["train", "alexnet-2012", "--stroe", "s"], "No such option: --stroe (Possible options: --store)"),
        (["evaluate", "run", "--seed", "3"], "No such option: --seed;"),
        (["recipes", "resnet50"], "unknown recipe 'resnet50'; `alexnet recipes` lists them"),
    ],
)
def test_near_names_are_suggested_and_far_ones_are_not(capsys, words: list[str], message: str) -> None:
    assert program.main(words) == 2
    assert message in capsys.readouterr().err
