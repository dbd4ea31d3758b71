"""The commands and code that a newcomer copies from README and docs work."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.data.synthetic import synthesize
from alexnet.fitting import candidates

ROOT = Path(__file__).parents[2]
QUICK = {"epochs=30": "epochs=1"}
"""Settings that are made smaller so that the commands take seconds."""


def code_blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def own_photos_lines() -> list[list[str]]:
    """The README's commands for own photos: `fit`, `predict`, `serve`; `prepare`, `train`."""
    blocks = [block for block in code_blocks("README.md", "") if "my-photos" in block]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    verbs = ("fit", "predict", "serve", "prepare", "train")
    assert [words[:2] for words in lines] == [["alexnet", verb] for verb in verbs]
    return [[QUICK.get(word, word) for word in words[1:]] for words in lines]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the README's commands for own photos have been run."""
    folder = tmp_path_factory.mktemp("newcomer")
    synthesize(folder / "made-up", classes=3, train_per_class=16, val_per_class=2, layout="folder")
    (folder / "made-up" / "train").rename(folder / "my-photos")
    photo = next((folder / "my-photos").rglob("*.jpg"))
    for name in ("new-photo.jpg", "cat.jpg"):
        Image.open(photo).save(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(candidates, "MAX_EPOCHS", 2)
        patch.setattr(candidates, "FISHER_SHARE", 0.0)  # no sift-fv, which takes longer
        for words in own_photos_lines():
            if words[0] != "serve":
                assert main(words) == 0, words
        yield folder


def test_own_photos_in_two_lines(newcomer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (newcomer / "runs" / "mine" / "report.html").is_file()
    assert (newcomer / "runs" / "small" / "checkpoints" / "last").exists()
    assert main(own_photos_lines()[1]) == 0
    named = capsys.readouterr().out
    assert any(folder.name in named for folder in (newcomer / "my-photos").iterdir())


@pytest.mark.parametrize("document", ["README.md", "docs/data.md", "docs/own-photos.md"])
def test_python_lines_run(document: str, newcomer: Path) -> None:
    blocks = code_blocks(document, "python")
    assert blocks
    pixels = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    given = {"images": pixels, "labels": 4 * ["cat", "dog"], "other_images": pixels[:2]}
    for block in blocks:
        exec(compile(block, document, "exec"), dict(given))


def test_the_page_about_python_runs_from_top_to_bottom(
    newcomer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-photos").symlink_to(newcomer / "my-photos")
    (tmp_path / "cat.jpg").symlink_to(newcomer / "cat.jpg")
    given: dict[str, Any] = {}
    for block in code_blocks("docs/python.md", "python"):
        for long, quick in QUICK.items():
            block = block.replace(long, quick)
        exec(compile(block, "docs/python.md", "exec"), given)
    assert (tmp_path / "runs" / "mine" / "evaluation.json").is_file()


SMALL_RUN = {
    "schedule.epochs=8": [
        *("schedule.epochs=1", "training.batch_size=8"),
        "model.architecture.widths=[8,16,24,24,16,32,32]",
    ]
}
"""Of the tutorial: the setting of its runs, and those with which they take seconds."""


def tutorial_lines() -> list[list[str]]:
    """The commands of the tutorial, in order, with fewer photos and a smaller network."""
    lines = [
        shlex.split(line, comments=True)[1:]
        for block in code_blocks("docs/tutorial.md", "")
        for line in block.splitlines()
    ]
    photos, *others = lines
    assert photos == ["synthesize", "photos"]
    photos += ["--classes", "3", "--train-per-class", "8", "--val-per-class", "4"]
    small = [[part for word in words for part in SMALL_RUN.get(word, [word])] for words in others]
    assert sum(words[0] == "train" and "schedule.epochs=1" in words for words in small) == 2
    (report,) = (words for words in small if words[0] == "report")
    report += ["--detailed", "0"]  # without the figures that take long
    return [photos, *small]


def test_the_tutorial_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed: dict[str, str] = {}
    for words in tutorial_lines():
        if words[0] != "serve":
            assert main(words) == 0, (words, capsys.readouterr().err)
            printed[" ".join(words[:3])] = capsys.readouterr().out
    assert printed["predict new-photos/val --model"].count("new-photos/val") == 10
    assert all(name in printed["compare run other-run"] for name in ("alexnet-2012", "other-run"))
    assert (tmp_path / "report" / "report.html").is_file()
    (block,) = code_blocks("docs/tutorial.md", "python")
    ((long, small),) = SMALL_RUN.items()
    assert f'"{long}"' in block
    block = block.replace(f'"{long}"', ", ".join(f'"{each}"' for each in small))
    exec(compile(block, "docs/tutorial.md", "exec"), {})
    assert len(re.findall(r"^\d+\.\d\d% \w+", capsys.readouterr().out, re.MULTILINE)) == 3


@pytest.mark.slow
def test_the_slurm_array_prepares_a_store(newcomer: Path, tmp_path: Path) -> None:
    (block,) = [block for block in code_blocks("docs/scaling.md", "") if "SBATCH" in block]
    script = block.replace("/8", "/2").replace("ILSVRC", f"{newcomer / 'my-photos'} --side 32 --workers 1")
    script = script.replace("alexnet prepare", f"{sys.executable} -m alexnet prepare")
    outputs = [
        subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_JOB_ID": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        for number in ("1", "2")
    ]
    assert "missing: 2/2 (1 shard)" in outputs[0].stdout, outputs[0].stderr
    assert "images of 3 classes, side 32" in outputs[1].stdout, outputs[1].stderr
    assert Store.open(tmp_path / "stores" / "ilsvrc2012", verify=True).splits


@pytest.fixture
def batch_script(
    tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[str]]:
    """The command of the batch script in docs/training.md, for a training with more settings; `scontrol` only
    notes its words in the file `scontrol`.
    """
    (block,) = [each for each in code_blocks("docs/training.md", "") if "--signal=B:USR1" in each]
    (line,) = re.findall(r"^alexnet train .* --resume(?= &)", block, re.MULTILINE)
    words = line.replace("STORE", str(tiny_store.path)).replace("RUN", "run").split()
    folder = tmp_path / "commands"
    folder.mkdir()
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path / "scontrol"}"\n')
    (folder / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    small = ("model.architecture.widths=[4,4,4,4,4,8,8]", "batch_size=4", "log_every_steps=1")

    def command(more: str) -> list[str]:
        training = shlex.join([sys.executable, "-m", *words, *small, "--device", "cpu", *more.split()])
        return ["bash", "-c", block.replace(line, training)]

    return command


@pytest.mark.slow
def test_the_batch_script_saves_at_the_signal_of_slurm_and_is_requeued(
    batch_script: Callable[[str], list[str]], tmp_path: Path
) -> None:
    log = tmp_path / "run" / "metrics.jsonl"
    with subprocess.Popen(
        batch_script("epochs=1000"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as script:
        while script.poll() is None and not (log.exists() and '"event": "train"' in log.read_text()):
            with suppress(subprocess.TimeoutExpired):
                script.wait(0.05)
        script.send_signal(signal.SIGUSR1)
        error = script.communicate()[1]
    assert script.returncode == 75, error
    assert "stopped by SIGUSR1 after update" in error
    assert (tmp_path / "scontrol").read_text() == "requeue 17\n"
    assert (tmp_path / "run" / "checkpoints" / "last").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "code"), [("epochs=1", 0), ("epochs=none", 2)])
def test_the_batch_script_ends_as_the_training_does(
    batch_script: Callable[[str], list[str]], tmp_path: Path, settings: str, code: int
) -> None:
    ended = subprocess.run(batch_script(settings), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert not (tmp_path / "scontrol").exists()


def test_every_link_leads_somewhere() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert target.startswith("http") or (document.parent / target).exists(), (document.name, target)
