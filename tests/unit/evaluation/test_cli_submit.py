"""The whole procedure on synthetic photos: the file for ILSVRC's server, scored with the devkit as the server
would."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tiny import predict

from alexnet.cli.main import main
from alexnet.data.classes import Class
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Example, Source, SourceSplit, devkit, open_source
from alexnet.data.store import Store
from alexnet.data.synthetic import synthesize
from alexnet.evaluation import metrics
from alexnet.models.bundle import ModelBundle
from alexnet.runs import predictions
from alexnet.tasks import config as task_config

from .conftest import CLASSES, SIDE, VAL_PER_CLASS, make_net, shuffled, write_checkpoint

KIT, TEST_PHOTOS, VAL_PHOTOS = "ILSVRC2012_devkit_t12.tar.gz", 9, CLASSES * VAL_PER_CLASS
ORDERS = ("wnids", "kit")


@dataclass(frozen=True)
class Relabeled:
    """A split whose labels are those of another order of classes."""

    whole: SourceSplit
    mapping: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        labels = self.whole.labels
        return np.where(labels < 0, labels, self.mapping[labels]).astype(np.int32)

    def __len__(self) -> int:
        return len(self.whole)

    def key(self, index: int) -> str:
        return self.whole.key(index)

    def __getitem__(self, index: int) -> Example:
        return replace(self.whole[index], label=int(self.labels[index]))


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ilsvrc")
    synthesize(
        folder, classes=CLASSES, train_per_class=1, val_per_class=VAL_PER_CLASS, test=TEST_PHOTOS, seed=5
    )
    return folder


@pytest.fixture(scope="module")
def kit_order(ilsvrc: Path) -> list[int]:
    """The labels of sorted WNIDs in the order of ILSVRC ids."""
    sorted_wnids = [each.wnid for each in open_source(ilsvrc).classes]
    return [sorted_wnids.index(wnid) for wnid in devkit.read_devkit(ilsvrc / KIT).wnids]


@pytest.fixture(scope="module")
def stores(ilsvrc: Path, kit_order: list[int], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The same photos with classes in both orders."""
    source = open_source(ilsvrc)
    assert kit_order != sorted(kit_order)
    splits = {name: Relabeled(split, np.argsort(kit_order)) for name, split in source.splits.items()}
    permuted = replace(source, classes=[source.classes[label] for label in kit_order], splits=splits)
    folder = tmp_path_factory.mktemp("stores")
    settings = PrepareSettings(side=SIDE, encoding="raw")
    return {name: prepare(each, folder / name, settings, 1) for name, each in _pairs(source, permuted)}


def _pairs(source: Source, permuted: Source) -> list[tuple[str, Source]]:
    return list(zip(ORDERS, (source, permuted), strict=True))


@pytest.fixture
def runs(make_run, stores, kit_order) -> dict[str, Path]:
    """The same model with classes in both orders, each as if trained on the store of that order."""
    net = make_net(stores["wnids"], seed=3)
    assert [each.wnid for each in shuffled(net, kit_order).classes] == [
        each.wnid for each in stores["kit"].classes
    ]
    made: dict[str, Path] = {}
    for name, each in (("wnids", net), ("kit", shuffled(net, kit_order))):
        run = make_run(name)
        write_checkpoint(run, each, "last")
        made[name] = run.path
    return made


@pytest.fixture
def submit(ilsvrc: Path, tmp_path: Path, capsys) -> Callable[..., tuple[int, str, str]]:
    def run(store: Store, *words: object) -> tuple[int, str, str]:
        places = ["--store", store.path, "--devkit", ilsvrc / KIT, "--out", tmp_path / "out.txt"]
        code = main(["submit", *map(str, [*words, *places, "--device", "cpu"])])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def ground_truth(kit: Path) -> list[str]:
    """The devkit's column of ids, read without code of the package."""
    with tarfile.open(kit) as archive:
        name = next(each for each in archive.getnames() if each.endswith("validation_ground_truth.txt"))
        file = archive.extractfile(name)
        assert file is not None
        return file.read().decode().split()


@pytest.mark.parametrize("net_order", ORDERS)
@pytest.mark.parametrize("store_order", ORDERS)
def test_the_file_scored_by_the_kits_ids_has_the_error_that_evaluate_reports(
    ilsvrc, stores, runs, submit, tmp_path, capsys, monkeypatch, net_order, store_order
) -> None:
    monkeypatch.setattr(metrics, "FEWEST_CLASSES", 6)  # so few classes have no top-5 error else
    store, run = stores[store_order], runs[net_order]
    code, out, err = submit(store, run, "--split", "val")
    assert code == 0, err
    lines = [line.split(" ") for line in (tmp_path / "out.txt").read_text().splitlines()]
    truth = ground_truth(ilsvrc / KIT)
    wrong = sum(right not in line for right, line in zip(truth, lines, strict=True))
    first_wrong = sum(right != line[0] for right, line in zip(truth, lines, strict=True))
    assert 0 < wrong < VAL_PHOTOS
    assert main(["evaluate", str(run), "--store", str(store.path), "--device", "cpu", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["top5_errors"], printed["top1_errors"]) == (wrong, first_wrong)
    assert f"top-5 error according to the devkit's labels: {100 * printed['top5_error']:.2f} %" in out
    assert f"{VAL_PHOTOS} lines of five ids, NOT the 50,000 of ILSVRC-2012's val set" in out


def test_neither_order_of_classes_changes_a_line(stores, runs, submit, tmp_path) -> None:
    for split, photos in (("val", VAL_PHOTOS), ("test", TEST_PHOTOS)):
        texts = set()
        for store in stores.values():
            for run in runs.values():
                assert submit(store, run, "--split", split)[0] == 0
                texts.add((tmp_path / "out.txt").read_text())
        (text,) = texts
        assert len(text.splitlines()) == photos


def test_a_model_of_one_class_order_errs_on_the_same_images_of_a_store_of_the_other(
    stores, kit_order, make_run
) -> None:
    net = make_net(stores["wnids"], seed=3)
    wrong: list[dict[str, bool]] = []
    for store in stores.values():
        for each in (net, shuffled(net, kit_order)):
            found = predict(each, store, "val", "ten")
            right = found.probabilities.argmax(axis=1) == found.labels
            wrong.append(dict(zip(found.keys.tolist(), right.tolist(), strict=True)))
    assert all(each == wrong[0] for each in wrong)
    assert set(wrong[0].values()) == {True, False}


def test_photos_are_shown_at_the_scales_that_are_typed(stores, runs, submit, tmp_path) -> None:
    store, run = stores["wnids"], runs["wnids"]
    assert submit(store, run, "--views", "ten", "--scales", f"{SIDE + 8},{SIDE}")[0] == 0
    made = predictions.load(predictions.path_of(run, "test", f"ten@{SIDE},{SIDE + 8}"))
    assert made.scales.tolist() == [SIDE, SIDE + 8]
    code, _, err = submit(store, run, "--scales", "8")
    assert code == 2
    assert "scale 8 is smaller than" in err


@pytest.mark.parametrize("change", ["another", "missing", "twice"])
def test_a_model_with_wrong_or_ambiguous_classes_is_refused(stores, change) -> None:
    net = make_net(stores["wnids"])
    classes = {
        "another": [*net.classes[:-1], Class("n00000000", "unknown")],
        "missing": net.classes[:-1],
        "twice": [*net.classes, net.classes[0]],
    }[change]
    with pytest.raises(Exception, match=r"differ|more than one label") as error:
        predict(ModelBundle(net.model, net.config, classes, net.preprocessing, {}), stores["kit"])
    assert type(error.value).__name__ == "DataError"


def test_the_test_photos_have_their_lines_and_no_error(stores, runs, submit, tmp_path, capsys) -> None:
    code, out, err = submit(stores["wnids"], runs["wnids"])
    assert code == 0, err
    assert f"{TEST_PHOTOS} lines of five ids, NOT the 100,000 of ILSVRC-2012's test set" in out
    assert "error" not in out
    words = ["evaluate", runs["wnids"], "--store", stores["wnids"].path, "--split", "test", "--device", "cpu"]
    assert main(list(map(str, words))) == 2
    assert "alexnet submit" in capsys.readouterr().err
    assert not (runs["wnids"] / "evaluation.json").exists()


def test_several_runs_are_averaged(stores, make_run, submit, tmp_path, ilsvrc) -> None:
    store = stores["kit"]
    folders = []
    for seed in range(3):
        run = make_run(f"run-{seed}")
        write_checkpoint(run, make_net(store, seed), "last")
        folders.append(run.path)
    assert submit(store, *folders)[0] == 0
    rows = [predictions.load(predictions.path_of(folder, "test", "ten")).probabilities for folder in folders]
    first = np.mean(rows, axis=0, dtype=np.float64).argmax(axis=1)
    wnids = devkit.read_devkit(ilsvrc / KIT).wnids
    printed = [wnids[int(line.split()[0]) - 1] for line in (tmp_path / "out.txt").read_text().splitlines()]
    keys = store.split("test").keys()
    assert printed == [store.classes[first[keys.index(key)]].wnid for key in sorted(keys)]
    text = (tmp_path / "out.txt").read_text()
    members = [{"name": folder.name, "pretraining": False} for folder in folders]
    (tmp_path / "ensemble.json").write_text(json.dumps({"name": "x", "members": members}))
    for folder in folders:
        (folder / "metrics.jsonl").write_text('{"event": "result", "step": 9, "epoch": 3}\n')
    assert submit(store, tmp_path)[0] == 0
    assert (tmp_path / "out.txt").read_text() == text


def test_a_model_that_predicts_no_classes_is_refused(stores, runs, submit, tmp_path, monkeypatch) -> None:
    tasks = [replace(task, classifies=False) for task in task_config.TASKS]
    monkeypatch.setattr(task_config, "TASKS", tuple(tasks))
    code, _, error = submit(stores["wnids"], runs["wnids"])
    assert code == 2
    assert "was not trained to predict classes: leave it out, or use alexnet predict" in error
    assert not (tmp_path / "out.txt").exists()


def test_a_file_that_is_there_can_be_checked(ilsvrc, stores, runs, submit, tmp_path, capsys) -> None:
    submit(stores["wnids"], runs["wnids"], "--split", "val")
    check = ["submit", "--devkit", str(ilsvrc), "--check", str(tmp_path / "out.txt")]
    assert main(check) == 0
    shown = capsys.readouterr().out
    assert f"{VAL_PHOTOS} lines of five different ids of 1 to {CLASSES}, NOT the 100,000 of" in shown
    assert main([*check, "--split", "val"]) == 0
    assert "top-5 error according to the devkit's labels" in capsys.readouterr().out
    whole = (tmp_path / "out.txt").read_text()
    (tmp_path / "out.txt").write_text("".join(whole.splitlines(keepends=True)[1:]))
    assert main([*check, "--split", "val"]) == 0
    assert "top-5 error" not in capsys.readouterr().out  # lines that are shifted are not scored
    (tmp_path / "out.txt").write_text("1 2 3 4 99\n")
    assert main(check) == 3
    assert "line 1: id 99 is not in 1 to 7" in capsys.readouterr().err
    assert main([*check[:-1], str(tmp_path / "nowhere.txt")]) == 2


def test_errors_are_reported_before_a_model_is_opened(ilsvrc, stores, submit, tmp_path, capsys) -> None:
    assert submit(stores["wnids"], tmp_path / "no-run", "--split", "train")[::2] == (
        3,
        "alexnet: split 'train' contains n90000000/n90000000_1.JPEG, but only ILSVRC's photos with their "
        "official names can be submitted, such as ILSVRC2012_test_00000001.JPEG: choose another --split\n",
    )
    assert submit(stores["wnids"], tmp_path / "no-run")[0] == 2
    assert main(["submit", "--devkit", str(ilsvrc)]) == 2
    assert "--store STORE" in capsys.readouterr().err
    assert not (tmp_path / "out.txt").exists()
