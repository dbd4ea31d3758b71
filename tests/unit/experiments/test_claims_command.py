"""`alexnet claims` on the command line: the list, a plan, runs that stop and resume, verdicts, refusals."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, Diverged
from alexnet.experiments import claims, runner
from alexnet.experiments.arms import arm_config
from alexnet.experiments.claim_results import read_claim, write_claim
from alexnet.experiments.claims import CLAIMS, find
from alexnet.experiments.experiment_dir import ExperimentDir
from alexnet.experiments.runner import Runner
from alexnet.report import claims as tables

IDS = [claim.id for claim in CLAIMS]
OLD = Path(__file__).parents[2] / "data" / "claim-format-0"
SMALL = (
    "model.variant=2012",
    "model.architecture.widths=[8,16,24,24,16,32,32]",
    "model.architecture.initialization=kaiming",
    *("schedule.epochs=1", "training.batch_size=16"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.store(tmp_path_factory.mktemp("claims")).path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of runs that are trained, as they begin."""
    names: list[str] = []
    original = runner.train_run

    def noted(config, store, run, options, validation):
        names.append(run.path.name)
        return original(config, store, run, options, validation)

    monkeypatch.setattr(runner, "train_run", noted)
    return names


def type_claims(*words: str, store: Path, run: Path) -> int:
    return main(["claims", *words, "--store", str(store), "--run", str(run), *SMALL])


def test_the_list_names_all_with_their_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--run", str(tmp_path / "none"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == IDS
    assert all(row["runs"] >= 5 and row["epochs"] > 0 for row in rows)
    assert not any(row["verdict"] for row in rows)
    assert main(["claims", "--run", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.count("Source:") == len(IDS)


def test_a_plan_writes_nothing(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_claims("lrn", "--dry", "--json", store=store, run=tmp_path / "run") == 0
    plan = json.loads(capsys.readouterr().out)
    assert {arm["arm"]: arm["seeds"] for arm in plan["arms"]} == {
        "without-normalization": [0, 1, 2],
        "common": [0, 1, 2],
    }
    assert all(arm["updates"] == 9 for arm in plan["arms"])
    assert plan["minutes"] == pytest.approx(sum(arm["minutes"] for arm in plan["arms"]))
    assert not (tmp_path / "run").exists()


def test_relu_with_one_seed_is_untested(
    store: Path, tmp_path: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_claims("relu", "--seeds", "4", "data.max_images=40", store=store, run=tmp_path) == 0
    out = capsys.readouterr().out
    assert "about" in out.partition("# relu")[0] and "relu: untested" in out
    assert f"next: see {tmp_path}/relu/README.md" in out
    assert len(trained) == 6 and all(name.endswith("-seed-4") for name in trained)
    document = json.loads((tmp_path / "relu" / "claim.json").read_text())
    assert document["verdict"] == "untested" and "1 seed" in document["reason"]
    assert len(document["runs"]) == len(document["arms"]) == 6
    assert all(len(values["values"]) == 1 for each in document["comparisons"] for values in each["values"])
    for name in ("figure.png", "figure.svg", "README.md"):
        assert (tmp_path / "relu" / name).stat().st_size > 500
    page = (tmp_path / "relu" / "README.md").read_text()
    assert "48 training (models are trained on 40 of them) and 21 validation photos" in page
    assert main(["claims", "--run", str(tmp_path)]) == 0
    assert f"In {tmp_path}: relu: untested" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["schedule.epochs=0"], ["schedule.epoch=1"], ["--seeds", ""], ["training.batch_size=1000"]]
)
def test_a_refused_command_leaves_no_folder_that_blocks_the_right_one(
    store: Path, tmp_path: Path, trained: list[str], wrong: list[str]
) -> None:
    run = tmp_path / "claims"
    assert main(["claims", "lrn", "--store", str(store), "--run", str(run), *SMALL, *wrong]) == 2
    assert not trained and not (run / "claims.json").exists()
    assert type_claims("lrn", "--dry", store=store, run=run) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--dry", "--csv", "plan.csv"],
        ["--print-commands", "--parquet", "a.parquet"],
        ["--print-commands", "--json"],
    ],
)
def test_options_without_effect_are_refused(store: Path, tmp_path: Path, words: list[str]) -> None:
    assert main(["claims", "lrn", "--store", str(store), "--run", str(tmp_path / "c"), *SMALL, *words]) == 2


def judged(folder: Path, id_: str, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """A claim's folder, with a result of other claims."""
    old = read_claim(OLD)
    assert old is not None
    write_claim(folder / id_, replace(old, id=id_, seeds=seeds, comparisons=(), statement=f"{id_} is so."))


def test_fewer_seeds_than_before_do_not_replace_a_verdict(store: Path, tmp_path: Path) -> None:
    experiment = ExperimentDir.open(tmp_path, store, None, (), torch.device("cpu"))
    experiment.begin()
    judged(tmp_path, "lrn")
    experiment.refuse_fewer_seeds(find(["lrn"]), [0, 1, 2, 3])
    experiment.refuse_fewer_seeds(find(["lrn"]), None)
    for fewer in ([2, 0], [7], [0, 1, 3, 4]):
        with pytest.raises(CommandError, match="--seeds 0,1,2, or more"):
            experiment.refuse_fewer_seeds(find(["lrn"]), fewer)
    judged(tmp_path, "lrn", (0, 1, 2, 3))
    with pytest.raises(CommandError, match="--seeds 0,1,2,3, or more"):
        experiment.refuse_fewer_seeds(find(["lrn"]), None)


def test_what_a_kill_left_in_a_new_folder_is_no_obstacle(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / ".claims.json.999999999.part").touch()
    ExperimentDir.open(folder, store, None, (), torch.device("cpu")).begin()
    assert [path.name for path in folder.iterdir()] == ["claims.json"]
    (folder / "claims.json").rename(folder / "other.json")
    with pytest.raises(CommandError, match="contains something else"):
        ExperimentDir.open(folder, store, None, (), torch.device("cpu"))


@pytest.mark.slow
def test_stopped_runs_resume_and_no_run_is_trained_twice(
    store: Path, tmp_path: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "claims"
    assert type_claims("lrn", "--minutes", "0", store=store, run=run) == 75
    assert "checkpoint saved; run the same command again to resume" in capsys.readouterr().err
    assert len(trained) == 1
    assert type_claims("lrn", store=store, run=run) == 0
    assert len(trained) == 7 and len({*trained}) == 6
    weights = {
        path: path.stat().st_mtime_ns for path in run.glob("runs/*/checkpoints/last/weights.safetensors")
    }
    assert len(weights) == 6
    assert not [*run.glob("runs/*/checkpoints/*/state.pt")]
    trained.clear()
    capsys.readouterr()
    assert type_claims("lrn", "--json", store=store, run=run) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert not trained and all(path.stat().st_mtime_ns == when for path, when in weights.items())
    check_document(document)
    check_tables(tmp_path)


def test_a_run_that_another_process_trains_is_left_to_it_and_waited_for(
    store: Path, tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, theirs, ours = tmp_path / "claims", "without-normalization-seed-4", "common-seed-4"
    experiment = ExperimentDir.open(run, store, None, SMALL, torch.device("cpu"))
    experiment.begin()
    claimed = Runner.claimed
    with ExitStack() as other:
        (first,) = (each for each in experiment.arm_runs(find(["lrn"]), [4]) if each.name == theirs)
        runs = experiment.runner([first])
        assert other.enter_context(runs.claimed(first.spec, wait=False))

        def noted(self: Runner, spec, wait: bool):
            if wait:  # the other process dies before it has finished
                assert trained == [ours] and not (run / "lrn" / "claim.json").exists()
                other.close()
            return claimed(self, spec, wait)

        monkeypatch.setattr(Runner, "claimed", noted)
        assert type_claims("lrn", "--seeds", "4", store=store, run=run) == 0
    assert trained == [ours, theirs]
    (lrn,) = find(["lrn"])
    when = (run / "lrn" / "claim.json").stat().st_mtime
    found = experiment.judged_since(lrn, [4], when)
    assert found is not None and found.id == "lrn"
    assert experiment.judged_since(lrn, [4], when + 1) is None
    assert experiment.judged_since(lrn, None, when) is None


def test_printed_commands_train_one_run_each_and_the_claim_is_judged_after_them(
    store: Path, tmp_path: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "claims"
    claims = ("lrn", "features-travel")
    assert type_claims(*claims, "--seeds", "4", "--print-commands", store=store, run=run) == 0
    out, error = capsys.readouterr()
    lines = out.splitlines()
    assert "features-travel cannot be tested here" in error
    assert not run.exists() and len(lines) == 2
    assert [shlex.split(line)[-1] for line in lines] == ["without-normalization-seed-4", "common-seed-4"]
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "alexnet" and main([*words, "--minutes", "0"]) == 75
        assert main(words) == 0 and not (run / "lrn").exists()
    assert len(trained) == 4
    capsys.readouterr()
    assert type_claims("lrn", "--seeds", "4", "--print-commands", store=store, run=run) == 0
    assert not capsys.readouterr().out
    assert type_claims("lrn", "--seeds", "4", store=store, run=run) == 0
    assert len(trained) == 4 and (run / "lrn" / "claim.json").is_file()
    assert type_claims("lrn", "--seeds", "4", "--only", "common-seed-5", store=store, run=run) == 2
    assert "--print-commands lists those that are left" in capsys.readouterr().err


def test_a_run_that_diverges_is_a_result(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = runner.train_run

    def diverging(config, store, run, options, validation):
        if run.path.name == "common-seed-4":
            original(config, store, run, replace(options, minutes=None), validation)
            raise Diverged("the loss of update 3 is not finite")
        return original(config, store, run, options, validation)

    monkeypatch.setattr(runner, "train_run", diverging)
    words = ("lrn", "--seeds", "4")
    assert type_claims(*words, store=store, run=tmp_path) == 0
    assert "common-seed-4 diverged: the loss of update 3 is not finite" in capsys.readouterr().out
    assert "update 3" in (tmp_path / "runs" / "common-seed-4" / "diverged.txt").read_text()
    result = read_claim(tmp_path / "lrn")
    assert result is not None
    found = {run.run: (run.diverged, len(run.tests)) for run in result.runs}
    assert found == {"without-normalization-seed-4": (False, 1), "common-seed-4": (True, 0)}
    assert type_claims(*words, "--dry", store=store, run=tmp_path) == 0
    assert "2 finished, 0 to train" in capsys.readouterr().out


def check_document(document: dict) -> None:
    """What `lrn` leaves with three seeds."""
    error, none, memory, seconds = document["comparisons"]
    assert [len(each["numbers"]) for each in (memory, seconds)] == [3, 3]
    assert memory["interval"]["low"] >= 1  # with a kernel for stages it is the same
    assert error["band"] == {"low": 0.0, "high": None} and none["band"] == {"low": -0.01, "high": 0.01}
    for run in document["runs"]:
        for test in run["tests"]:
            assert 0 <= test["training_error"] <= 1 and test["training_nll"] > 0
    assert document["environment"]["device"][0].startswith("cpu")
    assert document["commands"][0].startswith("alexnet claims lrn --store store")
    assert document["data"]["photos"] == {"train": 48, "val": 21}


def check_tables(results: Path) -> None:
    """The documents' tables of what was made there."""
    long, short = tables.claims(results), tables.claims_in_short(results)
    assert len(long.rows) == 4 and long.rows[0][0] == "[`lrn`](results/claims/lrn)"
    assert ", cpu (" in long.rows[0][8] and long.rows[0][9] == "store, 72 pixels"
    assert long.rows[0][5] == "3 seeds x 21 photos" and long.rows[0][6] == "3"
    assert long.notes[0].startswith("Intervals: ") and "cover the seeds alone" not in "".join(long.notes)
    verdicts = "(held, 1|failed, 0|still learning, 0|untested, 0) of 1"
    cell = re.escape("[store, 72 pixels](results/claims/lrn): ") + verdicts
    assert len(short.rows) == 1 and re.fullmatch(cell, short.rows[0][-1])
    shutil.copytree(results / "claims" / "lrn", results / "claims" / "lrn-again")
    ((*_, both),) = tables.claims_in_short(results).rows
    assert re.fullmatch(f"{cell}; {cell.replace('lrn', 'lrn-again')}", both)


def test_claims_without_a_result_are_named_below_the_tables(tmp_path: Path) -> None:
    def notes() -> list[list[str]]:
        made = (tables.claims(tmp_path), tables.claims_in_short(tmp_path))
        return [[note for note in table.notes if note.startswith("No result")] for table in made]

    first, *others = IDS
    for id_ in others:
        judged(tmp_path / "claims", id_)
    assert notes() == [[f"No result is recorded yet for `{first}`."]] * 2
    judged(tmp_path / "claims", first)
    assert notes() == [[], []]


def test_tables_without_a_recorded_claim(tmp_path: Path) -> None:
    for table in (tables.claims(tmp_path), tables.claims_in_short(tmp_path)):
        assert "not recorded yet" in table.markdown()


def test_a_folder_is_for_one_store_and_one_set_of_settings(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "claims"
    about = {
        "store": "store",
        "store_digest": "0" * 64,
        "other_store": "",
        "other_store_digest": "",
        "settings": [*SMALL],
    }
    run.mkdir()
    (run / "claims.json").write_text(json.dumps(about))
    assert type_claims("lrn", store=store, run=run) == 2
    assert "store_digest 000000000000 there" in capsys.readouterr().err
    # As an earlier version wrote it.
    old = [each.replace("training.batch_size=", "training.batch=") for each in reversed(SMALL)]
    about |= {"store_digest": Store.open(store).digest, "settings": [*old, "data.mirror=false"]}
    (run / "claims.json").write_text(json.dumps({**about, "store": store.name}))
    # Neither the order of settings nor another word for the same makes another folder.
    assert type_claims("lrn", "--dry", "data.mirror=no", store=store, run=run) == 0
    assert type_claims("lrn", "--dry", "data.max_images=40", store=store, run=run) == 2
    message = capsys.readouterr().err
    assert (
        "data.max_images: 0 -> 40" in message
        and "data.mirror: False -> True" in message
        and "batch" not in message
    )
    assert main(["claims", "lrn", "--store", str(store), "--run", str(tmp_path), "--dry"]) == 2
    assert "contains something else" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("reul",), "'relu'"),
        (("lrn", "--seeds", "0,0,1"), "different whole numbers"),
        (("lrn", "--seeds", "a"), "different whole numbers"),
        (("lrn", "training.seed=3"), "--seeds"),
        (("lrn", "schedule.epoch=3"), "'schedule.epochs'"),
        (("lrn", "training.batch_size=64"), "training images, 48"),
        (("lrn", "data.image_size=64"), "the run needs 64"),
        (("LNR",), "'lrn'"),
        (("features-travel", "more-data", "training.batch_size=49"), "none of these claims"),
        (("lrn", "model.variant=one-weird-trick"), "nothing that this arm would change"),
        (("more-data", "training.batch_size=48", "data.max_images=32"), "training.batch_size=48"),
        (("features-travel",), "has 3 classes"),
        (("features-travel", "--other-store", "nowhere"), "nowhere"),
    ],
)
def test_refusals_are_one_line(
    words: tuple[str, ...], message: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {word.partition("=")[0] for word in words if "=" in word}
    small = [setting for setting in SMALL if setting.partition("=")[0] not in changed]
    run = tmp_path / "run"
    code = main(["claims", *words, "--store", str(store), "--run", str(run), "--dry", *small])
    captured = capsys.readouterr()
    assert code in (2, 3) and message in captured.err and len(captured.err.strip().splitlines()) == 1
    assert not run.exists()


def test_a_store_of_photos_too_small_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = open_source(tiny.photos(tmp_path / "photos"))
    prepare(source, tmp_path / "store", PrepareSettings(side=16), workers=1)
    words = ["claims", "lrn", "--store", str(tmp_path / "store"), "--run", str(tmp_path / "run")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "16 pixels, the claims need 20" in error and len(error.strip().splitlines()) == 1


def test_small_gray_pictures_get_a_model_of_their_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / "digits", tmp_path / "run"
    prepare(
        open_source(tiny.photos(tmp_path / "photos")), path, PrepareSettings(side=32, channels=1), workers=1
    )
    narrow = ("widths=[8,16,24,24,16,32,32]", "conv1_size=5", "conv1_stride=1")
    where = ("--store", str(path), "--run", str(run), "--seeds", "0")
    small = (*narrow, "training.batch_size=4", "schedule.epochs=1")
    assert main(["claims", "all", *where, *small]) == 0
    assert "cannot be tested here: color-noise-of-the-text: gray images" in capsys.readouterr().out
    found = json.loads((run / "augmentation" / "claim.json").read_text())
    reasons = [each["reason"] for each in found["comparisons"]]
    assert "1 seed" in reasons[0] and "1 seed" in reasons[3]
    assert reasons[1] == "crops-and-mirroring and common are trained alike with these settings"
    assert reasons[2].startswith("color-noise-of-the-text: gray images have no colors")
    assert set(found["arms"]) == {"no-augmentation", "crops-and-mirroring"}
    assert not (run / "runs" / "color-noise-of-the-text-seed-0").exists()
    of_dropout = json.loads((run / "dropout" / "claim.json").read_text())["comparisons"]
    assert of_dropout[4]["id"] == "inverted-form" and abs(of_dropout[4]["numbers"][0]) < 1e-5
    document = json.loads((run / "overlap" / "claim.json").read_text())
    data = document["arms"]["common"]["data"]
    assert (data["image_size"], data["input_size"], data["channels"], data["pca_lighting"]) == (
        32,
        28,
        1,
        "none",
    )
    made = ExperimentDir.open(tmp_path / "other", path, None, (), torch.device("cpu"))
    common, lenet = (arm_config(arm, made.settings) for arm in (claims.COMMON, claims.LENET))
    assert common.model.architecture.widths[:2] == (24, 64) and lenet.data.channels == 1


def test_what_the_store_is_too_small_for_is_left_out(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = ("lrn", "more-data", "features-travel")
    assert type_claims(*claims, "--dry", store=store, run=tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert "features-travel cannot be tested here" in out and "18 runs for lrn, more-data:" in out
    assert "minus error of photos-1-of-4 cannot be tested here: photos-1-of-8: training.batch_size=16" in out


def test_models_trained_without_mirroring_are_averaged_over_the_center_crop_only(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert type_claims("averaging", "data.mirror=no", "--seeds", "0,1,2", store=store, run=run) == 0
    before = capsys.readouterr().out.partition("timing")[0].partition("runs for")[0]
    assert (
        before.count("will be untested") == 1 and "5 averaged will be untested: 5 models are needed" in before
    )
    first, of_two, of_three, of_five = json.loads((run / "averaging" / "claim.json").read_text())[
        "comparisons"
    ]
    assert first["reason"].startswith("half of the ten crops are mirrored") and not first["values"]
    assert of_two["interval"] and of_three["interval"] and "5 models are needed" in of_five["reason"]
    kept = {file.name for file in (run / "runs").glob("*/predictions/*.npz")}
    assert kept == {"val-center.npz"}


def test_too_few_seeds_for_a_verdict_are_reported_before_anything_is_trained(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = ("lrn", "averaging", "--seeds", "0,1", "--dry")
    assert type_claims(*claims, store=store, run=tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert "lrn: all of it will be untested: 2 seeds, but a verdict needs 3 or more" in out
    assert out.count("will be untested") == 2


def test_without_ids_nothing_may_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "schedule.epochs=3"]) == 2
    assert "type the claims" in capsys.readouterr().err
    assert main(["claims", "relu"]) == 2
    assert "--store" in capsys.readouterr().err
