"""Every command line, option, setting and recipe that a document names is one that the program has.

Command lines are parsed by the program itself and not run: the function of each command is replaced by one
that records what it was called with.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
import keyword
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import alexnet
from alexnet import recipes
from alexnet.cli.main import VERBS, main
from alexnet.cli.options import VIEWS_METAVAR, names_to_fetch
from alexnet.config import check_settings, split_setting
from alexnet.config_keys import find_keys
from alexnet.errors import AlexNetError
from alexnet.experiments import claims
from alexnet.experiments.arms import RECIPE as RECIPE_OF_CLAIMS
from alexnet.experiments.ensembles import ensemble_specs

ROOT = Path(__file__).parents[2]
GENERATED = {f"docs/reference/{name}.md" for name in ("commands", "configuration", "files")}
"""Made from the program itself by `tools.documents`."""
DOCUMENTS = sorted(
    {
        *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")),
    }
    - GENERATED
)
PLACEHOLDERS = {"RECIPE": "alexnet-2012", "WORD": "lr", "KEY": "lr", "ID": "relu", "NAME": "imagenette"}
PLACEHOLDERS |= {"COMMAND": "train", "N": "1", "SIDE": "64", "FORM": "parquet", "torchvision|caffe": "caffe"}
LEFT_OUT = {"...", "KEY=VALUE", "SETTINGS"}
"""Words for something that the reader fills in, which the program would refuse."""
OTHERS = {"-m", "-boxes", "-objects", "crops=1", "key=value", "label=cat/", "num_workers=2", "top=5"}
OTHERS |= {"views=center"}
"""What has the form of an option or a setting and is none: pytest's, endings of files, folders, arguments."""
CONNECTORS = {"|", ">", "<", "&", "&&", "||", ";"}


class Parsed(NamedTuple):
    """What the program made of a command line."""

    error: str
    values: dict[str, Any]
    """The arguments of the command's function."""


def text_of(document: str) -> str:
    """The Markdown of a document; of a notebook, that of its text cells. Another test runs its code."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if not document.endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "markdown")


def code_blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in this language; those for a shell have none."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text_of(document), re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def spans(text: str) -> list[str]:
    """What a text has in code style outside of code blocks."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def command_lines(block: str) -> Iterator[list[str]]:
    """The words after `alexnet` of each command line of a block, also after `torchrun ... --`."""
    for name, _, value in re.findall(r"""^(\w+)=(["'])(.*)\2$""", block, re.MULTILINE):
        block = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), block)
    for line in block.replace("\\\n", " ").splitlines():
        if typed := re.match(r"(?:\w+ .*-- )?alexnet (.*)", line):
            yield words_of(typed[1])


def words_of(line: str) -> list[str]:
    """The words of one command line, with names in place of placeholders, and without what is after it."""
    words = shlex.split(re.sub(r"(?<!\S)\[(.*?)\](?!\S)", r"\1", line), comments=True)
    end = next((at for at, word in enumerate(words) if word in CONNECTORS), len(words))
    typed = [word.removesuffix("...") or word for word in words[:end]]
    return [PLACEHOLDERS.get(word, word) for word in typed if word not in LEFT_OUT]


def parsed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Parsed:
    """What the program makes of a command line, whose command is not run."""
    verb = next((word for word in words if not word.startswith("-")), "")
    calls: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        if verb in VERBS:
            module = importlib.import_module(
                f"alexnet.cli.{verb.replace('-', '_')}{'_' * keyword.iskeyword(verb)}"
            )
            patch.setattr(module, "command", recorder(module.command, calls))
        code = main(words)
    error = capsys.readouterr().err
    return Parsed(error if code else "", calls[0] if calls else {})


def recorder(command: Callable[..., None], calls: list[dict[str, Any]]) -> Callable[..., None]:
    """A function with the parameters of `command` that records its arguments."""

    @functools.wraps(command)
    def record(**values: Any) -> None:
        calls.append(values)

    return record


def refuse_unknown_names(verb: str, values: dict[str, Any]) -> None:
    """AlexNetError or AssertionError if a recipe, setting, view or other name is unknown."""
    if not values:  # --help
        return
    settings = list(values.get("settings") or ())
    name = values.get("recipe") or values.get("name") or ""
    if verb == "claims":
        words = values["words"] or []
        claims.find([word for word in words if "=" not in word])
        check_settings(recipes.get(RECIPE_OF_CLAIMS), [word for word in words if "=" in word])
    elif verb == "ensemble":
        members = ensemble_specs(name, values["nets"])
        for setting in settings:
            recipe, _, own = setting.rpartition(":")
            chosen = [each for each in members if recipe in ("", each.recipe)]
            assert chosen, setting
            for member in chosen:
                check_settings(recipes.get(member.recipe), [own])
    elif verb in ("train", "preview", "lr-range", "config") and name in recipes.names():
        check_settings(recipes.get(name), settings)
    elif verb in ("train", "preview", "lr-range") and values["config"] is not None:
        for setting in filter(None, (name, *settings)):
            assert find_keys(split_setting(setting)[0]), setting
    elif verb in ("train", "preview", "lr-range"):
        recipes.get(name)
    elif verb == "help":
        assert main(["help", *filter(None, values.values())]) == 0
    elif verb == "fetch":
        assert name in names_to_fetch(""), name
    assert values.get("views", "") in ("", *VIEWS_METAVAR.split("|")), values["views"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_command_lines_are_understood(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    for block in code_blocks(document, ""):
        for words in command_lines(block):
            error, values = parsed(words, capsys)
            if words[0] == "--show-completion":  # not every shell in which tests run has one
                continue
            assert not error, (document, shlex.join(words), error)
            refuse_unknown_names(words[0], values)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_calls_fit(document: str) -> None:
    """Python blocks that no other test runs call functions that exist, with arguments that they take."""
    for block in code_blocks(document, "python"):
        for call in (node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            if re.fullmatch(r"alexnet\.\w+", name):
                function = getattr(alexnet, name.removeprefix("alexnet."))
                keywords = {each.arg: each.value for each in call.keywords if each.arg}
                words = [arg.value if isinstance(arg, ast.Constant) else "" for arg in call.args]
                inspect.signature(function).bind(*words, **keywords)
                if function is alexnet.train:
                    check_settings(recipes.get(words[0]), filter(None, words[3:]))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_sentences_mention_exists(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    for span in dict.fromkeys(spans(text_of(document))):
        problem = problem_of_span(span, capsys)
        assert not problem, (document, span, problem)


@pytest.mark.parametrize(
    "span",
    [
        "alexnet trian",
        "alexnet train --stor STORE",
        "alexnet train alexnet-2021 --store STORE --run RUN",
        "alexnet train alexnet-2012 --store STORE --run RUN epoch=3",
        "alexnet evaluate RUN --views tne",
        "alexnet help no-such-word",
        "alexnet claims ReLU",
        "predict --min-scor auto",
        "--resum",
        "training.epochs=3",
    ],
)
def test_a_wrong_name_is_found(span: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problem_of_span(span, capsys)


def problem_of_span(span: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Why a span in code style is wrong; empty if it is right, or is not about the program."""
    if span.split()[0] in OTHERS:
        return ""
    if re.fullmatch(r"[a-z][a-z_]*(\.[a-z_0-9]+)*=[^\s(]+", span) and not span.endswith(("=True", "=False")):
        return "" if find_keys(split_setting(span)[0]) else "no such setting"
    if span.startswith("-"):
        verbs = [verb for verb in VERBS if span.split()[0] in options_of(verb)]
        ways = (problem_of_words([verb, *words_of(span)], capsys) for verb in verbs)
        return "" if "" in ways else "no command has it"
    first, _, rest = span.removeprefix("alexnet ").partition(" ")
    if span.startswith("alexnet ") or (first in VERBS and rest.startswith("--")):
        return problem_of_words(words_of(span.removeprefix("alexnet ")), capsys)
    return ""


@functools.cache
def options_of(verb: str) -> frozenset[str]:
    """The options that `--help` of a command lists, and `--debug`, which all commands have."""
    with redirect_stdout(StringIO()) as text:
        assert main([verb, "--help"]) == 0
    return frozenset(["--debug", *re.findall(r"(?<!\S)--?[a-z][a-z-]*", text.getvalue())])


def problem_of_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Why the program refuses a command line, but for what it lacks: a sentence names a part of a command."""
    error, values = parsed(words, capsys)
    if error:
        return "" if re.search(r"Missing (option|argument)|requires an argument", error) else error
    try:
        refuse_unknown_names(words[0], values)
    except (AlexNetError, AssertionError) as problem:
        return str(problem) or "unknown"
    return ""
