"""From a store to the forms of other libraries: class folders, parquet of Hugging Face, WebDataset tars."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from alexnet.data.classes import NO_LABEL
from alexnet.data.image_reader import read_photo
from alexnet.data.store import Split, Store
from alexnet.errors import AlreadyExists, CommandError
from alexnet.io import atomic_dir

Form = Literal["imagefolder", "parquet", "webdataset"]
FORMS: tuple[Form, ...] = get_args(Form)
IMAGES_PER_FILE = 10_000
"""In a parquet file or a tar."""
_IMAGES_PER_GROUP = 100
"""In a row group of a parquet file, which is what a reader has in memory."""


@dataclass(frozen=True)
class Converted:
    """What was written."""

    images: dict[str, int]
    """By split."""
    files: int
    has_boxes: bool
    """Whether the store has boxes, which only stores keep."""


def convert_store(
    store: Store,
    out: Path,
    to: Form,
    splits: Sequence[str] = (),
    progress: Callable[[int], None] = lambda count: None,
) -> Converted:
    """Writes the images of a store, all splits or those named, to the folder `out`, which appears when it is
    complete.

    Images are as they are stored: resized, JPEG files unchanged, raw pixels as PNG. `imagefolder` has
    `SPLIT/CLASS/NAME.jpg`, with the class's WNID or folder name, as torchvision's `ImageFolder` reads it;
    `parquet` has `data/SPLIT-00000-of-00001.parquet` with the columns `image` and `label` and their types, as
    `datasets.load_dataset` reads it; `webdataset` has `SPLIT-000000.tar` with `NUMBER.jpg` (or `.png`),
    `NUMBER.cls` and `NUMBER.json` (key, WNID, class name). Boxes are not written.

    AlreadyExists if there is something at `out`; CommandError for other forms and splits, and images without
    labels; CannotWrite if the disk is full or not writable.
    """
    if to not in FORMS:
        raise CommandError(f"unknown format {to!r}; it must be one of {', '.join(FORMS)}")
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise AlreadyExists(f"{out} exists: choose another folder")
    parts = [store.split(name) for name in splits or store.splits]
    for part in parts:
        unlabeled = int((part.labels == NO_LABEL).sum())
        if unlabeled:
            labeled = [name for name in store.splits if NO_LABEL not in store.split(name).labels]
            raise CommandError(
                f"{unlabeled:,} images of split {part.name!r} have no label, which {to} needs: choose other "
                f"splits, {','.join(labeled) or 'but all have such images'}"
            )
    write = {"imagefolder": _write_folders, "parquet": _write_parquet, "webdataset": _write_tars}[to]
    files = 0
    with atomic_dir(out) as folder:
        folder.mkdir()
        for part in parts:
            files += write(folder, part, progress)
    has_boxes = any(part.all_boxes()[0].any() for part in parts)
    return Converted({part.name: len(part) for part in parts}, files, has_boxes)


def _images(split: Split, progress: Callable[[int], None]) -> Iterator[tuple[int, bytes, str]]:
    """The number of each image, its file, and the suffix of that."""
    for index in range(len(split)):
        if split.manifest.encoding == "jpeg":
            yield index, bytes(split.buffer(index)), "jpg"
        else:
            pixels, file = read_photo(split, index), io.BytesIO()
            Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "png")
            yield index, file.getvalue(), "png"
        progress(1)


def _write_folders(folder: Path, split: Split, progress: Callable[[int], None]) -> int:
    names = _folder_names([each.wnid for each in split.manifest.classes])
    for name in names:
        (folder / split.name / name).mkdir(parents=True)
    taken: set[tuple[int, str]] = set()
    for index, image, suffix in _images(split, progress):
        label = int(split.labels[index])
        name = _plain(PurePosixPath(split.key(index)).stem)
        if (label, name.lower()) in taken:
            name = f"{name}-{index}"
        taken.add((label, name.lower()))
        (folder / split.name / names[label] / f"{name}.{suffix}").write_bytes(image)
    return len(split)


def _write_parquet(folder: Path, split: Split, progress: Callable[[int], None]) -> int:
    names = [each.wnid for each in split.manifest.classes]
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", image), ("label", pa.int64())],
        {"huggingface": json.dumps({"info": {"features": features}})},
    )
    images, count = _images(split, progress), _file_count(split)
    (folder / "data").mkdir(exist_ok=True)
    for number in range(count):
        path = folder / "data" / f"{split.name}-{number:05}-of-{count:05}.parquet"
        in_file = islice(images, IMAGES_PER_FILE)
        with pq.ParquetWriter(path, schema) as writer:
            while rows := list(islice(in_file, _IMAGES_PER_GROUP)):
                columns = [
                    pa.array(
                        [
                            {"bytes": data, "path": f"{_plain(split.key(index))}.{suffix}"}
                            for index, data, suffix in rows
                        ],
                        image,
                    ),
                    pa.array([int(split.labels[index]) for index, _, _ in rows], pa.int64()),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return count


def _write_tars(folder: Path, split: Split, progress: Callable[[int], None]) -> int:
    images, count, classes = _images(split, progress), _file_count(split), split.manifest.classes
    for number in range(count):
        with tarfile.open(folder / f"{split.name}-{number:06}.tar", "w") as tar:
            for index, image, suffix in islice(images, IMAGES_PER_FILE):
                label = int(split.labels[index])
                facts = {"key": split.key(index), "wnid": classes[label].wnid, "name": classes[label].name}
                for kind, data in (
                    (suffix, image),
                    ("cls", str(label).encode()),
                    ("json", json.dumps(facts).encode()),
                ):
                    member = tarfile.TarInfo(f"{index:08}.{kind}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return count


def _file_count(split: Split) -> int:
    return max(1, -(-len(split) // IMAGES_PER_FILE))


def _folder_names(wnids: Sequence[str]) -> list[str]:
    """A folder for each class; CommandError if two differ only in what file systems do not keep apart."""
    names = [_plain(wnid) for wnid in wnids]
    lower = [name.lower() for name in names]
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        raise CommandError(f"two classes would have the folder {twice[0]}: convert to parquet or webdataset")
    return names


def _plain(name: str) -> str:
    """The name without what separates folders or is no part of a file's name on some system."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_"
