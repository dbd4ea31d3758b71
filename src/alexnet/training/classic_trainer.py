"""Where the fitting of a classic pipeline stands, and what of it lies in `RUN/features`.

`state.json` says which stage of which channel is going on; `channelN.safetensors` is what a channel has
learned, `channelN.npy` its photos' vectors (`channelN-centers` with product quantization), `channelN-sgd` its
classifiers in training. All of it can be made again, and is removed when the run is done.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alexnet import distributed
from alexnet.classic import svm
from alexnet.classic.arrays import generator
from alexnet.classic.compression import Codec, FeatureFile, Halves, Pca, ProductQuantizer, Quantized
from alexnet.classic.config import ClassicConfig
from alexnet.classic.pipeline import ChannelModel, Pipeline
from alexnet.classic.svm import EarlyStopping, HingeSgd, SoftmaxCalibration, scores
from alexnet.config import RunConfig
from alexnet.data.crops import center
from alexnet.data.image_reader import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store, training_images
from alexnet.errors import CommandError, DataError, Stopped
from alexnet.hardware import cpu_count
from alexnet.io import atomic_write, exclusive_lock, write_json
from alexnet.models import bundle
from alexnet.runs.metrics_log import MetricsLog
from alexnet.runs.run_dir import RunDir
from alexnet.training import checkpoint
from alexnet.training.preemption import Interruption
from alexnet.training.trainer import Evaluate, Progress, Result

Stage = Literal["learn", "encode", "classify"]


@dataclass
class Standing:
    """How far it is; times in seconds over all resumes."""

    store_digest: str
    channel: int = 0
    """The one at work, from 0; as many as there are when all are done."""
    stage: Stage = "learn"
    images: int = 0
    """Photos encoded by this channel."""
    passes: int = 0
    """Of the classifiers over the photos, the most of any channel."""
    seconds: float = 0.0


@dataclass
class FeatureCache:
    """The folder, and the clock."""

    folder: Path
    standing: Standing
    _since: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, run: RunDir, store_digest: str, resume: bool) -> FeatureCache:
        """A new one, or with `resume` the one there is.

        CommandError where that is of another store, DataError where something of it is damaged or missing.
        """
        folder = run.path / "features"
        file = folder / "state.json"
        if not (resume and file.is_file()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            return cls(folder, Standing(store_digest))
        try:
            standing = Standing(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise DataError(f"{file} is damaged ({error}): delete {folder} to begin again") from error
        if standing.store_digest != store_digest:
            raise CommandError(
                f"{run.path} was fitted to another store: give that one, or another --run folder"
            )
        place = cls(folder, standing)
        for path in place._needed():
            if not path.is_file():
                raise DataError(f"{path} is missing: delete {folder} to begin again")
        return place

    @property
    def name(self) -> str:
        """Of the channel at work, from 1."""
        return f"channel{self.standing.channel + 1}"

    @property
    def vectors(self) -> Path:
        """The channel's vectors."""
        return self.folder / f"{self.name}.npy"

    def save(self) -> None:
        """Writes where it stands."""
        now = time.monotonic()
        self.standing.seconds += now - self._since
        self._since = now
        write_json(self.folder / "state.json", asdict(self.standing))

    def next_stage(self, stage: Stage) -> None:
        """The channel goes on with that stage."""
        self.standing.stage, self.standing.images = stage, 0 if stage == "encode" else self.standing.images
        self.save()

    def next_channel(self) -> None:
        """This channel is done: its vectors go, what it has learned stays."""
        done = [self.vectors, self._tensors("-sgd"), self._tensors("-centers")]
        self.standing.channel, self.standing.stage, self.standing.images = (
            self.standing.channel + 1,
            "learn",
            0,
        )
        self.save()
        for path in done:  # killed before, it finds them again
            path.unlink(missing_ok=True)

    def keep(self, tensors: dict[str, Tensor], what: Literal["", "-sgd", "-centers"] = "") -> None:
        """Writes tensors of the channel at work, in place of those there were."""
        with atomic_write(self._tensors(what)) as unfinished:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, unfinished
            )

    def kept(
        self, what: Literal["", "-sgd", "-centers"] = "", channel: int | None = None
    ) -> dict[str, Tensor]:
        """What `keep` wrote, on the CPU; empty where it wrote nothing. DataError where it is damaged."""
        path = self._tensors(what, channel)
        try:
            return load_file(path) if path.is_file() else {}
        except SafetensorError as error:
            raise DataError(f"{path} is damaged ({error}): delete {self.folder} to begin again") from error

    def remove(self) -> None:
        """All of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _needed(self) -> list[Path]:
        """What must lie there where it stands: all that channels have learned, and the vectors at work."""
        learned = self.standing.channel + (self.standing.stage != "learn")
        written = self.standing.images > 0 or self.standing.stage == "classify"
        return [self._tensors("", number) for number in range(learned)] + [self.vectors] * written

    def _tensors(self, what: str, channel: int | None = None) -> Path:
        name = self.name if channel is None else f"channel{channel + 1}"
        return self.folder / f"{name}{what}.safetensors"


SHARD = 64
"""Photos that are encoded and saved together."""


@dataclass
class Work:
    """One run's fitting."""

    config: RunConfig
    classic: ClassicConfig
    store: Store
    device: torch.device
    model: Pipeline
    place: FeatureCache
    interruption: Interruption
    say: Callable[[str], None]
    lines: MetricsLog
    advance: Callable[..., None] = field(default=lambda count=1, note="": None)

    @property
    def channel(self) -> ChannelModel:
        """The one at work."""
        return list(self.model)[self.place.standing.channel]

    @cached_property
    def split(self) -> Split:
        """What the run is trained on."""
        return training_images(self.store, self.config.data)

    @cached_property
    def labels(self) -> Tensor:
        """(N,) int64 of the training photos, on the CPU."""
        return torch.from_numpy(self.split.labels).long()

    @property
    def step(self) -> int:
        """Photos encoded so far, over all channels."""
        return self.place.standing.channel * len(self.labels) + self.place.standing.images

    def photos(self, numbers: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Training photos with these numbers, SHARD at a time: their numbers (n,), and (n, 3, S, S)."""
        preprocessing = Preprocessing.from_store(self.config.data, self.store)
        middle = center(preprocessing.side, preprocessing.crop)[None]
        read, side = partial(read_square, self.split), preprocessing.side
        with ThreadPoolExecutor(cpu_count()) as readers:
            for few in numbers.split(SHARD) if len(numbers) else ():
                squares = np.empty((len(few), side, side, 3), np.uint8)
                deque(readers.map(read, few.tolist(), squares), maxlen=0)  # raises what went wrong in any
                yield few, preprocessing.test_input(torch.from_numpy(squares).to(self.device), middle)

    def log(self, event: str, **values: Any) -> None:
        """One line of the log, at this moment."""
        self.lines.write(event, self.step, self.place.standing.passes, **values)

    def stop_if_asked(self, save: Callable[[], None] = lambda: None) -> None:
        """Stopped, after `save` and saving where it stands, where a signal or the time limit asks for it."""
        if self.interruption.wanted(0):
            save()
            self.place.save()
            self.log("stopped", reason=self.interruption.reason)
            raise Stopped(
                f"stopped {self.interruption.reason} {self._where()}, "
                "and saved; the same command with --resume goes on"
            )

    def _where(self) -> str:
        if self.place.standing.channel == len(self.classic.channels):
            return "before the validation photos"
        return f"while {self.place.name} is at {self.place.standing.stage!r}"


DESCRIPTORS_A_PHOTO = 150
"""That the sample takes of a photo, at least, where photos have so many: fewer photos are read then."""


def size(wanted: int, photos: int, places: int) -> int:
    """Descriptors in the sample: `wanted`, or all of so many photos that have `places` descriptors each."""
    return min(wanted, photos * places)


def draw(work: Work) -> Tensor:
    """(M, D) raw descriptors of the channel at work, as many as `size` says: random ones of random photos."""
    wanted, total = work.classic.sample_descriptors, len(work.labels)
    randomness = generator(work.config.training.seed)
    places = len(work.channel.descriptor.centers(work.config.data.input_size))
    a_photo = _a_photo(wanted, total, places)
    chosen = torch.randperm(total, generator=randomness)[: -(-wanted // a_photo)]
    parts: list[Tensor] = []
    for _, images in work.photos(chosen):
        for photo in images.split(1):
            descriptors = work.channel.descriptor.describe(photo)[0]
            drawn = torch.randperm(len(descriptors), generator=randomness)[:a_photo]
            parts.append(descriptors[drawn.to(descriptors.device)].clone())
        work.stop_if_asked()
    return torch.cat(parts)[:wanted]


def _a_photo(wanted: int, photos: int, places: int) -> int:
    """The most that is taken of one."""
    return min(places, max(-(-wanted // photos), min(wanted, DESCRIPTORS_A_PHOTO)))


QUANTIZED_SAMPLE = 1024
"""Photos whose vectors the product quantizer is fitted on."""


def learn(work: Work) -> None:
    """Reduction and mixture or dictionary, from a random sample of descriptors of random photos."""
    started, channel = time.monotonic(), work.channel
    sample = draw(work)
    if channel.channel.pca:
        pca = Pca(channel.channel.pca, whiten=channel.encoder.whitened).fit(sample)
        for mine, given in zip((channel.components, channel.mean), pca.projection(), strict=True):
            mine.copy_(given)
    channel.encoder.learn(channel.reduce(sample), work.config.training.seed)
    work.place.keep(channel.state_dict())
    work.place.next_stage("encode")
    _stage_finished(work, "learn", started, descriptors=len(sample))


def encode(work: Work) -> None:
    """The channel's vector of each training photo, to the feature file, shard after shard."""
    started, standing, total = time.monotonic(), work.place.standing, len(work.labels)
    file = feature_file(work, _codec(work))
    if standing.images == 0:
        file.create()
    before = standing.images
    for indices, images in work.photos(torch.arange(standing.images, total)):
        file.write(int(indices[0]), work.channel.features(images))
        standing.images += len(indices)
        rate = (standing.images - before) / (time.monotonic() - started)
        work.advance(len(indices), f"{work.place.name}: {rate:.1f} images/s")
        if (standing.images // SHARD) % work.config.training.log_every_steps == 0:
            left = (total * len(work.classic.channels) - work.step) / rate
            work.log("encode", images_per_second=rate, eta_seconds=left)
        work.place.save()
        work.stop_if_asked()
    work.place.next_stage("classify")
    _stage_finished(work, "encode", started, images=total)


def classify(work: Work) -> None:
    """Classifiers on the photos' vectors, stopped early, and the scale of their scores."""
    started, labels, channel = time.monotonic(), work.labels, work.channel
    file = feature_file(work, _codec(work))
    train, held = svm.split(labels, work.classic.held_out, work.config.training.seed)
    stopping, saved = _stopping(work, train, held), started
    for done in stopping.run(file.read, labels):
        standing = work.place.standing
        standing.passes = max(standing.passes, done.number)
        work.log("pass", channel=work.place.name, number=done.number, loss=done.loss, error=done.error)
        work.advance(0, f"{work.place.name}: pass {done.number}, error {done.error:.3f}")
        keep = partial(_keep, work, stopping)
        if time.monotonic() - saved > 60 * work.config.training.checkpoint_every_minutes:
            keep()
            saved = time.monotonic()
        work.stop_if_asked(keep)
    channel.classifier.weight.copy_(stopping.best[0])
    channel.classifier.bias.copy_(stopping.best[1])
    unseen = held if len(held) else train
    found = SoftmaxCalibration().fit(scores(stopping.best, file.read, unseen), labels[unseen])
    channel.scale.fill_(found.scale_)
    work.place.keep(channel.state_dict())
    facts = {"passes": stopping.best_pass, "error": stopping.best_error, "scale": found.scale_}
    _stage_finished(work, "classify", started, held_out=len(held), **facts)
    work.place.next_channel()


def feature_file(work: Work, codec: Codec) -> FeatureFile:
    """Of the channel at work."""
    return FeatureFile(work.place.vectors, len(work.labels), work.channel.size, codec, work.device)


def _codec(work: Work) -> Codec:
    """As `classic.codes` wants it; a product quantizer is fitted, or found again."""
    if work.classic.codes == "float16":
        return Halves()
    kept = work.place.kept("-centers")
    quantizer = ProductQuantizer(random_state=work.config.training.seed)
    if kept:
        quantizer.centers_ = kept["centers"].to(work.device)
        quantizer.n_features_in_ = work.channel.size
        return Quantized(quantizer)
    order = torch.randperm(len(work.labels), generator=generator(work.config.training.seed))
    rows = [work.channel.features(images) for _, images in work.photos(order[:QUANTIZED_SAMPLE])]
    quantizer.fit(torch.cat(rows))
    work.place.keep({"centers": quantizer.centers_}, "-centers")
    return Quantized(quantizer)


def _stopping(work: Work, train: Tensor, held: Tensor) -> EarlyStopping:
    """At the beginning, or where it was stopped."""
    config, size = work.config, work.channel.size
    rates = config.optimizer.lr, config.optimizer.weight_decay
    sgd = HingeSgd(len(work.store.classes), size, *rates, config.training.batch_size).to(work.device)
    limits = config.schedule.epochs, config.schedule.patience_epochs, config.training.seed
    stopping = EarlyStopping(sgd, train, held, *limits)
    kept = work.place.kept("-sgd")
    if kept:
        stopping.load({name: tensor.to(work.device) for name, tensor in kept.items()})
    return stopping


def _keep(work: Work, stopping: EarlyStopping) -> None:
    work.place.keep(stopping.state(), "-sgd")


def _stage_finished(work: Work, stage: str, started: float, **facts: float) -> None:
    seconds = time.monotonic() - started
    where = f"channel{work.place.standing.channel + 1}"
    work.log("stage", name=stage, channel=where, stage_seconds=seconds, **facts)
    told = ", ".join(f"{name.replace('_', ' ')} {value:,.4g}" for name, value in facts.items())
    work.say(f"{where} ({work.channel.channel.descriptor}): {stage} in {seconds:.0f} s; {told}")


STAGES: dict[str, Callable[[Work], None]] = {
    "learn": learn,
    "encode": encode,
    "classify": classify,
}


def fit(
    config: RunConfig,
    store: Store,
    run: RunDir,
    *,
    evaluate: Evaluate,
    device: torch.device,
    resume: bool = False,
    minutes: float | None = None,
    progress: Progress = lambda total, done: nullcontext(lambda count=1, note="": None),
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Fits all channels, tests the pipeline and returns how it ended; everything is in the run's folder.

    `step` counts photos encoded, over all channels, and `epochs` passes of the classifiers. With `resume` it
    goes on after the last shard of photos, or the last saved pass. Stopped after saving, at a signal or after
    `minutes`. CommandError where configuration and store do not fit together; WorkError where the disk is
    full.
    """
    classic = check(config, store)
    with ExitStack() as stack:
        stack.enter_context(exclusive_lock(run.path))
        done = _finished(run, say) if resume else None
        if done is not None:
            return done
        stack.enter_context(torch.no_grad())
        place = FeatureCache.begin(run, store.digest, resume)
        images = len(training_images(store, config.data))
        before = place.standing.channel * images + place.standing.images
        lines = stack.enter_context(MetricsLog(run.metrics_file, run.tensorboard, before))
        model = (
            _restored(Pipeline(classic, len(store.classes), config.data.input_size), place).to(device).eval()
        )
        interruption = stack.enter_context(Interruption(minutes))
        work = Work(config, classic, store, device, model, place, interruption, say, lines)
        work.advance = stack.enter_context(progress(images * len(classic.channels), before))
        work.log("resume" if before or place.standing.stage != "learn" else "start")
        while place.standing.channel < len(classic.channels):
            STAGES[place.standing.stage](work)
            work.stop_if_asked()
        errors = dict(evaluate(model))
        work.log("validation", **errors)
        place.save()
        result = Result(
            work.step, place.standing.passes, errors, errors["top1_error"], place.standing.seconds
        )
        _save(work, run, result)
        work.log("result", **errors, best_top1_error=result.best_top1_error, seconds=result.seconds)
    place.remove()
    return result


def check(config: RunConfig, store: Store) -> ClassicConfig:
    """What is to be fitted, if all fits together; else CommandError. Nothing is computed."""
    if config.classic is None:
        raise CommandError(f"{config.recipe} is no classic pipeline: it has no `classic`")
    if distributed.world_size() > 1:
        raise CommandError("a classic pipeline is fitted by one process: type it without torchrun")
    if len(store.classes) < 2:
        raise CommandError(f"{store.path} holds one class: there is nothing to tell apart")
    photos = len(training_images(store, config.data))
    if photos < 2:
        raise CommandError(f"{store.path} holds fewer than two training photos: prepare more")
    Preprocessing.from_store(config.data, store)
    with torch.device("meta"):
        pipeline = Pipeline(config.classic, len(store.classes), config.data.input_size)
    _refuse_small_sample(config.classic.sample_descriptors, photos, pipeline)
    return config.classic


def _refuse_small_sample(wanted: int, photos: int, pipeline: Pipeline) -> None:
    """CommandError where a channel would learn from fewer descriptors than it has words."""
    for name, channel in zip(pipeline.layer_names, pipeline, strict=True):
        words, places = channel.channel.codebook_size, len(channel.descriptor.centers(pipeline.side))
        found = size(wanted, photos, places)
        if found < words:
            raise CommandError(
                f"{name} ({channel.channel.descriptor}) would learn {words:,} words from {found:,} "
                "descriptors: give more photos, a larger classic.sample_descriptors, or fewer words"
            )


def _finished(run: RunDir, say: Callable[[str], None]) -> Result | None:
    """How the run ended, if it has; DataError where its checkpoint is damaged."""
    found = checkpoint.newest(run.checkpoints, say)
    return None if found is None else Result(found.meta["step"], **found.meta["result"])


def _restored(model: Pipeline, place: FeatureCache) -> Pipeline:
    """`model` with what its channels have learned before."""
    for number, channel in enumerate(model):
        kept = place.kept(channel=number)
        if kept and (number < place.standing.channel or place.standing.stage != "learn"):
            channel.load_state_dict(kept)
    return model


def _save(work: Work, run: RunDir, result: Result) -> None:
    """The run's only checkpoint, its last and best."""
    preprocessing = Preprocessing.from_store(work.config.data, work.store)
    made = bundle.ModelBundle(work.model, work.config, work.store.classes, preprocessing)
    write_weights = partial(bundle.save, bundle=made)
    ended: dict[str, Any] = {
        "epochs": result.epochs,
        "errors": result.errors,
        "best_top1_error": result.best_top1_error,
        "seconds": result.seconds,
    }
    checkpoint.write(run.checkpoints, result.step, write_weights, {}, {"result": ended}, best=True)
    work.log("checkpoint", best=True)
