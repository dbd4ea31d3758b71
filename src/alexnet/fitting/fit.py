"""`alexnet.fit`: photos in any known form become a tested classifier, in the minutes given.

A fit is a directory: the store of its photos, an ordinary run for each candidate, `fit.json` with what was
chosen and why, and `ensemble.json`, which names the chosen runs, so that all commands take the directory for
one model: that run, or the average of several. `model.safetensors` is the best of them as one file.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch

from alexnet.config import RunConfig
from alexnet.data import store_notes
from alexnet.data.decode import image_size
from alexnet.data.duplicates import drop_duplicates
from alexnet.data.findings import describe_findings
from alexnet.data.inspect import describe_overview, overview
from alexnet.data.prepare import prepare
from alexnet.data.prepare_update import OtherSettings, side_of_store
from alexnet.data.remote import local_source
from alexnet.data.sources import Source, SourceOptions, open_source
from alexnet.data.store import Store, training_images
from alexnet.errors import AlexNetError, CommandError, DataError, Diverged, Stopped, WorkError
from alexnet.evaluation import ensemble
from alexnet.evaluation.calibration import CalibrateOptions, calibrate
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.metrics import mean_nll
from alexnet.evaluation.prediction_cache import CENTER
from alexnet.evaluation.predictor import Predictor, load
from alexnet.evaluation.run_evaluation import (
    EvaluateOptions,
    Evaluation,
    class_predictions,
    evaluate_runs,
    uncalibrated_views_of,
)
from alexnet.fitting.candidates import (
    LINEAR,
    ONE_STEP,
    SIDES,
    START_SECONDS,
    Candidate,
    PhotoCounts,
    Plan,
    Speed,
    are_more,
    first_candidate,
    measure_speed,
    plan,
    shortened,
)
from alexnet.fitting.choice import choose, wrong_predictions
from alexnet.fitting.label_errors import (
    MAX_PHOTOS,
    find_suspects,
    fisher_probabilities,
    linear_probabilities,
)
from alexnet.fitting.splits import TEST, TRAIN, VALIDATION, describe_untested, with_three_splits
from alexnet.hardware import choose_device, cpu_count, describe_device
from alexnet.interop.export import export
from alexnet.io import exclusive_lock
from alexnet.progress import Progress, ProgressBar, no_progress, no_progress_bar
from alexnet.runs.calibration import CALIBRATION_FILE
from alexnet.runs.fit_record import REFIT, CandidateResult, Fit, NotTried, Suspect
from alexnet.runs.metrics_log import (
    has_finished,
    last_layer_strength,
    training_end,
    training_seconds,
)
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import position
from alexnet.runs.results import ViewSet, read_results
from alexnet.runs.run_dir import FIT_STORE, PRETRAINED, EnsembleDir, EnsembleMember, RunDir, is_fit
from alexnet.text import counted, duration, percentage
from alexnet.training.config import SEEDS
from alexnet.training.last_layer import DEFAULT_STRENGTH
from alexnet.training.run import train
from alexnet.training.trainer import Log

MODEL_FILE = "model.safetensors"
SAMPLED_PHOTOS = 200
"""Photos whose sizes choose the side of the store."""
RESERVED = 0.15
"""Share of the time that is kept for what comes after training, at least."""
TEN_CROPS_COST = 10.0
"""Time to test a photo with ten crops, relative to one crop."""
LABEL_SEARCH_COST = 0.5
"""Time of the logistic regressions of the search for wrong labels for each photo, relative to those of
`linear` for each training photo, with the search for their penalty."""
REPORT_SECONDS = 15.0
"""For reading models, tables and the report."""


@dataclass(frozen=True)
class FitOptions:
    """How a fit is made."""

    minutes: float = 10.0
    seed: int | None = None
    """By default that of the fit that is continued, or 0."""
    group_by: str = ""
    """A regular expression over keys: photos with the same match stay in one split."""
    networks_only: bool = False
    """Whether only networks are chosen, which can be exported as ONNX and for browsers."""
    drop_duplicates: bool = False
    """Whether one photo of each set with the same pixels is kept, in all splits together."""
    source: SourceOptions = field(default_factory=SourceOptions)
    resume: bool = False
    """Whether to continue an existing fit: with more minutes, or more or corrected photos."""
    device: str | torch.device = "auto"
    workers: int | None = None
    """Processes that prepare photos, by default one per core."""
    progress: ProgressBar = no_progress_bar
    """Counts photos."""
    fetch_progress: ProgressBar = no_progress_bar
    """Counts the bytes of photos at an address."""
    training_progress: Progress = no_progress
    log: Log = lambda line: None


_DEFAULTS = FitOptions()


@dataclass(frozen=True)
class FitResult:
    """A finished fit."""

    fit: Fit
    evaluations: tuple[Evaluation, ...]
    """On `test`: of each chosen run and, if there are several, of their average, which comes last."""
    minutes: float
    """Of this call; `fit.used_minutes` counts all calls."""


def fit(
    photos: str | Path,
    run: str | Path | None = None,
    *,
    minutes: float = 10.0,
    resume: bool = False,
    seed: int | None = None,
    networks_only: bool = False,
    log: Log = _DEFAULTS.log,
) -> Predictor:
    """A classifier of labeled photos, in any form that `prepare` reads, trained within about `minutes`.

    `photos` can also be at an address such as `s3://bucket/photos`.

    It is kept in the directory `run`, with its store, its errors and all candidates; without one in a new
    temporary directory. With `resume` a fit that is there is continued, with its `seed`; that of a new one is
    0 by default. With `networks_only` no classic pipeline is chosen, so that the model can be exported as
    ONNX. `log` receives what was understood of the photos and how each candidate did. Errors as
    `fit_photos`.
    """
    place = Path(tempfile.mkdtemp(prefix="alexnet-fit-")) / "run" if run is None else Path(run)
    options = FitOptions(minutes=minutes, resume=resume, seed=seed, networks_only=networks_only, log=log)
    fit_photos(photos, place, options)
    return load(place)


def fit_photos(photos: str | Path, run: str | Path, options: FitOptions = _DEFAULTS) -> FitResult:
    """Trains several candidates on labeled photos, chooses among them, and tests what was chosen.

    CommandError if `run` holds something else, a fit without `options.resume`, or one with another seed, or
    if the seed is out of range (`training.config.SEEDS`);
    Stopped at a signal, after saving; otherwise errors as `open_source`, `with_three_splits`, `prepare` and
    `train`.
    """
    return _Fitting(photos, Path(run), options).make()


class _LeftOutError(Exception):
    """Why a candidate is left out."""


class _Fitting:
    """One call of `fit_photos`."""

    def __init__(self, photos: str | Path, run: Path, options: FitOptions) -> None:
        self.photos, self.run, self.options, self.log = photos, run, options, options.log
        self.start = time.monotonic()
        self.device = choose_device(options.device)
        self.before = self._opened()
        self.seed = self._seed()
        self.speed: Speed | None = None
        """Measured before the first candidate, and corrected by what that took."""
        self.directories: dict[str, str] = {}
        """The run directory of each candidate in this call."""

    def make(self) -> FitResult:
        """Returns the finished fit. Busy if another process is working in the directory."""
        place = local_source(self.photos, self.options.fetch_progress, self.log)
        self.start = time.monotonic()
        source = self._source(place)
        for line in describe_overview(overview(source)):
            self.log(line)
        try:
            self.run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"cannot make {self.run} ({error.strerror}): choose another directory") from error
        with exclusive_lock(self.run):
            if is_fit(self.run):  # perhaps of a process that has ended since
                self.before = self._opened()
                self.seed = self._seed()
            return self._made(source)

    def _made(self, source: Source) -> FitResult:
        store = self._prepared(source)
        state, predictions = self._with_candidates(self._begun(store), store)
        chosen = choose(predictions)
        errors = wrong_predictions(ensemble.mean([predictions[name] for name in chosen]))
        refit = self._refit(chosen, store, state)
        state = replace(state, chosen=chosen, refit=refit, errors=errors)
        EnsembleDir(self.run).write(
            self.run.name, [EnsembleMember(name=name, pretraining=False) for name in state.members]
        )
        held_out = [self.run / name for name in chosen]
        views = self._views(held_out, [predictions[name] for name in chosen], state.splits)
        tested = EvaluateOptions(split=TEST, views=views, device=self.device, progress=self.options.progress)
        evaluations = evaluate_runs(self.run, store, tested)
        (self.run / CALIBRATION_FILE).unlink(missing_ok=True)  # of an earlier choice
        calibrate(
            self.run,
            store,
            CalibrateOptions(
                views=views,
                predicted_by=held_out,
                device=self.device,
                progress=self.options.progress,
                log=self.log,
            ),
        )
        export(self.run / state.members[0], self.run / MODEL_FILE)
        validated = [predictions[name] for name in chosen]
        suspects = self._suspects(store, state, validated, [each.predictions for each in evaluations])
        state = replace(state, suspects=suspects, used_minutes=self._used_minutes())
        state.write(self.run)
        minutes = (time.monotonic() - self.start) / 60
        return FitResult(state, tuple(evaluations if len(chosen) > 1 else evaluations[:1]), minutes)

    def _with_candidates(self, state: Fit, store: Store) -> tuple[Fit, dict[str, Predictions]]:
        """The state with all candidates, and their predictions for the validation photos by run directory."""
        photos = state.splits
        predicted = 2 * photos[VALIDATION] + photos[TEST]
        counts = PhotoCounts(photos[TRAIN], len(store.classes), store.side, predicted, photos[VALIDATION])
        predictions: dict[str, Predictions] = {}
        self.speed = measure_speed(counts, self.device)
        held_out = f"{photos[VALIDATION]:,} for validation, {photos[TEST]:,} for the test"
        self.log(f"{photos[TRAIN]:,} photos of {len(store.classes)} classes for training, {held_out}")
        self.log(f"{describe_device(self.device)}: {self.speed.network:,.0f} photos/s in training")
        first = first_candidate(counts, self._left(photos), self.speed, self.seed)
        before = state.candidates
        state, linear = self._with_candidate(first, state, store, predictions)
        assert linear is not None
        trained_on = linear.photos or photos[TRAIN]
        if linear not in before and trained_on < photos[TRAIN]:
            self.log(f"no time to train {LINEAR} on all photos: it was trained on {trained_on:,} of them")
        if self.device.type == "cpu":
            prediction_seconds = predictions[linear.name].seconds
            self.speed = self.speed.as_observed(counts, trained_on, linear.seconds, prediction_seconds)
        made = [each for each in (_latest(name, state) for name in ONE_STEP) if each is not None]
        done = {_kind(each.name): each.photos or photos[TRAIN] for each in made}
        missing = [each for each in made if each.photos == photos[TRAIN] and not self._has_refit(each.name)]
        again = max((each.seconds * counts.refit for each in missing), default=0.0)
        seconds = max(0.0, self._left(photos))
        only = self.options.networks_only
        planned = plan(counts, seconds, self.speed, self.seed, done, again, networks_only=only)
        self._log_plan(planned, seconds, state)
        state = replace(state, not_tried=planned.not_tried)
        start = time.monotonic()
        planned_for = START_SECONDS
        for candidate in planned.candidates:
            used = time.monotonic() - start
            late = max(0.0, used - planned_for - planned.spare)
            within = shortened(
                candidate, candidate.seconds - late if candidate.takes_time else seconds - used
            )
            planned_for += candidate.seconds + START_SECONDS
            if within is None:
                state = self._left_out(state, self._directory(candidate, state), "no time left for it")
                continue
            if within.config != candidate.config:
                shorter = f"{duration(within.seconds)} instead of {duration(candidate.seconds)}"
                self.log(f"{candidate.name}: {shorter}, since others took longer than planned")
            state, _ = self._with_candidate(within, state, store, predictions)
        state.write(self.run)
        earlier = [each.name for each in state.candidates if each.name not in predictions]
        predictions |= {name: self._predictions(name, store) for name in earlier if self._may_choose(name)}
        return state, predictions

    def _may_choose(self, name: str) -> bool:
        """Whether a candidate of an earlier call may be chosen in this one."""
        return not self.options.networks_only or RunDir(self.run / name).config().classic is None

    def _with_candidate(
        self, candidate: Candidate, state: Fit, store: Store, predictions: dict[str, Predictions]
    ) -> tuple[Fit, CandidateResult | None]:
        """The state with the candidate, trained if it is not yet, and its result; None if it is left out.

        Its predictions are added to `predictions`.
        """
        name = self.directories[candidate.name] = self._directory(candidate, state)
        known = [each for each in state.candidates if each.name == name]
        if known:
            predictions[name] = self._predictions(name, store)
            return state, known[0]
        try:
            result, predictions[name] = self._trained(candidate, name, store)
        except _LeftOutError as reason:
            return self._left_out(state, name, str(reason)), None
        state = replace(state, candidates=(*state.candidates, result), used_minutes=self._used_minutes())
        state.write(self.run)
        return state, result

    def _left_out(self, state: Fit, name: str, reason: str) -> Fit:
        """The state with a candidate that is left out after the plan was made; this is logged."""
        self.log(f"{name}: skipped, {reason}")
        return replace(state, not_tried=(*state.not_tried, NotTried(name, reason)))

    def _log_plan(self, planned: Plan, seconds: float, state: Fit) -> None:
        """Reports what will be trained in `seconds`, and what not and why."""
        named = "; ".join(each.described for each in planned.candidates) or "nothing else fits into it"
        if seconds:
            self.log(f"{duration(seconds)} left for training: {named}")
        else:
            whole = 60 * self.options.minutes - self._left(state.splits)
            self.log(
                f"no time left for other candidates than {LINEAR}: with the report it will take about "
                f"{duration(whole)}"
            )
        if planned.not_tried:
            self.log(f"not tried: {'; '.join(f'{each.name} ({each.reason})' for each in planned.not_tried)}")

    def _opened(self) -> Fit | None:
        """The fit to continue; None for a new one."""
        begun = is_fit(self.run) or (self.run / FIT_STORE).is_dir()  # at first there are only prepared photos
        if not begun:
            RunDir.refuse_taken(self.run)
        elif not self.options.resume:
            raise CommandError(
                f"{self.run} is a fit: type --resume (in Python resume=True) to continue it, or choose "
                "another directory"
            )
        if self.options.resume and not begun:
            self.log(f"there is no fit in {self.run} to continue: a new one is made")
        return Fit.read(self.run) if is_fit(self.run) else None

    def _seed(self) -> int:
        """The seed of all candidates; CommandError if that of the options is out of range, or not that of the
        fit there.
        """
        wanted, there = self.options.seed, self.before.seed if self.before is not None else None
        if wanted is not None and wanted not in SEEDS:
            raise CommandError(f"seed={wanted} must be {SEEDS}")
        if None not in (wanted, there) and wanted != there:
            raise CommandError(
                f"{self.run} was made with seed {there}, not {wanted}: omit it, or choose another directory"
            )
        return there or wanted or 0

    def _source(self, place: Path) -> Source:
        """The photos in three splits; DataError if they have one class."""
        source = open_source(place, 0, self.options.source)
        if len(source.classes) < 2:
            raise DataError(
                f"{self.photos} has one class, {source.classes[0].name}: add a folder of other photos"
            )
        if self.options.drop_duplicates:
            known = store_notes.known_hashes(self.run / FIT_STORE)
            workers = self.options.workers or cpu_count()
            source = drop_duplicates(source, source.settings.with_choices(channels=3), known, workers)
        return with_three_splits(source, self.options.group_by)

    def _begun(self, store: Store) -> Fit:
        """What is known before the first candidate; results on the same photos are kept."""
        known, minutes = self.before, self.options.minutes
        state = Fit(
            photos=str(self.photos),
            store_digest=store.digest,
            minutes=minutes + (known.minutes if known else 0.0),
            used_minutes=self._used_minutes(),
            seed=self.seed,
            splits={name: len(store.split(name)) for name in (TRAIN, VALIDATION, TEST)},
        )
        if known is not None and known.store_digest == store.digest:
            finished = bool(known.chosen)
            state = replace(state, candidates=known.candidates, round=known.round + finished)
        elif known is not None:
            self.log(f"the photos have changed: all candidates are trained again{self._error_before(known)}")
            state = replace(state, round=known.round + 1)
        state.write(self.run)
        return state

    def _error_before(self, known: Fit) -> str:
        """The error on the test photos of the earlier photos, as the end of a sentence; empty without one."""
        found = [
            each
            for each in (read_results(self.run) if known.chosen else [])
            if (each.store_digest, each.split) == (known.store_digest, TEST)
        ]
        if not found:
            return ""
        wrong, photos = percentage(found[-1].top1.error), counted(found[-1].images, "test photo")
        return f"; before the change, {wrong} of {photos} were misclassified"

    def _views(
        self, chosen: Sequence[Path], made: Sequence[Predictions], photos: Mapping[str, int]
    ) -> ViewSet:
        """The views with which the model is tested and calibrated, and which are then its default.

        They are those of the chosen models, or the center crop where there is no time for more. `made` are
        their predictions with that crop, which know how long they took.
        """
        usual = uncalibrated_views_of(chosen)  # an earlier round had less time
        if usual == CENTER:
            return usual
        tested = photos[VALIDATION] + photos[TEST]
        seconds = tested * TEN_CROPS_COST * sum(each.seconds / len(each.labels) for each in made)
        if seconds <= self._until_the_report():
            return usual
        self.log(
            f"tested and calibrated with the center crop, which is also what it predicts with: {usual} crops "
            f"would take about {duration(seconds)}"
        )
        return CENTER

    def _has_time_for_labels(self, photos: Mapping[str, int]) -> bool:
        """Whether there is time to predict each photo by models of other photos; if not, this is logged."""
        assert self.speed is not None
        count = sum(photos.values())
        seconds = count * (self.speed.forward + LABEL_SEARCH_COST * self.speed.last_layer)
        copies = "label errors are not searched for, except copies with different labels"
        if count > MAX_PHOTOS:
            self.log(f"{copies}: that takes too long with more than {MAX_PHOTOS:,} photos")
        elif seconds > self._until_the_report():
            self.log(
                f"{copies}: that would take about {duration(seconds)}; for this, type the command again with "
                "--resume and more --minutes"
            )
        else:
            return True
        return False

    def _until_the_report(self) -> float:
        """Seconds that are left before the report must be begun."""
        return 60 * self.options.minutes - (time.monotonic() - self.start) - REPORT_SECONDS

    def _prepared(self, source: Source) -> Store:
        photos = sum(len(split) for split in source.splits.values())
        settings = source.settings.with_choices(
            side=self._side(source), shape="square", resize="crop", encoding="jpeg", channels=3
        )
        with self.options.progress("preparing", photos) as advance:
            try:
                store = prepare(
                    source,
                    self.run / FIT_STORE,
                    settings,
                    self.options.workers,
                    progress=advance,
                    log=self.log,
                )
            except OtherSettings as error:
                raise CommandError(
                    f"{self.run} was made with {error.differences}: use the same options, or choose another "
                    "--run"
                ) from error
        for photo in store.manifest.unreadable:
            self.log(f"skipped, unreadable: {photo.split}/{photo.key} ({photo.reason})")
        if store.manifest.findings is not None:
            for line in describe_findings(store.manifest.findings, "alexnet fit"):
                self.log(line)
        for line in describe_untested(store):
            self.log(line)
        return store

    def _side(self, source: Source) -> int:
        """Side of the stored squares: that of an existing store, or what the photos have, within `SIDES`."""
        return side_of_store(self.run / FIT_STORE) or usual_side(source)

    def _used_minutes(self) -> float:
        """Over all calls."""
        before = self.before.used_minutes if self.before is not None else 0.0
        return before + (time.monotonic() - self.start) / 60

    def _left(self, photos: Mapping[str, int]) -> float:
        """Seconds that are left for training.

        What comes after it has a share of the minutes, or as long as the tests of two models with one crop
        and the report take, if that is longer.
        """
        assert self.speed is not None
        needed = 2 * photos[TEST] * self.speed.forward + REPORT_SECONDS
        kept = max(RESERVED * 60 * self.options.minutes, needed)
        return 60 * self.options.minutes - (time.monotonic() - self.start) - kept

    def _directory(self, candidate: Candidate, state: Fit) -> str:
        """The name of the candidate's run: with the number of the round from the second one on.

        What is fitted in one step is the same in every round on the same photos, unless it is now trained on
        more of them.
        """
        if candidate.takes_time:
            return self._in_round(candidate.name, state.round)
        made, train_photos = _latest(candidate.name, state), state.splits[TRAIN]
        if made is None:
            return self._in_round(candidate.name, _photos_round(state))
        part = candidate.config.data.max_images or train_photos
        more = are_more(part, made.photos or train_photos, train_photos)
        return self._in_round(candidate.name, state.round) if more else made.name

    def _has_refit(self, name: str) -> bool:
        """Whether this run was retrained with the validation photos added."""
        return has_finished(RunDir(self.run / f"{name}{REFIT}").metrics_file)

    @staticmethod
    def _in_round(name: str, number: int) -> str:
        return name if number == 1 else f"{name}-{number}"

    def _trained(self, candidate: Candidate, name: str, store: Store) -> tuple[CandidateResult, Predictions]:
        """The candidate, trained as far as it is not yet, and tested on the validation photos.

        _LeftOutError if its training took longer than it may, or diverged; `linear` raises the error itself.
        """
        place, most = RunDir(self.run / name), candidate.max_minutes
        part = candidate.config.data.max_images
        if place.config_file.is_file() and (begun := place.config().data.max_images) != part:
            which = f"{begun:,} of the photos" if begun else "all photos"
            self.log(f"{name}: continued as it was begun, on {which}")
        start = time.monotonic() - training_seconds(place.metrics_file)  # of calls that were stopped
        init_from = self._weights(candidate, store)
        try:
            self._train(candidate.config, name, store, init_from, most or None)
        except Stopped as stopped:
            if not stopped.timed_out:
                raise
            raise _LeftOutError(f"not finished within {duration(60 * most)}") from stopped
        except Diverged as error:
            if candidate.name == LINEAR:
                raise
            raise _LeftOutError(error.found) from error
        made = self._predictions(name, store)
        reached, end = position(place), training_end(place.metrics_file)
        result = CandidateResult(
            name=name,
            title=candidate.title,
            recipe=candidate.config.recipe,
            seconds=time.monotonic() - start,
            updates=0 if candidate.config.classic is not None else reached.step or 0,
            epochs=reached.epoch or 0,
            training_error=end and end.error,
            errors=wrong_predictions(made),
            nll=mean_nll(made.probabilities, made.labels),
            photos=len(training_images(store, place.config().data)),
            init_from=init_from,
        )
        wrong = percentage(result.errors / len(made.labels))
        self.log(
            f"{name}: {wrong} of {len(made.labels):,} validation photos misclassified, {result.seconds:.0f} s"
        )
        return result, made

    def _train(
        self,
        config: RunConfig,
        name: str,
        store: Store,
        init_from: str,
        minutes: float | None = None,
    ) -> None:
        """Trains a run to its end: a new one with `config`, or one that was stopped, also while it ended.

        `init_from` is `pretrained`, the directory of another run of this fit, or empty.
        """
        place = RunDir(self.run / name)
        begun = place.config_file.is_file()
        train(
            place.config() if begun else config,
            store,
            place.path,
            init_from=PRETRAINED if init_from == PRETRAINED else self.run / init_from if init_from else None,
            resume=begun,
            minutes=minutes,
            device=self.device,
            weights_only=True,
            progress=self.options.training_progress,
        )

    def _refit(self, chosen: Sequence[str], store: Store, state: Fit) -> tuple[str, ...]:
        """The runs of the chosen candidates, retrained with the validation photos added.

        Once the choice is made, the validation photos are more useful for training. A candidate is missing if
        there is no time for it.
        """
        photos, made = state.splits, list[str]()
        both = photos[TRAIN] + photos[VALIDATION]
        known = {each.name: each for each in state.candidates}
        for name in sorted(chosen, key=lambda name: known[name].seconds):
            result, again = known[name], f"{name}{REFIT}"
            seconds = result.seconds * both / photos[TRAIN]
            left = self._left(photos)
            done = self._has_refit(name)
            config = RunDir(self.run / name).config()
            if result.init_from is None:  # a fit of an earlier version
                continue
            if config.data.max_images:  # with more photos to choose from it would use as many
                self.log(
                    f"{name}: not retrained with the validation photos added: it uses a part of the photos"
                )
                continue
            if not done and seconds > left:
                self.log(f"{name}: not retrained with the validation photos added: no time left")
                continue
            now = f"already retrained on {both:,}" if done else f"retraining on {both:,}"
            took = "" if done else f", about {duration(seconds)}"
            self.log(f"{name}: {now} photos, with the validation photos included{took}")
            config = replace(config, data=replace(config.data, train_splits=(TRAIN, VALIDATION)))
            try:
                self._train(config, again, store, result.init_from, max(left, 1.0) / 60)
            except (CommandError, Diverged, Stopped) as error:
                if isinstance(error, Stopped) and not error.timed_out:
                    raise
                reason = error.found if isinstance(error, Diverged) else error.what
                self.log(f"{name}: not retrained with the validation photos added: {reason}")
                continue
            made.append(again)
        return tuple(made)

    def _predictions(self, name: str, store: Store) -> Predictions:
        options = InferenceOptions(device=self.device)
        return class_predictions(RunDir(self.run / name), store, VALIDATION, CENTER, options)

    def _weights(self, candidate: Candidate, store: Store) -> str:
        """The model to initialize from: the same candidate of an earlier round on these photos, if any.

        Other photos may have been in another split then.
        """
        if not candidate.init_from:
            return ""
        before = self.before if self.before and self.before.store_digest == store.digest else None
        if candidate.takes_time and before and (earlier := _latest(candidate.name, before)):
            return earlier.name
        source = candidate.init_from
        return PRETRAINED if source == PRETRAINED else self.directories[source]

    def _suspects(
        self, store: Store, state: Fit, validation: Sequence[Predictions], test: Sequence[Predictions]
    ) -> tuple[Suspect, ...]:
        """Photos whose labels should be checked; the predictions are those of each chosen model."""
        # The last prediction for the test photos is the mean's.
        for name, *others in zip(state.members, validation, test, strict=False):
            run = RunDir(self.run / name)
            if run.config().classic is not None:
                found = fisher_probabilities(run, store, dict(zip((VALIDATION, TEST), others, strict=True)))
                if found is not None:
                    return find_suspects(store, found)
        if not self._has_time_for_labels(state.splits):
            return find_suspects(store, None)
        place = RunDir(self.run / self.directories[LINEAR])
        strength = last_layer_strength(place.metrics_file) or DEFAULT_STRENGTH
        model = load(place.path, self.device).bundle
        return find_suspects(store, linear_probabilities(model, store, strength, self.seed))


def _kind(name: str) -> str:
    """The candidate of a run directory: its name without the number of the round."""
    return re.sub(r"-\d+$", "", name)


def _latest(kind: str, state: Fit) -> CandidateResult | None:
    """The last result of a candidate on the present photos; None without one."""
    return next((each for each in reversed(state.candidates) if _kind(each.name) == kind), None)


def _photos_round(state: Fit) -> int:
    """The round since which the photos have been the same."""
    names = (re.fullmatch(rf"{LINEAR}(?:-(\d+))?", each.name) for each in state.candidates)
    return next((int(name[1] or 1) for name in names if name is not None), state.round)


def usual_side(source: Source) -> int:
    """Side of the stored squares: the median of the photos' shorter sides, within `SIDES`."""
    split = source.splits[TRAIN]
    sides: list[int] = []
    for index in range(0, len(split), max(1, len(split) // SAMPLED_PHOTOS)):
        try:
            sides.append(min(image_size(split[index].image)))
        except AlexNetError:  # `prepare` lists it
            continue
    return min(max(int(median(sides)) if sides else SIDES[0], SIDES[0]), SIDES[1])
