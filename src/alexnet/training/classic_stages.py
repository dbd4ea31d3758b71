"""The three stages of a channel: learning from a sample of descriptors, encoding all photos, classifying."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor

from alexnet.classic import held_out
from alexnet.classic.arrays import generator
from alexnet.classic.calibration import SoftmaxCalibration
from alexnet.classic.feature_file import Codec, FeatureFile, Halves, Quantized
from alexnet.classic.hinge_sgd import HingeSgd
from alexnet.classic.linear_svm import EarlyStopping, scores
from alexnet.classic.pca import Pca
from alexnet.classic.product_quantizer import ProductQuantizer
from alexnet.training import classic_sample
from alexnet.training.classic_work import SHARD, Work

QUANTIZED_SAMPLE = 1024
"""Photos whose vectors the product quantiser is fitted on."""


def learn(work: Work) -> None:
    """Reduction and mixture or dictionary, from a random sample of descriptors of random photos."""
    started, channel = time.monotonic(), work.channel
    sample = classic_sample.draw(work)
    if channel.channel.pca:
        pca = Pca(channel.channel.pca, whiten=channel.encoder.whitened).fit(sample)
        for mine, given in zip((channel.components, channel.mean), pca.projection(), strict=True):
            mine.copy_(given)
    channel.encoder.learn(channel.reduce(sample), work.config.training.seed)
    work.place.keep(channel.state_dict())
    work.place.next_stage("encode")
    _finished(work, "learn", started, descriptors=len(sample))


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
    _finished(work, "encode", started, images=total)


def classify(work: Work) -> None:
    """Classifiers on the photos' vectors, stopped early, and the scale of their scores."""
    started, labels, channel = time.monotonic(), work.labels, work.channel
    file = feature_file(work, _codec(work))
    train, held = held_out.split(labels, work.classic.held_out, work.config.training.seed)
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
    _finished(work, "classify", started, held_out=len(held), **facts)
    work.place.next_channel()


def feature_file(work: Work, codec: Codec) -> FeatureFile:
    """Of the channel at work."""
    return FeatureFile(work.place.vectors, len(work.labels), work.channel.size, codec, work.device)


def _codec(work: Work) -> Codec:
    """As `classic.codes` wants it; a product quantiser is fitted, or found again."""
    if work.classic.codes == "float16":
        return Halves()
    kept = work.place.kept("-centres")
    quantizer = ProductQuantizer(random_state=work.config.training.seed)
    if kept:
        quantizer.centres_ = kept["centres"].to(work.device)
        quantizer.n_features_in_ = work.channel.size
        return Quantized(quantizer)
    order = torch.randperm(len(work.labels), generator=generator(work.config.training.seed))
    rows = [work.channel.features(images) for _, images in work.photos(order[:QUANTIZED_SAMPLE])]
    quantizer.fit(torch.cat(rows))
    work.place.keep({"centres": quantizer.centres_}, "-centres")
    return Quantized(quantizer)


def _stopping(work: Work, train: Tensor, held: Tensor) -> EarlyStopping:
    """At the beginning, or where it was stopped."""
    config, size = work.config, work.channel.size
    rates = config.optimizer.learning_rate, config.optimizer.weight_decay
    sgd = HingeSgd(len(work.store.classes), size, *rates, config.training.batch).to(work.device)
    limits = config.schedule.epochs, config.schedule.patience_epochs, config.training.seed
    stopping = EarlyStopping(sgd, train, held, *limits)
    kept = work.place.kept("-sgd")
    if kept:
        stopping.load({name: tensor.to(work.device) for name, tensor in kept.items()})
    return stopping


def _keep(work: Work, stopping: EarlyStopping) -> None:
    work.place.keep(stopping.state(), "-sgd")


def _finished(work: Work, stage: str, started: float, **facts: float) -> None:
    seconds = time.monotonic() - started
    where = f"channel{work.place.standing.channel + 1}"
    work.log("stage", name=stage, channel=where, stage_seconds=seconds, **facts)
    told = ", ".join(f"{name.replace('_', ' ')} {value:,.4g}" for name, value in facts.items())
    work.say(f"{where} ({work.channel.channel.descriptor}): {stage} in {seconds:.0f} s; {told}")
