"""Training of a classic pipeline, channel after channel; the counterpart of `trainer`.

Each channel goes through three stages:

1. learn: a random sample of descriptors gives the PCA and the codebook;
2. encode: the feature vector of each training photo is written to a file;
3. classify: linear classifiers are trained on these vectors with early stopping, or solved exactly, and
   calibrated.

Then the pipeline is validated and saved as the run's only checkpoint. Until then `RUN/features` holds what a
resumed run needs: `state.json` is the position (`ClassicPosition`), `channelN.safetensors` what a channel has
learned, `channelN.npy` its feature vectors (`channelN-centers.safetensors`: the product quantizer),
`channelN-sgd.safetensors` its classifiers in training, and `channelN-left-out.safetensors` what classifiers
by least squares predict for each training photo without it: `RUN/predictions/left-out.npz` has their mean.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet import distributed
from alexnet.checksum import Damaged, known_sha256, write_json_with_checksum
from alexnet.classic.arrays import generator
from alexnet.classic.compression import Codec, FeatureFile, Float16Codec, PqCodec, ProductQuantizer
from alexnet.classic.config import ClassicConfig
from alexnet.classic.least_squares import MAX_PHOTOS, fit_least_squares, products
from alexnet.classic.pipeline import ChannelModel, Pipeline, mean_log_probabilities
from alexnet.classic.svm import EarlyStopping, HingeSgd, SoftmaxCalibration, random_split, scores
from alexnet.config import RunConfig
from alexnet.data.crops import center
from alexnet.data.groups import photo_groups
from alexnet.data.image_reader import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store, training_images
from alexnet.errors import CommandError, DataError, Stopped
from alexnet.hardware import cpu_count
from alexnet.io import atomic_write, exclusive_lock
from alexnet.json_reader import read_object
from alexnet.models import bundle
from alexnet.models.layers.init import shapes_only
from alexnet.progress import Advance
from alexnet.runs import predictions
from alexnet.runs.checkpoints import META, PipelineResult
from alexnet.runs.metrics_log import MetricsLog, has_finished
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training import checkpoint
from alexnet.training.preemption import Interruption
from alexnet.training.train_state import refuse_alike
from alexnet.training.trainer import Evaluate, Log, TrainOptions, TrainResult

SHARD = 64
"""Number of photos that are encoded and saved together."""
DESCRIPTORS_PER_PHOTO = 150
"""Minimum number of descriptors sampled from a photo, if it has as many; fewer photos then have to be
read."""
QUANTIZER_PHOTOS = 1024
"""Number of photos to whose feature vectors the product quantizer is fitted."""


def train_pipeline(
    config: RunConfig,
    store: Store,
    run: RunDir,
    evaluate: Evaluate,
    options: TrainOptions,
) -> TrainResult:
    """Trains all channels, validates the pipeline and returns how the run ended.

    In the result, `step` is the number of encoded photos over all channels, and `epochs` that of passes of
    the classifiers. A resumed run continues after the last shard of photos, or after the last saved pass.
    Raises Stopped after saving, at a signal or a time limit; CommandError if configuration and store do not
    fit together; WorkError if the disk is full or not writable.
    """
    classic = check_pipeline(config, store)
    with ExitStack() as stack:
        stack.enter_context(exclusive_lock(run.path))
        checkpoint.tidy(run.checkpoints)
        done = _finished(run, config, store, options) if options.resume else None
        if done is not None:
            return done
        stack.enter_context(torch.no_grad())
        cache = FeatureCache.open(run, store.digest, options.resume)
        position, images = cache.position, len(training_images(store, config.data))
        encoded = position.channel * images + position.images
        trainer = ClassicTrainer(
            config=config,
            classic=classic,
            store=store,
            device=options.device,
            cache=cache,
            metrics=stack.enter_context(
                MetricsLog(run.metrics_file, run.tensorboard, encoded, position.log_lines, options.callback)
            ),
            interruption=stack.enter_context(Interruption(options.minutes)),
            advance=stack.enter_context(options.progress(images * len(classic.channels), encoded)),
            log=options.log,
        )
        if note := trainer.metrics.lost_note:
            options.log(note)
        trainer.event("resume" if encoded or position.stage != "learn" else "start")
        while not trainer.finished:
            trainer.next_stage()
        result = trainer.validate(evaluate)
        trainer.save(run, result)
        _end(run, trainer.metrics, result)
    return result


def check_pipeline(config: RunConfig, store: Store) -> ClassicConfig:
    """The pipeline's configuration if it fits the store, else CommandError.

    DataError if all training images are alike.
    """
    if config.classic is None:
        raise CommandError(f"{config.recipe} is not a classic pipeline: it has no `classic` section")
    if distributed.world_size() > 1:
        raise CommandError("a classic pipeline is trained in one process: type the command without torchrun")
    if len(store.classes) < 2:
        raise CommandError(f"{store.path} has one class: training needs two or more")
    photos = len(training_images(store, config.data))
    if photos < 2:
        raise CommandError(f"{store.path} has fewer than two training photos: prepare more")
    if config.classic.classifier == "least-squares" and photos > MAX_PHOTOS:
        raise CommandError(
            f"classic.classifier=least-squares is for at most {MAX_PHOTOS:,} training photos, and there are "
            f"{photos:,}: type classic.classifier=svm"
        )
    refuse_alike(store)
    Preprocessing.from_store(config.data, store)
    with shapes_only():
        pipeline = Pipeline(config.classic, len(store.classes), config.data.input_size)
    for name, channel in zip(pipeline.layer_names, pipeline, strict=True):
        words, patches = channel.channel.codebook_size, len(channel.descriptor.centers(pipeline.side))
        found = sample_size(config.classic.sample_descriptors, photos, patches)
        if found < words:
            raise CommandError(
                f"{name} ({channel.channel.descriptor}) would learn {words:,} words from {found:,} "
                "descriptors: use more photos, a larger classic.sample_descriptors, or fewer words"
            )
    return config.classic


def sample_size(wanted: int, photos: int, patches: int) -> int:
    """Number of descriptors in the sample: `wanted`, or all if the photos, with `patches` descriptors each,
    have fewer.
    """
    return min(wanted, photos * patches)


def _finished(run: RunDir, config: RunConfig, store: Store, options: TrainOptions) -> TrainResult | None:
    """The result of the run if it has finished; DataError if its checkpoint is damaged."""
    found = checkpoint.newest(run.checkpoints, options.log)
    if found is None:
        return None
    ended = found.meta.training
    if not isinstance(ended, PipelineResult):
        raise DataError(f"{found.path / META} is of a network: delete {run.path} and train again")
    result = TrainResult(found.step, ended.epochs, ended.errors, ended.best_top1_error, ended.seconds)
    if (run.path / FEATURES / POSITION).is_file() and not predictions.left_out_path(run.path).is_file():
        # The process was killed after the checkpoint was saved.
        save_left_out(run, config, store, FeatureCache.saved(run.path / FEATURES))
    place = (run.metrics_file, run.tensorboard)
    with MetricsLog(*place, found.step, found.meta.log_lines, options.callback) as metrics:
        _end(run, metrics, result)
    return result


def _end(run: RunDir, metrics: MetricsLog, result: TrainResult) -> None:
    """Logs the result of a run whose checkpoint is saved, once, and removes what only training needed."""
    if not has_finished(run.metrics_file):
        values = {**result.errors, "best_top1_error": result.best_top1_error, "seconds": result.seconds}
        metrics.write("result", result.step, result.epochs, **values)
    checkpoint.finish(run.checkpoints, metrics.sync())
    FeatureCache.discard(run)


@dataclass
class ClassicTrainer:
    """One run's training."""

    config: RunConfig
    classic: ClassicConfig
    store: Store
    device: torch.device
    cache: FeatureCache
    metrics: MetricsLog
    interruption: Interruption
    advance: Advance
    log: Log

    def __post_init__(self) -> None:
        self.split = training_images(self.store, self.config.data)
        self.labels = torch.from_numpy(self.split.labels).long()
        """(N,) int64 of the training photos, on the CPU."""
        self.preprocessing = Preprocessing.from_store(self.config.data, self.store)
        model = Pipeline(self.classic, len(self.store.classes), self.config.data.input_size)
        self.cache.restore(model)
        self.model = model.to(self.device).eval()

    @property
    def position(self) -> ClassicPosition:
        """The position of the training."""
        return self.cache.position

    @property
    def finished(self) -> bool:
        """Whether all channels are trained."""
        return self.position.channel == len(self.classic.channels)

    @property
    def channel(self) -> ChannelModel:
        """The channel in training."""
        return list(self.model)[self.position.channel]

    @property
    def step(self) -> int:
        """Photos encoded so far, over all channels."""
        return self.position.channel * len(self.labels) + self.position.images

    def next_stage(self) -> None:
        """Runs the next stage of the channel in training."""
        started, name = time.monotonic(), self.cache.channel_name
        stage, descriptor = self.position.stage, self.channel.channel.descriptor
        match stage:
            case "learn":
                facts = self._learn()
                self.cache.begin_stage("encode")
            case "encode":
                facts = self._encode()
                self.cache.begin_stage("classify")
            case "classify" if self.classic.classifier == "least-squares":
                facts = self._solve()
            case "classify":
                facts = self._classify()
        seconds = time.monotonic() - started
        self.event(
            "stage", name=stage, channel=name, stage_seconds=seconds, seconds=self.position.seconds, **facts
        )
        listed = ", ".join(f"{fact.replace('_', ' ')} {value:,.4g}" for fact, value in facts.items())
        self.log(f"{name} ({descriptor}): {stage} in {seconds:.0f} s; {listed}")
        if stage == "classify":
            self.cache.begin_channel()
        self._stop_if_requested()

    # Stage 1.

    def _learn(self) -> dict[str, float]:
        """Learns PCA and codebook from a sample of descriptors; a stop in it loses what it has learned."""
        channel = self.channel
        sample = self.sample_descriptors()

        def on_round(number: int) -> None:
            self.advance(0, f"{self.cache.channel_name}: codebook, round {number:,}")
            self._stop_if_requested()

        channel.learn(sample, self.config.training.seed, on_round)
        self.cache.write_tensors(channel.state_dict())
        return {"descriptors": len(sample)}

    def sample_descriptors(self) -> Tensor:
        """(M, D) raw descriptors of the channel, M by `sample_size`: random ones of random photos."""
        wanted, total = self.classic.sample_descriptors, len(self.labels)
        randomness = generator(self.config.training.seed)
        patches = len(self.channel.descriptor.centers(self.config.data.input_size))
        per_photo = min(patches, max(-(-wanted // total), min(wanted, DESCRIPTORS_PER_PHOTO)))
        chosen = torch.randperm(total, generator=randomness)[: -(-wanted // per_photo)]
        parts: list[Tensor] = []
        for _, images in self.photos(chosen):
            for photo in images.split(1):
                descriptors = self.channel.descriptor.describe(photo)[0]
                drawn = torch.randperm(len(descriptors), generator=randomness)[:per_photo]
                parts.append(descriptors[drawn.to(descriptors.device)].clone())
            self.advance(0, f"{self.cache.channel_name}: {len(parts):,} of {len(chosen):,} images sampled")
            self._stop_if_requested()
        return torch.cat(parts)[:wanted]

    def photos(self, numbers: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The training photos with these numbers, SHARD at a time: numbers (n,) and inputs (n, 3, S, S)."""
        side = self.preprocessing.side
        middle = center(side, self.preprocessing.crop)[None]
        read = partial(read_square, self.split)
        with ThreadPoolExecutor(cpu_count()) as readers:
            for shard in numbers.split(SHARD) if len(numbers) else ():
                squares = np.empty((len(shard), side, side, 3), np.uint8)
                deque(readers.map(read, shard.tolist(), squares), maxlen=0)  # raises the error of any reader
                yield shard, self.preprocessing.test_input(torch.from_numpy(squares).to(self.device), middle)

    # Stage 2.

    def _encode(self) -> dict[str, float]:
        """Writes the channel's feature vector of each training photo to the feature file, shard by shard."""
        started, position, total = time.monotonic(), self.position, len(self.labels)
        file = self._feature_file()
        if position.images == 0:
            file.create()
        before = position.images
        for numbers, images in self.photos(torch.arange(position.images, total)):
            file.write(int(numbers[0]), self.channel.features(images))
            self.cache.add_digest(len(numbers))
            position.images += len(numbers)
            rate = (position.images - before) / (time.monotonic() - started)
            self.advance(len(numbers), f"{self.cache.channel_name}: {rate:.1f} images/s")
            if (position.images // SHARD) % self.config.training.log_every_steps == 0:
                left = (total * len(self.classic.channels) - self.step) / rate
                self.event("encode", images_per_second=rate, eta_seconds=left)
            self.cache.save_position()
            self._stop_if_requested()
        return {"images": total}

    def _feature_file(self) -> FeatureFile:
        return FeatureFile(
            self.cache.feature_file, len(self.labels), self.channel.size, self._codec(), self.device
        )

    def _codec(self) -> Codec:
        """The codec of `classic.codes`; a product quantizer is fitted once and then read back."""
        if self.classic.codes == "float16":
            return Float16Codec()
        quantizer = ProductQuantizer(random_state=self.config.training.seed)
        saved = self.cache.read_tensors("-centers")
        if saved:
            quantizer.centers_ = saved["centers"].to(self.device)
            quantizer.n_features_in_ = self.channel.size
            return PqCodec(quantizer)
        order = torch.randperm(len(self.labels), generator=generator(self.config.training.seed))
        rows = [self.channel.features(images) for _, images in self.photos(order[:QUANTIZER_PHOTOS])]
        quantizer.fit(torch.cat(rows))
        self.cache.write_tensors({"centers": quantizer.centers_}, "-centers")
        return PqCodec(quantizer)

    # Stage 3.

    def _classify(self) -> dict[str, float]:
        """Trains linear classifiers on the feature vectors, with early stopping, and fits the scale of their
        scores.
        """
        labels, channel, position = self.labels, self.channel, self.position
        file = self._feature_file()
        train, held = random_split(labels, self.classic.held_out, self.config.training.seed)
        stopping, saved = self._early_stopping(train, held), time.monotonic()
        save = partial(self._save_classifiers, stopping)
        for done in stopping.run(file.read, labels):
            position.passes = max(position.passes, done.number)
            name = self.cache.channel_name
            self.event("pass", channel=name, number=done.number, loss=done.loss, error=done.error)
            self.advance(0, f"{name}: pass {done.number}, error {done.error:.3f}")
            if time.monotonic() - saved > 60 * self.config.training.checkpoint_every_minutes:
                save()
                saved = time.monotonic()
            self._stop_if_requested(save)
        weights, biases = stopping.best
        channel.classifier.weight.copy_(weights)
        channel.classifier.bias.copy_(biases)
        unseen = held if len(held) else train
        calibration = SoftmaxCalibration().fit(scores(stopping.best, file.read, unseen), labels[unseen])
        channel.scale.fill_(calibration.scale_)
        self.cache.write_tensors(channel.state_dict())
        return {
            "held_out": len(held),
            "passes": stopping.best_pass,
            "error": stopping.best_error,
            "scale": calibration.scale_,
        }

    def _solve(self) -> dict[str, float]:
        """Fits linear classifiers to all feature vectors by least squares, and the scale of their scores."""
        channel, file, total, done = self.channel, self._feature_file(), len(self.labels), 0

        def on_photos(count: int) -> None:
            nonlocal done
            done += count
            self.advance(0, f"{self.cache.channel_name}: {done:,} of {total:,} images compared")
            self._stop_if_requested()

        compared = products(file.read, total, on_photos)
        classes, groups = len(self.store.classes), self._groups()
        made = fit_least_squares(compared, self.labels, classes, groups, self._stop_if_requested)
        weights, biases = made.classifiers(file.read)
        channel.classifier.weight.copy_(weights)
        channel.classifier.bias.copy_(biases)
        channel.scale.fill_(made.scale)
        self.cache.write_tensors(channel.state_dict())
        self.cache.write_tensors({"logits": made.scale * made.left_out}, "-left-out")
        error = float((made.left_out.argmax(1) != self.labels).double().mean())
        return {"penalty": made.penalty, "error": error, "scale": made.scale}

    def _groups(self) -> Tensor | None:
        """(N,) the number of each photo's group; None if the store has no groups."""
        names = photo_groups(self.store, self.split)
        return None if names is None else torch.from_numpy(np.unique(names, return_inverse=True)[1])

    def _early_stopping(self, train: Tensor, held: Tensor) -> EarlyStopping:
        """The early stopping at the first pass, or after the last saved one."""
        config = self.config
        sgd = HingeSgd(
            len(self.store.classes),
            self.channel.size,
            learning_rate=config.optimizer.lr,
            weight_decay=config.optimizer.weight_decay,
            batch_size=config.training.batch_size,
        ).to(self.device)
        stopping = EarlyStopping(
            sgd,
            train,
            held,
            max_passes=config.schedule.epochs,
            patience=config.schedule.patience_epochs,
            seed=config.training.seed,
        )
        saved = self.cache.read_tensors("-sgd")
        if saved:
            stopping.load({name: tensor.to(self.device) for name, tensor in saved.items()})
        return stopping

    def _save_classifiers(self, stopping: EarlyStopping) -> None:
        self.cache.write_tensors(stopping.state(), "-sgd")
        self.cache.save_position()

    # The whole pipeline.

    def validate(self, evaluate: Evaluate) -> TrainResult:
        """Tests the trained pipeline; returns how the run ended."""
        errors = dict(evaluate(self.model))
        self.event("validation", **errors)
        self.cache.save_position()
        position = self.position
        return TrainResult(self.step, position.passes, errors, errors["top1_error"], position.seconds)

    def save(self, run: RunDir, result: TrainResult) -> None:
        """Writes the run's only checkpoint, its last and best."""
        classes = self.store.classes
        terms = bundle.default_terms(classes)
        made = bundle.ModelBundle(self.model, self.config, classes, self.preprocessing, terms)
        write_weights = partial(bundle.save, bundle=made)
        ended = PipelineResult(
            epochs=result.epochs,
            errors=result.errors,
            best_top1_error=result.best_top1_error,
            seconds=result.seconds,
        )
        lines = self.metrics.sync()
        checkpoint.write(run.checkpoints, result.step, write_weights, {}, ended, best=True, log_lines=lines)
        save_left_out(run, self.config, self.store, self.cache)
        self.event("checkpoint", best=True)

    def event(self, event: str, **values: Any) -> None:
        """Writes one line of the metrics; the position counts those that are on the disk."""
        self.metrics.write(event, self.step, self.position.passes, **values)
        self.position.log_lines = self.metrics.sync()

    def _stop_if_requested(self, save: Callable[[], None] = lambda: None) -> None:
        """If a signal or the time limit requests it, calls `save`, saves the position and raises Stopped."""
        if not self.interruption.wanted(0):
            return
        save()
        self.cache.save_position()
        self.event("stopped", reason=self.interruption.reason, seconds=self.position.seconds)
        where = (
            "before the validation"
            if self.finished
            else f"in stage {self.position.stage!r} of {self.cache.channel_name}"
        )
        raise Stopped(
            f"stopped {self.interruption.reason} {where}; "
            "progress saved, run the same command with --resume to continue",
            timed_out=self.interruption.timed_out,
        )


def save_left_out(run: RunDir, config: RunConfig, store: Store, cache: FeatureCache) -> None:
    """Saves the predictions of the training photos, each by the classifiers of the others.

    Only least squares makes them; a run that an earlier version began may not have them.
    """
    classic = config.classic
    if classic is None or classic.classifier != "least-squares":
        return
    saved = [cache.read_tensors("-left-out", number) for number in range(len(classic.channels))]
    if not all(saved):
        return
    logits, split = [each["logits"] for each in saved], training_images(store, config.data)
    predictions.save(
        Predictions(
            split=split.name,
            views=ViewSet("center"),
            keys=np.array(split.keys()),
            classes=np.array([each.wnid for each in store.classes]),
            names=np.array([each.name for each in store.classes]),
            probabilities=mean_log_probabilities(logits).exp().float().numpy(),
            labels=split.labels.astype(np.int64),
            weights_digest=known_sha256(find_weights(run.path)),
            store_digest=store.digest,
        ),
        predictions.left_out_path(run.path),
    )


FEATURES = "features"
"""The folder of a run with what its training needs."""
Stage = Literal["learn", "encode", "classify"]
POSITION = "state.json"
TensorFile = Literal["", "-sgd", "-centers", "-left-out"]
"""Files of a channel: what it has learned, its classifiers in training, its product quantizer, the logits of
the training photos by the classifiers of the others.
"""
TENSOR_FILES: tuple[TensorFile, ...] = get_args(TensorFile)


@dataclass
class ClassicPosition:
    """The position of a training, saved in `state.json`."""

    store_digest: str
    channel: int = 0
    """The channel in training, counted from 0; the number of channels when all are trained."""
    stage: Stage = "learn"
    images: int = 0
    """Number of photos encoded by this channel."""
    features_sha256: str = ""
    """Digest of their feature vectors (`FeatureCache.add_digest`); empty for those of version 0.1."""
    passes: int = 0
    """Passes of the classifiers over the photos, the maximum over the channels."""
    seconds: float = 0.0
    """Seconds of training, over all resumes."""
    log_lines: int = 0
    """Lines of the run's log; 0 in files of earlier versions."""


class FeatureCache:
    """The directory `RUN/features`: the position, and the files that a resumed run reads."""

    def __init__(self, folder: Path, position: ClassicPosition):
        self.folder, self.position = folder, position
        self._since = time.monotonic()

    @classmethod
    def open(cls, run: RunDir, store_digest: str, resume: bool) -> FeatureCache:
        """A new cache, or with `resume` the existing one.

        CommandError if that is for another store, DataError if one of its files is damaged or missing.
        """
        folder = run.path / FEATURES
        if not (resume and (folder / POSITION).is_file()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            return cls(folder, ClassicPosition(store_digest))
        cache = cls.saved(folder)
        if cache.position.store_digest != store_digest:
            raise CommandError(
                f"{run.path} was trained on another store: use that one, or another directory with --run"
            )
        return cache

    @classmethod
    def saved(cls, folder: Path) -> FeatureCache:
        """The existing cache in `folder`; DataError if one of its files is damaged or missing."""
        hint = f"delete {folder} to start again"
        position = read_object(
            folder / POSITION, lambda values: ClassicPosition(**values), "is damaged", hint
        )
        cache = cls(folder, position)
        for path in cache._required():
            if not path.is_file():
                raise DataError(f"{path} is missing", hint)
        cache.check_features()
        for what in TENSOR_FILES:
            cache.read_tensors(what)
        return cache

    @property
    def channel_name(self) -> str:
        """Name of the channel in training, starting with `channel1`."""
        return f"channel{self.position.channel + 1}"

    @property
    def feature_file(self) -> Path:
        """The feature vectors of the channel in training."""
        return self.folder / f"{self.channel_name}.npy"

    def save_position(self) -> None:
        """Writes `state.json`."""
        now = time.monotonic()
        self.position.seconds += now - self._since
        self._since = now
        write_json_with_checksum(self.folder / POSITION, asdict(self.position))

    def begin_stage(self, stage: Stage) -> None:
        """Starts this stage of the channel."""
        self.position.stage = stage
        if stage == "encode":
            self.position.images, self.position.features_sha256 = 0, hashlib.sha256().hexdigest()
        self.save_position()

    def add_digest(self, count: int) -> None:
        """Adds `count` more feature vectors to the digest: SHA-256 of the digest before and their bytes."""
        position = self.position
        if position.features_sha256:
            rows = self._rows(position.images, position.images + count)
            position.features_sha256 = _extended(position.features_sha256, rows)

    def check_features(self) -> None:
        """Damaged if the feature vectors of the channel in training differ from their digest."""
        position, digest = self.position, hashlib.sha256().hexdigest()
        if not position.features_sha256:
            return
        for first in range(0, position.images, SHARD):
            digest = _extended(digest, self._rows(first, min(first + SHARD, position.images)))
        if digest != position.features_sha256:
            raise Damaged(
                f"{self.feature_file} is damaged: its feature vectors differ from their digest",
                f"delete {self.folder} to start again",
            )

    def _rows(self, first: int, last: int) -> bytes:
        try:
            rows = np.load(self.feature_file, mmap_mode="r")
        except (ValueError, EOFError) as error:  # of the header, or of a file that is too short
            raise Damaged(
                f"{self.feature_file} is damaged ({error})", f"delete {self.folder} to start again"
            ) from error
        return rows[first:last].tobytes()

    def begin_channel(self) -> None:
        """Starts the next channel; the feature vectors of the current one are removed, what it has learned is
        kept.
        """
        done = [self.feature_file, self._tensor_file("-sgd"), self._tensor_file("-centers")]
        self.position.channel += 1
        self.position.stage, self.position.images, self.position.features_sha256 = "learn", 0, ""
        self.save_position()
        for path in done:  # after a kill before this, they will be overwritten
            path.unlink(missing_ok=True)

    def write_tensors(self, tensors: dict[str, Tensor], what: TensorFile = "") -> None:
        """Writes tensors of the channel in training, replacing earlier ones."""
        saved = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with atomic_write(self._tensor_file(what)) as unfinished:
            save_file(saved, unfinished, {bundle.TENSORS_DIGEST: bundle.tensors_digest(saved)})

    def read_tensors(self, what: TensorFile = "", channel: int | None = None) -> dict[str, Tensor]:
        """The tensors that `write_tensors` wrote, on the CPU; empty if there are none. DataError if the file
        is damaged.
        """
        path = self._tensor_file(what, channel)
        if not path.is_file():
            return {}
        hint = f"delete {self.folder} to start again"
        try:
            with safe_open(path, framework="pt") as opened:
                wanted = (opened.metadata() or {}).get(bundle.TENSORS_DIGEST)  # of earlier versions: None
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise DataError(f"{path} is damaged ({error})", hint) from error
        if wanted is not None and wanted != bundle.tensors_digest(tensors):
            raise Damaged(f"{path} is damaged: its tensors differ from their digest", hint)
        return tensors

    def restore(self, model: Pipeline) -> None:
        """Loads what the channels of `model` have learned."""
        for number, channel in enumerate(model):
            saved = self.read_tensors(channel=number)
            if saved and (number < self.position.channel or self.position.stage != "learn"):
                channel.load_state_dict(saved)

    @classmethod
    def discard(cls, run: RunDir) -> None:
        """Deletes what the training of a run needed; features of the finished run remain."""
        folder = run.path / FEATURES
        for path in folder.glob("*"):
            if path.name == POSITION or path.name.startswith((".", "channel")):
                path.unlink()
        with suppress(OSError):  # it is not empty, or was never made
            folder.rmdir()

    def _required(self) -> list[Path]:
        """The files that must exist at this position: what the channels have learned, and the feature
        vectors.
        """
        learned = self.position.channel + (self.position.stage != "learn")
        files = [self._tensor_file("", number) for number in range(learned)]
        if self.position.images > 0 or self.position.stage == "classify":
            files.append(self.feature_file)
        return files

    def _tensor_file(self, what: TensorFile, channel: int | None = None) -> Path:
        name = self.channel_name if channel is None else f"channel{channel + 1}"
        return self.folder / f"{name}{what}.safetensors"


def _extended(digest: str, rows: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(digest) + rows).hexdigest()
