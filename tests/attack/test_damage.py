"""Damaged files of a store, a run and an exported file, and killed commands: no silently wrong result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attack import mutations
from attack.input_attack import InputAttack
from attack.kill_attack import COMMANDS, KillAttack
from attack.mutation_attack import MutationAttack
from attack.outcomes import Trial
from attack.rank_attack import RankAttack
from attack.request_attack import RequestAttack
from attack.subject import EXPORT, OBSERVED, OBSERVED_OF_MODELS, RUN, STOPPED, STORE, Subject

from alexnet import checksum
from alexnet.cli.main import main

SEEDS = range(12)
MOMENTS = {"ensemble": 3, "claims": 3, "fit": 2}
"""Moments at which these commands are killed, others at six; `python -m tests.attack` tries all."""
LOSES_EARLY = 3
"""A seed with which a process is killed in its first seconds."""


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject.make(tmp_path_factory.mktemp("attack") / "subject")


@pytest.fixture(scope="module")
def damage(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> MutationAttack:
    return MutationAttack.on(subject, tmp_path_factory.mktemp("damaged"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> MutationAttack:
    subject = Subject.make_models(tmp_path_factory.mktemp("attack") / "models")
    return MutationAttack.on(subject, tmp_path_factory.mktemp("damaged"), OBSERVED_OF_MODELS)


def failed(trials: list[Trial]) -> list[Trial]:
    assert trials
    return [each for each in trials if not each.held]


@pytest.mark.slow
@pytest.mark.parametrize("part", OBSERVED)
def test_random_damage_is_noticed_or_changes_nothing(damage: MutationAttack, part: str) -> None:
    assert not failed([trial for seed in SEEDS for trial in damage.trials(part, seed)])


@pytest.mark.slow
@pytest.mark.parametrize("part", OBSERVED_OF_MODELS)
def test_random_damage_to_a_model_of_any_form_is_noticed_or_changes_nothing(
    models: MutationAttack, part: str
) -> None:
    assert not failed([trial for seed in SEEDS for trial in models.trials(part, seed)])


@pytest.mark.parametrize(
    ("part", "pattern", "mutation", "outcome"),
    [
        (STORE, "header.json", mutations.change_digit, "noticed"),
        (STORE, "header.json", mutations.swap_fields, "noticed"),
        (STORE, "mean_image.npy", mutations.zero, "noticed"),
        (STORE, "notes/train-00000.json", mutations.change_digit, "noticed"),
        (STORE, "val-00000.arrow", mutations.flip_bit, "noticed"),
        (RUN, "checkpoints/step-*18/weights.safetensors", mutations.flip_bit, "noticed"),
        (RUN, "checkpoints/step-*18/meta.json", mutations.change_digit, "noticed"),
        (RUN, "config.json", mutations.change_digit, "noticed"),
        (RUN, "environment.json", mutations.change_digit, "noticed"),
        (RUN, "evaluation.json", mutations.change_digit, "noticed"),
        (RUN, "metrics.jsonl", mutations.cut_line, "noticed"),
        (RUN, "metrics.jsonl", mutations.change_digit, "noticed"),
        (RUN, "features/*.npy", mutations.zero, "harmless"),
        (RUN, "predictions/*.npz", mutations.zero, "harmless"),
        (EXPORT, "", mutations.change_digit, "noticed"),
        (EXPORT, "", mutations.flip_bit, "noticed"),
    ],
)
def test_damage_to_a_file_that_decides(
    damage: MutationAttack, part: str, pattern: str, mutation: mutations.Mutation, outcome: str
) -> None:
    place = damage.subject.folder / part
    file = next(place.glob(pattern)) if pattern else place
    found = damage.trials_of(part, file.relative_to(damage.subject.folder), mutation, seed=1)
    assert outcome in [each.outcome for each in found]
    assert not failed(found)


def test_the_attack_finds_what_would_not_be_checked(
    damage: MutationAttack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unchecked(value: dict[str, Any], *more: Any) -> dict[str, Any]:
        return {key: each for key, each in value.items() if key != checksum.CHECKSUM}

    monkeypatch.setattr(checksum, "_verified", unchecked)
    log = Path(RUN) / "metrics.jsonl"
    found = [trial for seed in range(5) for trial in damage.trials_of(RUN, log, mutations.change_digit, seed)]
    assert "silent wrong" in [each.outcome for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_repeated_with_the_same_result(
    subject: Subject, tmp_path: Path, name: str
) -> None:
    kills = KillAttack.on(subject, tmp_path, [name])
    found = [kills.trial(name, seed) for seed in range(1, MOMENTS.get(name, 6) + 1)]
    assert [each.outcome for each in found] == ["harmless"] * len(found), failed(found)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes as Linux lists them")
def test_a_training_that_loses_one_of_two_processes_resumes(subject: Subject, tmp_path: Path) -> None:
    assert not failed(RankAttack.on(subject, tmp_path).trials(seed=LOSES_EARLY))


def test_hostile_inputs_of_each_format_are_read_or_refused(subject: Subject, tmp_path: Path) -> None:
    inputs = InputAttack.on(subject, tmp_path)
    assert not failed([trial for seed in range(4) for trial in inputs.trials(seed)])


def test_requests_are_answered_or_refused(subject: Subject) -> None:
    with RequestAttack.on(subject) as requests:
        assert not failed(requests.trials(seed=0, count=50))


def test_verify_finds_each_damaged_file(
    subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", *(str(subject.folder / part) for part in (STORE, RUN, STOPPED, EXPORT))]
    assert main(words) == 0
    assert capsys.readouterr().out.count("no damage found") == 4
    copy = subject.copy(tmp_path / "copy")
    assert main(["verify", str(copy.folder)]) == 0
    capsys.readouterr()
    for part in (STORE, RUN, STOPPED, EXPORT):
        for file in copy.files(part):
            whole = file.read_bytes()
            file.write_bytes(bytes(len(whole)))
            assert main(["verify", str(copy.folder / part)]) == 3, file
            output = capsys.readouterr()
            assert str(file) in output.out and "repair: " in output.out
            assert output.err.count("\n") == 1
            file.write_bytes(whole)
