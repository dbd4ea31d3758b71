"""A run that is refused before its first update leaves nothing that is in the way of the next try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError, Diverged
from alexnet.training import run as module
from alexnet.training import trainer
from alexnet.training.train_state import TrainState

BATCHNORM = ("model.variant=modern", "schedule.epochs=1")


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


def test_a_refused_command_works_with_what_the_message_names(store: Store, tmp_path: Path) -> None:
    """49 images do not fill seven batches of 8: the last one is left out, so no batch has one image."""
    run = tmp_path / "run"
    config = tiny.config(*BATCHNORM, "training.batch_size=8", "training.grad_accum_steps=8")
    with pytest.raises(CommandError, match=r"type training\.grad_accum_steps=4$"):
        alexnet.train(config, store, run, device="cpu")
    assert not run.exists()
    some = ("training.grad_accum_steps=4", "data.max_images=41")
    assert alexnet.train(config, store, run, *some, device="cpu").step == 5


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), DataError("damaged"), CommandError("no")])
@pytest.mark.parametrize("place", ["build_train_state", "training_loader", "update"])
def test_an_error_before_the_first_measurement_removes_the_run(
    error: Exception, place: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> TrainState:
        raise error

    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(type(error), match=str(error)):
        patch.setattr(trainer, place, fail)
        alexnet.train(tiny.config(), store, run, device="cpu")
    assert not run.exists()


def test_an_environment_that_cannot_be_written_removes_the_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "write_environment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        alexnet.train(tiny.config(), store, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_what_was_trained_is_kept(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a logged update, and where the run diverged: the messages then suggest --resume."""
    run, updates = tmp_path / "run", trainer.update

    def fail_later(*given: Any) -> Any:
        if given[3] == 2:
            raise RuntimeError("later")
        return updates(*given)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="later"):
        patch.setattr(trainer, "update", fail_later)
        alexnet.train(tiny.config(), store, run, device="cpu")
    assert alexnet.train(tiny.config(), store, run, "schedule.epochs=1", device="cpu", resume=True).step == 6
    with pytest.raises(Diverged):
        alexnet.train(tiny.config("optimizer.lr=1e18"), store, tmp_path / "hot", device="cpu")
    assert (tmp_path / "hot" / "config.json").is_file()


def test_a_refused_ensemble_can_be_begun_with_other_settings(
    store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    words = ["ensemble", tiny.RECIPE, "--nets", "2", "--store", str(store.path), "--out", str(out)]
    words += ["--device", "cpu", *tiny.SETTINGS, "schedule.epochs=1", "model.variant=modern"]
    assert main([*words, "training.batch_size=1"]) == 2
    assert "type training.batch_size=2" in capfd.readouterr().err
    assert not out.exists()
    assert main([*words, "training.batch_size=24", "data.max_images=24"]) == 0
