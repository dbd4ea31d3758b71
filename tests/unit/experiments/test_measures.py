"""Measures of trained models: cost of an update, averaging, features of other classes, plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from alexnet.data.image_reader import read_photo
from alexnet.data.loader import Batch
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import open_source
from alexnet.data.store import Store, training_images
from alexnet.errors import CommandError
from alexnet.evaluation.metrics import evaluate_predictions
from alexnet.experiments import cost, measures
from alexnet.experiments.arms import Arm, ArmRun, common, run_config
from alexnet.experiments.claim_results import Band, MeasuredValue
from alexnet.experiments.claims import ABOVE_0, LENET, RELU_CLAIM, TRAINED, Comparison
from alexnet.experiments.cost import kept_for_gradients, update_bytes, update_seconds
from alexnet.experiments.experiment_dir import ExperimentDir, halves
from alexnet.experiments.measures import After, EnsembleGain, EpochsTo, ErrorOf, Last, linear_mistakes
from alexnet.experiments.spec import RunSpec, overrides_of
from alexnet.experiments.validation import training_sample, with_training_error
from alexnet.experiments.verdict import NO_SPREAD, NOTHING_LEARNED, compare
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.training.plan import make_plan

CPU = torch.device("cpu")
SMALL = (
    "model.variant=2012",
    "model.architecture.widths=[8,16,24,24,16,32,32]",
    "model.architecture.initialization=kaiming",
    *("schedule.epochs=4", "training.batch_size=8"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("measured"))


def test_memory_kept_for_gradients_is_counted_once() -> None:
    inputs = torch.randn(10, 20)
    weights = torch.randn(20, 30, requires_grad=True)
    with kept_for_gradients() as kept:
        product = inputs @ weights
        product = product + inputs @ weights
        product.tanh()
    # The inputs are used twice, but share memory; tanh keeps its result.
    assert sum(kept.values()) == 4 * (10 * 20 + 10 * 30)


def test_an_update_is_timed_and_weighed_on_its_own_batch(store: Store) -> None:
    one, two = (common([*SMALL, f"training.batch_size={batch}", "data.image_size=72"]) for batch in (8, 16))
    assert update_bytes(two, store, CPU) > 1.5 * update_bytes(one, store, CPU) > 0
    assert update_seconds(one, store, CPU, timed=1) > 0


def test_an_update_is_measured_with_the_batches_that_training_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `data.scales` images are resized and cropped while they are read, which costs time."""
    whole = PrepareSettings(side=72, shape="whole")
    store = prepare(open_source(tiny.photos(tmp_path / "photos")), tmp_path / "store", whole, workers=1)
    config = common([*SMALL, "data.scales=[64,72]", "data.normalization=channel-mean", "data.order=once"])
    batches: list[Batch] = []
    update = cost.update

    def noted(state, batch: Batch, *rest, **options):
        batches.append(batch)
        return update(state, batch, *rest, **options)

    monkeypatch.setattr(cost, "update", noted)
    assert update_seconds(config, store, CPU, timed=7, warm_up=0) > 0
    for batch in batches:
        assert batch.images.shape == (8, config.data.input_size, config.data.input_size, 3)  # not the store's
    assert batches[6].indices.equal(batches[0].indices)  # the second epoch, in the order of the first


def test_fewer_photos_get_as_many_updates(store: Store) -> None:
    plans = [
        make_plan(config, len(training_images(store, config.data)))
        for arm in (Arm("all"), Arm("half", share=0.5), Arm("few", per_class=4), Arm("long", longer=2))
        for config in [run_config(arm, SMALL, store, store)]
    ]
    assert [plan.total_steps for plan in plans] == [24, 24, 24, 48]
    assert [plan.total_steps / plan.validate_every_steps for plan in plans] == [4, 4, 4, 8]
    few = run_config(Arm("few", per_class=4), SMALL, store, store)
    assert (few.data.max_images, few.training.batch_size, few.training.seed) == (12, 8, 0)


def test_a_share_is_one_of_the_photos_that_are_used(store: Store) -> None:
    settings = [*SMALL, "data.max_images=24"]
    arms = Arm("all"), Arm("half", share=0.5), Arm("few", per_class=10)
    assert [run_config(arm, settings, store, store).data.max_images for arm in arms] == [24, 12, 30]


def test_more_photos_than_there_are_are_refused(store: Store) -> None:
    with pytest.raises(CommandError, match="has only 16 of one class"):
        run_config(Arm("few", per_class=17), SMALL, store, store)
    with pytest.raises(CommandError, match=r"data\.max_images=49 is more than the 48"):
        run_config(Arm("all"), [*SMALL, "data.max_images=49"], store, store)


def test_the_time_of_an_update_includes_reading_its_batch(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    def updates(*given: object) -> Iterator[Callable[[], object]]:
        wait(100)  # the model is made
        for _ in range(4):
            wait(3)
            yield lambda: wait(1)

    monkeypatch.setattr(cost, "_updates", updates)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now)
    assert update_seconds(common(()), store, torch.device("cpu"), timed=3, warm_up=1) == 4


def test_another_recipe_gets_the_settings_of_data_and_training(store: Store) -> None:
    settings = [*SMALL, "data.max_images=24", "data.mirror=no", "training.precision=bfloat16"]
    common_net, lenet = (run_config(arm, settings, store, store) for arm in (Arm("common"), LENET))
    assert (lenet.data.max_images, lenet.data.mirror, lenet.training.precision) == (24, False, "bfloat16")
    assert make_plan(lenet, 24).total_steps == make_plan(common_net, 24).total_steps == 12
    assert lenet.model.name == "lenet" and lenet.optimizer != common_net.optimizer


def test_an_error_after_more_epochs_than_there_were_is_none(store: Store, tmp_path: Path) -> None:
    made = experiment(store, tmp_path, {"a": [0.5]})
    assert After(4).of(made.arm_run(Arm("a"), 0)) == MeasuredValue(0.5)
    assert After(5).of(made.arm_run(Arm("a"), 0)) is None


def test_a_model_is_tested_in_the_same_way_on_training_and_validation_photos(store: Store) -> None:
    config = run_config(Arm("few", per_class=4), SMALL, store, store)
    torch.manual_seed(1)
    model = build(config.model, 3, 64).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn_like(parameter))
    found = with_training_error(config, store)(model)
    assert model.training
    bundle = ModelBundle(model, config, store.classes, Preprocessing.from_store(config.data, store), {})
    tested = evaluate_predictions(tiny.predict(bundle, store, "val", "center")).to_dict()
    assert found["top1_error"] == tested["top1_error"] and found["images"] == 21
    sample = training_sample(config, store)
    assert len(sample) == 12  # no more than it is trained on
    made = tiny.predict(bundle, store, "train", "center")
    rows = [store.split("train").keys().index(key) for key in sample.keys()]  # noqa: SIM118
    wrong = made.probabilities[rows].argmax(1) != made.labels[rows]
    assert found["training_error"] == wrong.mean()


def arm_run(seed: int, store: Store, folder: Path) -> ArmRun:
    config = run_config(Arm("common"), SMALL, store, store)
    spec = RunSpec(f"{seed}", config.recipe, store.path, overrides_of(config), seed)
    return ArmRun(Arm("common"), spec, RunDir(folder / spec.name), store, None, CPU)


def predicted(seed: int) -> Predictions:
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), 30).astype(np.float32)
    names = np.array(["a", "b", "c"])
    return Predictions(
        split="val",
        views=ViewSet("ten"),
        probabilities=rows,
        labels=np.arange(30) % 3,
        keys=np.arange(30).astype(str),
        classes=names,
        names=names,
    )


def test_averaged_models_are_compared_photo_by_photo(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "predictions", lambda run, views: predicted(run.seed))
    runs = [arm_run(seed, store, tmp_path) for seed in range(3)]
    found = EnsembleGain(2).of_photos(runs)
    labels = predicted(0).labels
    for photo in range(30):
        rows = [predicted(seed).probabilities[photo] for seed in range(3)]
        alone = np.mean([row.argmax() != labels[photo] for row in rows])
        pairs = [(rows[a] + rows[b]).argmax() != labels[photo] for a, b in ((0, 1), (0, 2), (1, 2))]
        assert found is not None and found[photo] == pytest.approx(alone - np.mean(pairs))
    assert EnsembleGain(4).of_photos(runs) is None
    value = ErrorOf("ten").of(runs[0])
    assert value == MeasuredValue(float((predicted(0).probabilities.argmax(1) != labels).mean()))


def test_halves_hold_the_very_pixels_of_their_classes(tmp_path: Path) -> None:
    photos = tiny.photos(tmp_path / "photos")
    for split in ("train", "val"):
        (photos / split / "class3").symlink_to(photos / split / "class0", target_is_directory=True)
    whole = prepare(open_source(photos), tmp_path / "whole", PrepareSettings(side=72), workers=1)
    first, second = halves(whole, tmp_path / "halves")
    assert [each.wnid for each in (*first.classes, *second.classes)] == [each.wnid for each in whole.classes]
    split, part = whole.split("train"), second.split("train")
    chosen = np.flatnonzero(split.labels >= 2)
    assert (split.labels[chosen] - 2).tolist() == part.labels.tolist()
    for place, index in enumerate(chosen[:3].tolist()):
        assert (read_photo(split, index) == read_photo(part, place)).all()


def test_halves_take_four_classes(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--other-store"):
        halves(store, tmp_path)


def test_a_linear_classifier_learns_linear_classes() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 6)).astype(np.float32)
    labels = (vectors[:, 0] + vectors[:, 1] > 0).astype(np.int32)
    assert linear_mistakes(vectors[:150], labels[:150], vectors[150:], labels[150:]).mean() < 0.1
    assert linear_mistakes(vectors[:150], 1 - labels[:150], vectors[150:], labels[150:]).mean() > 0.9


def experiment(
    store: Store, folder: Path, numbers: dict[str, list[float]], training_error: float | None = None
) -> ExperimentDir:
    """An experiment whose runs have finished, with these errors, also in training unless that is given."""
    made = ExperimentDir.open(folder / "claims", store.path, None, SMALL, CPU)
    for name, errors in numbers.items():
        for seed, error in enumerate(errors):
            planned = made.arm_run(Arm(name), seed)
            run = RunDir.create(planned.run.path, planned.config)
            in_training = error if training_error is None else training_error
            errors = {"top1_error": error, "training_error": in_training}
            lines = [
                {"event": "validation", "step": 1, "epoch": 1, **errors},
                {"event": "result", "step": 1, "epoch": 1},
            ]
            run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


def compared(measure: measures.Measure, first: Arm, second: Arm, band: Band = ABOVE_0) -> Comparison:
    words = f"{first.name} minus {second.name}"
    return Comparison(id="it", words=words, measure=measure, first=(first,), second=(second,), band=band)


def test_models_that_have_learned_nothing_give_no_verdict(store: Store, tmp_path: Path) -> None:
    guessing, learned = [0.66, 0.67, 0.65], [0.6, 0.6, 0.59]  # of three classes
    made = experiment(store, tmp_path, {"a": guessing, "b": [0.65, 0.67, 0.67], "c": learned}, TRAINED)
    a, b, c = (Arm(name) for name in "abc")
    alike = compared(Last(), a, b, Band(-0.1, 0.1))
    found = compare(alike, made, (0, 1, 2))
    assert (found.verdict, found.reason) == ("untested", NOTHING_LEARNED) and found.interval is not None
    assert compare(replace(alike, second=(c,)), made, (0, 1, 2)).verdict == "held"


def test_verdicts_of_errors(store: Store, tmp_path: Path) -> None:
    errors = {"a": [0.5, 0.52, 0.51], "b": [0.4, 0.41, 0.42], "c": [0.5, 0.52, 0.51]}
    made = experiment(store, tmp_path, errors, TRAINED)
    a, b, c, d = (Arm(name) for name in "abcd")
    better = compared(Last(), a, b)
    assert compare(better, made, (0, 1, 2)).verdict == "held"
    assert compare(replace(better, first=(b,), second=(a,)), made, (0, 1, 2)).verdict == "failed"
    found = compare(replace(better, second=(c,)), made, (0, 1, 2))
    assert (found.verdict, found.reason) == ("untested", NO_SPREAD)
    found = compare(better, made, (0, 1))
    assert found.verdict == "untested" and "2 seeds" in found.reason
    found = compare(replace(better, second=(d,)), made, (0, 1, 2))
    assert found.verdict == "untested" and found.reason == "not trained yet: d-seed-0 and 2 more"
    (made.path / "runs" / "b-seed-1" / "diverged.txt").write_text("the loss is no number")
    found = compare(better, made, (0, 1, 2))
    assert found.verdict == "untested" and "diverged" in found.reason
    # The better of two counts, for each seed.
    found = compare(replace(better, first=(a, b), second=(c,)), made, (0, 2))
    assert [value and value.number for each in found.values if each.arm == "b" for value in each.values] == [
        0.4,
        0.42,
    ]


def test_models_that_are_still_learning_give_no_verdict_on_their_last_errors(
    store: Store, tmp_path: Path
) -> None:
    made = experiment(store, tmp_path, {"a": [0.5, 0.52, 0.51], "b": [0.04, 0.03, 0.05]})
    a, b = Arm("a"), Arm("b")
    found = compare(compared(Last(), a, b), made, (0, 1, 2))
    assert found.verdict == "still learning" and found.interval is not None
    assert found.reason == "training errors above 5 %: a 52.0 %"
    early = compare(compared(After(1), a, b), made, (0, 1, 2))
    assert early.verdict == "held"


def test_an_error_that_was_not_reached_is_named(store: Store, tmp_path: Path) -> None:
    made = experiment(store, tmp_path, {"tanh": [0.2] * 3, "relu": [0.5] * 3})
    slower = compared(EpochsTo(0.25), Arm("tanh"), Arm("relu"))
    found = compare(slower, made, (0, 1, 2))
    assert found.verdict == "untested"
    assert found.reason == "relu needed more than 4 epochs to a training error of 25 %"
    assert any("a training error of 25 %, as in the paper" in remark for remark in RELU_CLAIM.remarks)


def test_a_run_that_was_trained_otherwise_is_refused(store: Store, tmp_path: Path) -> None:
    made = experiment(store, tmp_path, {"a": [0.5]})
    with pytest.raises(CommandError, match=r"trained with other settings \(model.dropout: 0.5 -> 0.0\)"):
        made.arm_run(Arm("a", ("model.dropout=0",)), 0)
