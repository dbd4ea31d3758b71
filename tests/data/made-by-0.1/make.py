"""Makes the files of this folder, by the command line of alexnet 0.1.0 (commit 858214b), and of no other.

    OMP_NUM_THREADS=1 PYTHONPATH=CHECKOUT/src python make.py NEW_FOLDER

All commands run in NEW_FOLDER with relative paths, so that no file holds a place of the machine. `check.py`
compares what a version of the program says with `expected.json`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
WNIDS = ("n01440764", "n02102040", "n03028079")
KINDS = ("disc", "cross", "ring", "stripes")


# Pictures


def smooth(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) soft colours."""
    few = random.integers(40, 216, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC), np.float64)


def picture(
    random: np.random.Generator, kind: int, height: int, width: int, noise: float = 1.5
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A thing of one of four kinds on a soft background, and its box x0, y0, x1, y1 in pixels, inclusive."""
    shorter = min(height, width)
    radius = int(random.integers(shorter // 4, shorter // 2 - 2))
    x, y = (int(random.integers(radius + 1, side - radius - 1)) for side in (width, height))
    v, u = (np.mgrid[:height, :width] - np.array([y, x])[:, None, None]) / radius
    far = np.hypot(u, v)
    inside = (
        far < 1,
        (np.maximum(abs(u), abs(v)) < 1) & (np.minimum(abs(u), abs(v)) < 0.3),
        (far < 1) & (far > 0.5),
        (np.maximum(abs(u), abs(v)) < 1) & (np.sin(9 * u) > 0),
    )[kind]
    colour = random.integers(0, 256, 3) * 0.4 + np.eye(3)[kind % 3] * 150
    pixels = np.where(inside[..., None], colour, smooth(random, height, width))
    pixels = (pixels + random.normal(0, noise, pixels.shape)).clip(0, 255).astype(np.uint8)
    return pixels, (x - radius, y - radius, x + radius, y + radius)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def annotation(name: str, box: tuple[int, ...], height: int, width: int) -> str:
    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    thing = f"<object><name>{escape(name)}</name><bndbox>{corners}</bndbox></object>"
    return f"<annotation>{size}{thing}</annotation>"


def sources(folder: Path) -> None:
    """Photos of three ImageNet classes, wide photos of three other classes, photos with boxes, digits."""
    random = np.random.default_rng(20120930)
    for split, count in (("train", 8), ("val", 3)):
        for kind, wnid in enumerate(WNIDS):
            for number in range(count):
                save(
                    folder / "three" / split / wnid / f"{wnid}_{number}.png", picture(random, kind, 80, 96)[0]
                )
    for split, count in (("train", 5), ("val", 2)):
        for kind, name in enumerate(("Blue ring", "cross", "disc")):
            for number in range(count):
                height, width = (56, 72) if number % 2 else (80, 60)
                save(
                    folder / "wide" / split / name / f"{number}.png", picture(random, kind, height, width)[0]
                )
    for split, count in (("train", 5), ("val", 2)):
        for kind, name in enumerate(KINDS):
            for number in range(count):
                pixels, box = picture(random, kind, 72, 72)
                save(folder / "boxes" / split / name / f"{name}-{split}-{number}.png", pixels)
                file = folder / "boxes" / "Annotations" / f"{name}-{split}-{number}.xml"
                file.parent.mkdir(exist_ok=True)
                file.write_text(annotation(name, box, 72, 72))
    (folder / "digits").mkdir()
    for part, count in (("train", 30), ("t10k", 20)):
        images, labels = digits(random, count)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            data = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / "digits" / f"{part}-{kind}-ubyte.gz").write_bytes(
                gzip.compress(data + values.tobytes())
            )


SEGMENTS = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)
"""Of 0 to 9: top, upper left, upper right, middle, lower left, lower right, bottom."""


def digits(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, 28, 28) digits of seven segments, and their labels."""
    labels = (np.arange(count) % 10).astype(np.uint8)
    images = np.zeros((count, 28, 28), np.uint8)
    places = (
        (0, 0, 2, 10),
        (0, 0, 9, 2),
        (0, 8, 9, 10),
        (8, 0, 10, 10),
        (9, 0, 18, 2),
        (9, 8, 18, 10),
        (16, 0, 18, 10),
    )
    for image, label in zip(images, labels, strict=True):
        top, left = random.integers(3, 7), random.integers(6, 12)
        for on, (y0, x0, y1, x1) in zip(SEGMENTS[label], places, strict=True):
            if on == "1":
                image[top + y0 : top + y1, left + x0 : left + x1] = random.integers(150, 256)
    return images, labels


def inputs(folder: Path) -> None:
    """Photos that all nets are asked about: other sizes than the stores', none of them in a store."""
    random = np.random.default_rng(7)
    for name, kind, size in (
        ("square-72", 0, (72, 72)),
        ("wide-110x80", 1, (80, 110)),
        ("tall-64x90", 2, (90, 64)),
    ):
        save(folder / f"{name}.png", picture(random, kind, *size, noise=0)[0])
    images, _ = digits(random, 6)
    for number in (2, 5):
        save(folder / f"digit-{number}.png", np.pad(images[number], 2))
    scene = smooth(random, 120, 140).clip(0, 255).astype(np.uint8)
    for kind, (y, x) in enumerate(((4, 6), (60, 80))):
        scene[y : y + 50, x : x + 50] = picture(random, kind + 1, 50, 50, noise=0)[0]
    save(folder / "scene-140x120.png", scene)


# Commands


def alexnet(*words: str, code: int = 0, before: Callable[[], None] | None = None) -> str:
    """What `python -m alexnet WORDS` prints, in a process of its own that need not import everything anew."""
    print("$ alexnet", " ".join(words), flush=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        _exit_as_alexnet(words, before)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        out = stream.read()
    found = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if found != code:
        raise SystemExit(f"exit code {found}\n{out}")
    for file in Path().rglob("environment.json"):
        neutral(file)
    return out


def _exit_as_alexnet(words: tuple[str, ...], before: Callable[[], None] | None) -> NoReturn:
    sys.stdout, sys.stderr, code = open(1, "w"), open(2, "w"), 1  # noqa: SIM115 - until the process ends
    try:
        from alexnet.cli.main import main

        sys.argv = ["alexnet", *words]
        if before is not None:
            before()
        code = main([*words])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def neutral(file: Path) -> None:
    """Takes the machine's own words out of what describes where a run was made."""
    text = file.read_text(encoding="utf-8")
    changed = re.sub(r"[^\s\"']*/alexnet/__main__\.py", "alexnet", text)
    changed = re.sub(r'("platform": )"[^"]*"', r'\1"Linux"', changed)
    if changed != text:
        json.loads(changed)
        file.write_text(changed, encoding="utf-8")


def train(recipe: str, name: str, store: str, *words: str) -> None:
    alexnet("train", recipe, "--store", f"prepared/{store}", "--run", f"trained/{name}", *words)


SQUARE = ("data.side=72", "data.crop=64")
FEW = ("training.batch=6", "training.log_every_steps=2")
TOWERS = "widths=[8,8,12,12,8,16,16] initialisation=kaiming"
ONE = "widths=[6,8,8,8,6,16,16]"
FAST = "fast widths=[4,6,8,8,8,16,12] initialisation=kaiming regression=[10,6]"
BOXES = (
    "data.side=72",
    "data.crop=72",
    "data.test_scales=[72,80]",
    "training.batch=8",
    "training.log_every_steps=1",
)
VGG = "widths=[4,4,6,6,8,16,16]"


def stores() -> None:
    alexnet("prepare", "source/three", "prepared/three", "--side", "72", "--quality", "80", "--workers", "1")
    alexnet(
        "prepare",
        "source/wide",
        "prepared/wide",
        "--side",
        "48",
        "--shape",
        "whole",
        "--quality",
        "85",
        "--workers",
        "1",
    )
    alexnet(
        "prepare",
        "source/wide",
        "prepared/warped",
        "--side",
        "66",
        "--resize",
        "warp",
        "--quality",
        "70",
        "--workers",
        "1",
    )
    alexnet("prepare", "source/boxes", "prepared/boxes", "--side", "72", "--quality", "80", "--workers", "1")
    alexnet("prepare", "source/digits", "prepared/digits", "--workers", "1")
    alexnet(
        "compose",
        "prepared/boxes",
        "prepared/scenes",
        "--train",
        "8",
        "--val",
        "4",
        "--side",
        "80",
        "--workers",
        "1",
    )


def alexnets() -> None:
    train(
        *("alexnet-2012", "alexnet-2012", "three", *SQUARE, *FEW, f"model.variant=2012 {TOWERS}"),
        *(
            "schedule.epochs=4",
            "schedule.patience_epochs=1",
            "schedule.min_improvement=0.01",
            "schedule.max_drops=2",
            "training.evaluate_every_epochs=4",
        ),
        *(
            "schedule.factor=0.3",
            "data.images_per_draw=4",
            "data.color_noise_strength=0.2",
            "model.dropout=0.2",
        ),
        *(
            'optimizer.layer_factors=[["conv2",0.5],["fc8",2.0]]',
            "training.accumulation=2",
            "training.seed=3",
        ),
        *(
            "training.checkpoint_every_minutes=5",
            "optimizer.weight_decay=0.001",
            "optimizer.learning_rate=0.002",
        ),
    )
    train(
        *("alexnet-modern", "alexnet-modern", "three", *SQUARE, *FEW, f"model.variant=modern {ONE}"),
        *("schedule.epochs=3", "schedule.warmup_epochs=0.5", "schedule.final_fraction=0.05"),
        *("training.weight_average=0.8", "training.mixup=0.2", "training.cutmix=0.5", "data.erasing=0.25"),
        *(
            "data.resized_aspect=[0.8,1.25]",
            "optimizer.gradient_clip=2.0",
            "training.evaluate_every_epochs=3",
        ),
    )
    train(
        *("alexnet-one-weird-trick", "one-weird-trick", "three", *SQUARE, *FEW),
        *(
            f"model.variant=one-weird-trick {ONE} towers=2 pool_rounds_up=yes initialisation=kaiming",
            "schedule.epochs=4",
        ),
        "training.evaluate_every_epochs=4",
        *("data.images=18", "model.bottleneck=6", "model.activation=tanh", "data.mean_position=crop"),
    )
    train(
        *(
            "alexnet-torchvision",
            "torchvision",
            "three",
            *SQUARE,
            *FEW,
            f"model.variant=one-weird-trick {ONE} initialisation=kaiming",
        ),
        *("schedule.epochs=3", "schedule.step_epochs=1", "optimizer.nesterov=yes", "data.mirror=no"),
        *("optimizer.momentum=0.8", "training.precision=bfloat16", "training.evaluate_every_epochs=3"),
    )
    train(
        *("alexnet-caffe", "caffe", "warped", "data.side=66", "data.crop=64", *FEW, "schedule.epochs=2"),
        *(
            "schedule.step_epochs=1",
            f'model.variant=caffe {TOWERS.replace("kaiming", "torch")} without=["conv4"]',
        ),
        *(
            'events=[{"at":0.5,"action":"layer-factor","layer":"conv1","value":0.0}]',
            "optimizer.learning_rate=0.003",
            "training.evaluate_every_epochs=2",
        ),
    )
    train(
        *("alexnet-paper", "paper-fine-tuned", "three", *SQUARE, *FEW, f"model.variant=paper {TOWERS}"),
        *("--init-from", "trained/alexnet-2012", "--init-layers", "conv1,conv2", "training.fine_tuning=yes"),
        *(
            "schedule.epochs=2",
            "schedule.name=constant",
            "data.normalization=channel-mean",
            "data.cropping=centre",
            "training.evaluate_every_epochs=2",
            "model.towers_on=cpu,cpu",
        ),
    )


def lenets() -> None:
    train(
        *("lenet-1989", "lenet-1989", "digits", "data.side=32", "data.crop=16", "data.images=20"),
        *("data.range=[-1.0,1.2]", "schedule.epochs=2", "training.log_every_steps=2"),
        "training.evaluate_every_epochs=2",
    )
    train(
        *("lenet-5", "lenet-5", "digits", "data.crop=16", "schedule.epochs=3", "training.batch=8"),
        *("training.log_every_steps=2", "training.weight_average=0.9", "data.cropping=random"),
        "training.evaluate_every_epochs=3",
    )
    train(
        *("lenet-modern", "lenet-modern", "digits", "data.crop=12", "schedule.epochs=3", "training.batch=8"),
        *(
            "training.log_every_steps=2",
            "training.weight_average=0",
            "model.dropout=0.2",
            "training.label_smoothing=0.05",
            "training.evaluate_every_epochs=3",
        ),
    )


def vggs() -> None:
    wide = ("data.side=48", "data.crop=32", "training.batch=5", "training.log_every_steps=1")
    train(
        *("vgg-a", "vgg-a", "wide", *wide, f"model.variant=A {VGG} initialisation=glorot lrn=yes"),
        *(
            "data.scales=[40,48]",
            "data.test_scales=[40,48]",
            "schedule.epochs=3",
            "data.color_noise_strength=0.05",
        ),
    )
    train(
        *(
            "vgg-b",
            "vgg-b",
            "wide",
            *wide,
            f"model.variant=B {VGG} initialisation=glorot",
            "schedule.epochs=2",
        ),
        *("data.scales=[48,48]", "--init-from", "trained/vgg-a"),
        *("--init-layers", "conv1_1,conv2_1,conv3_1,conv3_2,fc6,fc7,fc8"),
        "training.evaluate_every_epochs=2",
    )
    train(
        *(
            "vgg-a-batchnorm",
            "vgg-a-batchnorm",
            "three",
            "data.side=72",
            "data.crop=64",
            "data.scales=[0,0]",
            *FEW,
        ),
        *(f"model.variant=A {VGG} batchnorm=yes initialisation=glorot", "schedule.epochs=2"),
        *("schedule.name=milestones", "schedule.drop_epochs=[0.5,1.5]", "data.order=once"),
        "training.evaluate_every_epochs=2",
    )


def overfeats() -> None:
    train(
        *("overfeat-fast", "overfeat-fast", "boxes", *BOXES, f"model.variant={FAST}", "schedule.epochs=4"),
        *("schedule.drop_epochs=[2,3]", "optimizer.learning_rate=0.02", "model.dropout=0.3"),
        "training.evaluate_every_epochs=4",
    )
    train(
        *("overfeat-accurate", "overfeat-accurate", "boxes", *BOXES[:2], "data.test_scales=[]", *BOXES[3:]),
        *("model.variant=accurate widths=[4,4,6,6,6,6,12,12] initialisation=kaiming", "schedule.epochs=1"),
        *("schedule.name=cosine", "schedule.drop_epochs=[]"),
    )
    train(
        *(
            "overfeat-fast-localization",
            "localizer",
            "boxes",
            *BOXES,
            f"model.variant={FAST}",
            "schedule.epochs=6",
        ),
        *("--init-from", "trained/overfeat-fast", "model.dropout=0.3", "training.evaluate_every_epochs=6"),
    )
    train(
        *(
            "overfeat-fast-localization",
            "localizer-single",
            "boxes",
            *BOXES[:2],
            "data.test_scales=[72]",
            *BOXES[3:],
        ),
        *(f"model.variant={FAST} boxes=single", "schedule.epochs=2", "model.dropout=0.3"),
        *("--init-from", "trained/overfeat-fast", "training.evaluate_every_epochs=2"),
    )
    train(
        *(
            "overfeat-fast-detection",
            "detector",
            "scenes",
            "data.side=80",
            "data.crop=76",
            "data.test_scales=[80,100]",
        ),
        *(
            f"model.variant={FAST} window=72",
            "schedule.epochs=6",
            "training.batch=4",
            "training.log_every_steps=1",
        ),
        *(
            "optimizer.learning_rate=0.01",
            "--init-from",
            "trained/localizer",
            "training.evaluate_every_epochs=6",
        ),
    )


def classics() -> None:
    common = ("data.side=72", "data.crop=72", "training.batch=8", "schedule.epochs=6")
    channels = [
        {
            "descriptor": "root-sift",
            "step": 12,
            "patches": [16, 32],
            "pca": 6,
            "words": 4,
            "pyramid": ["1x1", "2x1"],
        },
        {"descriptor": "color", "step": 12, "patches": [16], "pca": 6, "words": 4, "pyramid": ["1x1"]},
    ]
    train(
        *("sift-fv", "sift-fv", "three", *common, f"classic.channels={json.dumps(channels)}"),
        *("classic.sample_descriptors=300", "classic.held_out=0.2", "optimizer.learning_rate=2.0"),
    )
    codes = (
        ("hog", "llc"),
        ("lbp", "llc"),
        ("sift", "llc"),
        ("hog", "super-vector"),
        ("sift", "super-vector"),
        ("sift", "l1"),
    )
    channels = [
        {
            "descriptor": descriptor,
            "encoding": encoding,
            "step": 12,
            "patches": [16],
            "pca": 0 if descriptor == "lbp" else 6,
            "words": 6,
            "pyramid": ["1x1"],
        }
        for descriptor, encoding in codes
    ]
    train(
        *("sparse-coding", "sparse-coding", "three", *common, f"classic.channels={json.dumps(channels)}"),
        *("classic.sample_descriptors=300", "schedule.patience_epochs=2"),
    )
    train(
        *("sift-fv", "quantised", "three", *common, f"classic.channels={json.dumps(channels[3:4])}"),
        *("classic.sample_descriptors=200", "classic.codes=pq", "data.images=18"),
    )


STOPPED = {
    "krizhevsky-sgd": (
        *("alexnet-2012", "--store", "prepared/three", *SQUARE, *FEW, f"model.variant=2012 {TOWERS}"),
        *("schedule.epochs=3", "data.normalization=channel-mean", "training.evaluate_every_epochs=3"),
        "optimizer.learning_rate=0.004",
    ),
    "adamw-average": (
        *(
            "alexnet-modern",
            "--store",
            "prepared/three",
            *SQUARE,
            *FEW,
            "model.variant=modern widths=[4,4,6,6,4,8,8]",
        ),
        *(
            "schedule.epochs=3",
            "schedule.warmup_epochs=1",
            "training.weight_average=0.8",
            "training.mixup=0.2",
        ),
    ),
    "classic": (
        *(
            "sift-fv",
            "--store",
            "prepared/three",
            "data.side=72",
            "data.crop=72",
            "training.batch=4",
            "schedule.epochs=4",
        ),
        'classic.channels=[{"step": 16, "patches": [24], "pca": 4, "words": 2, "pyramid": ["1x1"]}]',
        "classic.sample_descriptors=200",
    ),
}
"""Runs that were stopped on their way, and are to end as if they had not been."""


def stopped() -> None:
    for name, words in STOPPED.items():
        recipe, *rest = words
        whole, part = f"uninterrupted/{name}", f"stopped/{name}"
        alexnet("train", recipe, "--run", whole, *rest)
        keep_weights(f"{whole}/checkpoints/last/weights.safetensors", f"stopped/{name}-final.npz")
        for time in range(2 if name == "classic" else 6):
            alexnet(
                "train",
                recipe,
                "--run",
                part,
                *rest,
                "--minutes",
                "0",
                *(["--resume"] if time else []),
                code=75,
            )
        shutil.copytree(part, "again", symlinks=True)
        alexnet("train", recipe, "--run", "again", *rest, "--resume")
        keep_weights("again/checkpoints/last/weights.safetensors", "again.npz")
        with np.load("again.npz") as ours, np.load(f"stopped/{name}-final.npz") as wanted:
            assert {*ours} == {*wanted}
            assert all(np.array_equal(ours[each], wanted[each], equal_nan=True) for each in wanted), name
        shutil.rmtree("again")
        Path("again.npz").unlink()
    shutil.rmtree("uninterrupted")


def keep_weights(file: str, out: str) -> None:
    from safetensors.numpy import load_file

    Path(out).parent.mkdir(exist_ok=True)
    np.savez_compressed(out, **load_file(file))


def ensembles() -> None:
    small = (*SQUARE, *FEW)
    alexnet(
        *(
            "ensemble",
            "alexnet-torchvision",
            "--nets",
            "2",
            "--store",
            "prepared/three",
            "--out",
            "ensembles/two",
            *small,
        ),
        *(
            "model.variant=one-weird-trick widths=[4,8,8,8,8,16,16] initialisation=kaiming",
            "schedule.epochs=1",
        ),
    )
    alexnet(
        *("ensemble", "1-cnn-star", "--store", "prepared/three", "--pretrain-store", "prepared/boxes"),
        *("--out", "ensembles/star", *small, "data.normalization=channel-mean", "schedule.epochs=2"),
        *(
            "model.variant=2012-star widths=[8,8,8,8,8,8,16,16] initialisation=kaiming",
            "optimizer.learning_rate=0.001",
            "training.evaluate_every_epochs=2",
            "alexnet-2012-star-pretrain:schedule.step_epochs=1",
        ),
    )


def imported() -> None:
    """A net of torchvision's names with few maps: import knows the real one, so the recipe is narrowed."""
    import torch
    from alexnet.models.torchvision_names import TORCHVISION

    from alexnet import recipes
    from alexnet.models.alexnet import AlexNet

    variant = "one-weird-trick widths=[4,4,6,6,4,8,8]"
    real = recipes.get

    def narrow(name: str):
        config = real(name)
        return replace(config, model=replace(config.model, variant=variant))

    torch.manual_seed(0)
    theirs = {ours: name for name, ours in TORCHVISION["AlexNet"].items()}
    weights = AlexNet(variant, 3, 224).state_dict()
    state = {f"{theirs[name.split('.')[0]]}.{name.split('.')[1]}": 2 * weights[name] for name in weights}
    torch.save(state, "narrow-alexnet.pth")
    Path("classes.txt").write_text("n01440764\nn02102040\tspringer\nmine\tmy own\n")
    alexnet(
        *(
            "import",
            "narrow-alexnet.pth",
            "trained/imported",
            "--as",
            "torchvision",
            "--classes",
            "classes.txt",
        ),
        before=lambda: setattr(recipes, "get", narrow),
    )
    for file in ("narrow-alexnet.pth", "classes.txt"):
        Path(file).unlink()


CLAIM = (
    *("claims", "lrn", "--store", "prepared/digits", "--run", "workshop"),
    *("model.variant=2012 conv1_size=5 conv1_stride=1 widths=[8,8,8,8,4,8,8] initialisation=kaiming",),
    *("data.mirror=no", "training.batch=8", "schedule.epochs=3", "optimizer.learning_rate=0.0005"),
    "model.dropout=0.1",
)


def claims() -> None:
    """One claim; its drawings, which no program reads, are not kept."""
    alexnet(*CLAIM)
    for file in ("figure.png", "figure.svg"):
        (Path("workshop/lrn") / file).unlink()


EXPORTED = {
    **{
        f"{name}.safetensors": name
        for name in ("alexnet-2012", "alexnet-modern", "lenet-1989", "vgg-a", "overfeat-fast")
    },
    **{f"{name}.safetensors": name for name in ("localizer", "detector", "sift-fv", "imported")},
    **{f"{name}.onnx": name for name in ("vgg-a", "lenet-1989")},
}


def exported() -> None:
    for file, name in EXPORTED.items():
        terms = ("--licence", "CC0-1.0", "--data-terms", "made up") if name == "vgg-a" else ()
        alexnet("export", f"trained/{name}", f"exported/{file}", *terms)
    alexnet(
        "export",
        "stopped/adamw-average",
        "exported/unfinished-best.safetensors",
        "--unfinished",
        "--checkpoint",
        "best",
    )


# Tests, whose answers are kept


COLOUR, DIGIT = ("square-72", "wide-110x80", "tall-64x90"), ("digit-2", "digit-5")
DENSE = ("alexnet-2012", "alexnet-modern", "vgg-a", "vgg-a-batchnorm", "overfeat-fast", "overfeat-accurate")
TIMED = ("seconds", "device")


def runs() -> dict[str, str]:
    """Every run and exported file, and its store; '' where there is none that fits."""
    found: dict[str, str] = {}
    for file in sorted(Path().rglob("config.json")):
        run = file.parent
        if not (run / "checkpoints" / "last").exists():  # a classic pipeline that was stopped
            continue
        facts = json.loads((run / "environment.json").read_text())
        found[str(run)] = "" if "imported" in facts else f"prepared/{facts['store']}"
    found |= {f"exported/{file}": found[f"trained/{name}"] for file, name in EXPORTED.items()}
    found["exported/unfinished-best.safetensors"] = found["stopped/adamw-average"]
    return found


def tests(path: str, store: str) -> list[tuple[str, ...]]:
    """The words behind `evaluate RUN --json`, of each test of a run or exported file."""
    name, given = Path(path).stem, ("--store", store)
    if not store or path.startswith(("workshop", "stopped", "ensembles")):
        return []
    if name == "detector":
        return [given, (*given, "--scales", "88")]
    if name.startswith("localizer"):
        return [(*given, "--views", "centre"), given]
    if name in ("sift-fv", "sparse-coding"):
        return [given]
    made = [(*given, "--views", "centre")]
    if not name.startswith("lenet"):
        made.append((*given, "--views", "ten"))
    if name in DENSE and not path.endswith(".onnx"):
        made.append((*given, "--views", "dense"))
    if path == "trained/vgg-a":
        made += [
            (*given, "--views", "dense+multi-crop", "--scales", "40,56"),
            (*given, "--views", "centre", "--checkpoint", "best"),
        ]
    if path == "trained/alexnet-modern":
        made += [
            (*given, "--views", "multi-crop", "--scales", "72,84"),
            (*given, "--split", "train", "--views", "centre"),
        ]
    return made


def printed(*words: str) -> str:
    from alexnet.cli.main import main

    print("$ alexnet", " ".join(words), flush=True)
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*words]) == 0, words
    return out.getvalue()


def untimed(value):
    """Without what differs from one time to the next."""
    if isinstance(value, dict):
        return {key: untimed(each) for key, each in value.items() if key not in TIMED}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def expected() -> dict:
    commands = []

    def ask(*words: str) -> None:
        commands.append({"command": [*words], "json": untimed(json.loads(printed(*words)))})

    known = runs()
    for path, store in known.items():
        if not path.startswith("exported"):
            for words in tests(path, store):
                ask("evaluate", path, "--json", *words)
    ask("evaluate", "ensembles/two", "--json", "--store", "prepared/three", "--views", "ten")
    ask("evaluate", "ensembles/star", "--json", "--store", "prepared/three", "--views", "centre")
    ask(
        *("evaluate", "trained/alexnet-2012", "trained/alexnet-modern", "trained/sift-fv", "--json"),
        *("--store", "prepared/three", "--views", "centre", "--weights", "2,1,1", "--mean", "logits"),
    )
    exported()
    known = runs()
    for path, store in known.items():
        if path.startswith("exported"):
            for words in tests(path, store):
                ask("evaluate", path, "--json", *words)
    photos = [f"inputs/{name}.png" for name in COLOUR]
    for model in ("trained/localizer", "trained/localizer-single", "exported/localizer.safetensors"):
        ask("localize", *photos, "--model", model, "--json")
        ask("localize", photos[1], "--model", model, "--json", "--views", "centre", "--top", "2")
    for model in ("trained/detector", "exported/detector.safetensors"):
        ask("detect", "inputs/scene-140x120.png", photos[0], "--model", model, "--json")
        ask(
            "detect",
            "inputs/scene-140x120.png",
            "--model",
            model,
            "--json",
            *("--least", "0.1", "--scales", "80,88"),
        )
    ask(
        "similar",
        *photos[:2],
        "--model",
        "trained/alexnet-2012",
        "--store",
        "prepared/three",
        "--json",
        "--top",
        "3",
    )
    ask(
        "similar",
        photos[0],
        "--model",
        "trained/alexnet-2012",
        "--store",
        "prepared/three",
        "--json",
        "--approximate",
    )
    ask(
        "similar",
        photos[0],
        "--model",
        "trained/sift-fv",
        "--store",
        "prepared/three",
        "--json",
        "--layer",
        "channel1",
        "--split",
        "val",
    )
    ask("classify", *photos, "--model", "trained/vgg-a", "--json", "--views", "dense", "--scales", "40,48")
    ask("classify", "inputs/digit-2.png", "--model", "exported/lenet-1989.onnx", "--json")
    return {
        "stores": stores_told(),
        "models": {path: model_told(path) for path in known},
        "commands": commands,
    }


def stores_told() -> dict:
    import hashlib

    import alexnet
    from alexnet.data.store import Store

    told = {}
    for folder in sorted(Path("prepared").iterdir()):
        store, splits = Store.open(folder), {}
        for name in store.header.splits:
            split = store.split(name)
            splits[name] = {
                "labels": split.labels.tolist(),
                "keys": split.keys(),
                "first_stored_sha256": hashlib.sha256(split[0].image).hexdigest(),
                "boxes": [
                    [list(map(float, box)) for box in split.boxes(number)]
                    for number in range(min(3, len(split)))
                ],
            }
            if store.header.shape == "square":
                batch = next(iter(store.loader(name, batch=3, order="sequential").batches()))
                splits[name]["first_decoded_sha256"] = [
                    hashlib.sha256(np.ascontiguousarray(each)).hexdigest()
                    for each in np.asarray(batch.images)
                ]
        told[str(folder)] = {
            "digest": store.digest,
            "classes": [[each.wnid, each.name] for each in store.classes],
            "splits": splits,
        }
    assert alexnet.__version__ == "0.1.0"
    return told


def model_told(path: str) -> dict:
    """What `alexnet.load(path)` says of the photos, as hexadecimal floats: by its own views, and centre."""
    import alexnet

    classifier = alexnet.load(path, device="cpu")
    photos = DIGIT if classifier.config.data.channels == 1 else COLOUR
    files, told = [f"inputs/{name}.png" for name in photos], {}
    for views in ("", "centre"):
        told[views or "usual"] = [
            [float(p).hex() for p in row] for row in classifier.probabilities(files, views=views)
        ]
    return {"photos": files, "classes": [[c.wnid, c.name] for c in classifier.classes], "probabilities": told}


def prune() -> None:
    """Takes away what loading does not need: event files, older checkpoints, states of finished runs."""
    for folder in [*Path().rglob("tensorboard"), *Path().rglob("locks")]:
        shutil.rmtree(folder)
    for folder in Path().rglob("checkpoints"):
        kept = {(folder / name).resolve() for name in ("last", "best")}
        for path in folder.glob("step-*"):
            if path.resolve() not in kept:
                shutil.rmtree(path)
            elif not str(folder).startswith("stopped") or path.name != (folder / "last").readlink().name:
                (path / "state.pt").unlink(missing_ok=True)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    os.chdir(folder)
    import alexnet as program

    assert program.__version__ == "0.1.0", "only the version that the folder is named after can make it"
    import alexnet.training.loop  # noqa: F401 - before the first command, so that none has to

    sources(Path("source"))
    inputs(Path("inputs"))
    for step in (stores, alexnets, lenets, vggs, overfeats, classics, stopped, ensembles, imported, claims):
        step()
    shutil.rmtree("source")
    document = expected()
    alike = [path for path, told in document["models"].items() if _spread(told) < 1e-4]
    print("models that answer all photos alike:", *alike)
    prune()
    write(document)


def _spread(told: dict) -> float:
    rows = [[float.fromhex(each) for each in row] for row in told["probabilities"]["centre"]]
    return float(np.ptp(np.array(rows), axis=0).max())


def write(document: dict) -> None:
    head = {
        "made_by": "alexnet 0.1.0, commit 858214b",
        "probabilities": "float.hex: rows are photos, columns classes; `usual` are the net's own views",
        "commands": "what `alexnet WORDS` prints, without `seconds` and `device`; run in this folder",
    }
    lines = [f' "about": {json.dumps(head)}', f' "stores": {{{_lines(document["stores"])}}}']
    lines += [f' "models": {{{_lines(document["models"])}}}']
    each = ",\n  ".join(map(json.dumps, document["commands"]))
    lines += [f' "commands": [\n  {each}]']
    Path("expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    json.loads(Path("expected.json").read_text())


def _lines(entries: dict) -> str:
    return ",".join(f"\n  {json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items())


if __name__ == "__main__":
    main()
