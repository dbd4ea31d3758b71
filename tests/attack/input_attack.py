"""Hostile inputs of every outside format: each is read, or refused in one line, as on the command line."""

from __future__ import annotations

import csv
import io
import itertools
import json
import pickle
import random
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import odd_uploads
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from attack.json_files import READERS, whole
from attack.onnx_files import mean_color
from attack.outcomes import Trial, judged_as_command
from attack.subject import EXPORT, PHOTOS, RUN, STORE, Subject
from changed_contents import TEXTS, VALUES, changed_bytes, changed_documents
from reference import caffe_files
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.io import savemat
from unit.data import source_makers as make

import alexnet
from alexnet import recipes
from alexnet.config import flatten, override
from alexnet.config_file import config_yaml, read_config_file
from alexnet.data.classes import NO_LABEL
from alexnet.data.decode import heic_is_readable
from alexnet.data.sources import SourceOptions, open_source
from alexnet.data.sources.base import group_of
from alexnet.data.sources.devkit import read_any_devkit
from alexnet.interop import caffe, torchvision
from alexnet.interop.importers import read_class_list
from alexnet.models import bundle
from alexnet.runs.hugging_face import CONFIG_FILE, WEIGHTS_FILE, repository_config

CHECKSUMS = ("checksum", "tensors_sha256", "tensors_xxh3_128")
"""Entries of metadata; they would hide what comes after."""
PHOTO_KINDS = (*odd_uploads.ODD, odd_uploads.truncated, odd_uploads.film, odd_uploads.svg)
MOST_EXAMPLES = 50

Attack = Callable[[Path, random.Random], Callable[[], object]]
"""Writes a hostile input into an empty folder; returns what reads it."""


@dataclass(frozen=True)
class InputAttack:
    """Valid files of each format, which are changed."""

    subject: Subject
    scratch: Path
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    predictor: Any

    @classmethod
    def on(cls, subject: Subject, scratch: Path) -> InputAttack:
        """Of the subject's run and store."""
        with safe_open(subject.folder / EXPORT, framework="pt") as opened:
            metadata = {name: text for name, text in opened.metadata().items() if name not in CHECKSUMS}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return cls(subject, scratch, tensors, metadata, alexnet.load(subject.folder / RUN, device="cpu"))

    def trials(self, seed: int) -> list[Trial]:
        """One input of each format."""
        attacks: dict[str, Attack] = {
            "JSON": self._json,
            "metadata of safetensors": self._metadata,
            "safetensors": self._safetensors,
            "pth": self._pth,
            "pickle": self._pickle,
            "caffemodel": self._caffe,
            "photo": self._photo,
            "parquet": self._parquet,
            "Arrow": self._arrow,
            "table": self._table,
            "tar": self._tar,
            "COCO": self._coco,
            "VOC": self._voc,
            "IDX": self._idx,
            "YOLO": self._yolo,
            "CIFAR": self._cifar,
            "WebDataset": self._webdataset,
            "label list": self._label_list,
            "MATLAB": self._matlab,
            "devkit": self._devkit,
            "ONNX": self._onnx,
            "class list": self._class_list,
            "configuration file": self._configuration,
            "setting": self._setting,
            "model repository": self._repository,
            "AVIF": partial(self._encoded, "AVIF"),
        }
        if heic_is_readable():
            attacks["HEIC"] = partial(self._encoded, "HEIF")
        found: list[Trial] = []
        for name, attack in attacks.items():
            chance = random.Random(f"{name} {seed}")
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                outcome, detail = judged_as_command(attack(Path(folder), chance))
            found.append(Trial(f"input of {name}", "changed", seed, outcome, detail))
        return found

    def _json(self, place: Path, chance: random.Random) -> Callable[[], object]:
        name = chance.choice(list(READERS))
        document = _unchecked(whole(name, self.subject.folder / RUN, self.subject.folder / STORE))
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != place:
            weights = self.subject.folder / RUN / path.parent.relative_to(place) / "weights.safetensors"
            (path.parent / weights.name).symlink_to(weights)
        if chance.random() < 0.1:
            path.write_bytes(chance.choice(TEXTS))
        elif chance.random() < 0.3:
            path.write_bytes(_changed(json.dumps(document).encode(), chance))
        else:
            path.write_text(_changed_document(document, chance) + "\n")
        return lambda: READERS[name](place)

    def _metadata(self, place: Path, chance: random.Random) -> Callable[[], object]:
        texts, key = dict(self.metadata), chance.choice(list(self.metadata))
        texts[key] = _changed_document([json.loads(texts[key])], chance)[1:-1] or "null"
        save_file(self.tensors, place / "net.safetensors", texts)
        return lambda: bundle.load(place / "net.safetensors", "cpu")

    def _safetensors(self, place: Path, chance: random.Random) -> Callable[[], object]:
        save_file(self.tensors, place / "net.safetensors", self.metadata)
        data = (place / "net.safetensors").read_bytes()
        length = 8 + int.from_bytes(data[:8], "little")
        (place / "net.safetensors").write_bytes(_changed(data[:length], chance) + data[length:])
        return lambda: bundle.load(place / "net.safetensors", "cpu")

    def _pth(self, place: Path, chance: random.Random) -> Callable[[], object]:
        path = place / "net.pth"
        torch.save(
            {"features.0.weight": torch.zeros(4)}, path, _use_new_zipfile_serialization=chance.random() < 0.5
        )
        path.write_bytes(_changed(path.read_bytes(), chance))
        return lambda: torchvision.read_torchvision(path)

    def _pickle(self, place: Path, chance: random.Random) -> Callable[[], object]:
        value = {"state_dict": {"conv1.weight": chance.choice(VALUES)}, "epoch": chance.choice(VALUES)}
        (place / "net.pth").write_bytes(_changed(pickle.dumps(value), chance))
        return lambda: torchvision.read_torchvision(place / "net.pth")

    def _caffe(self, place: Path, chance: random.Random) -> Callable[[], object]:
        blobs = {"conv1": [np.zeros((4, 3, 2, 2), np.float32), np.zeros(4, np.float32)]}
        write = chance.choice(
            (caffe_files.layer_of_2013, caffe_files.layer_of_2014, caffe_files.layer_of_later)
        )
        data = caffe_files.caffemodel("AlexNet", caffe_files.alexnet_layers(blobs), write)
        (place / "net.caffemodel").write_bytes(_changed(data, chance))
        return lambda: caffe.read_caffe(place / "net.caffemodel")

    def _photo(self, place: Path, chance: random.Random) -> Callable[[], object]:
        data = _changed(chance.choice(PHOTO_KINDS)(), chance)
        (place / "photo.jpg").write_bytes(data)
        return lambda: self.predictor.predict(place / "photo.jpg")

    def _parquet(self, place: Path, chance: random.Random) -> Callable[[], object]:
        labels = chance.choice(
            ([0, 1] * 4, ["a", "b"] * 4, [0.0, 1.0] * 4, [chance.choice(VALUES[-8:-2])] * 8)
        )
        rows = [{"bytes": self._png(number), "path": f"{number}.png"} for number in range(8)]
        try:
            table = pa.table({"image": rows, "label": labels})
        except (pa.ArrowInvalid, OverflowError):
            table = pa.table({"image": rows, "label": [0, 1] * 4})
        features = {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}
        text = _changed_document({"info": {"features": features}}, chance)
        table = table.replace_schema_metadata({"huggingface": text.encode("utf-8", "replace")})
        pq.write_table(table, place / "train-0.parquet")
        if chance.random() < 0.5:
            path = place / "train-0.parquet"
            path.write_bytes(_changed(path.read_bytes(), chance))
        return lambda: _read_source(place)

    def _arrow(self, place: Path, chance: random.Random) -> Callable[[], object]:
        """A file, a stream, or a folder as `save_to_disk` of `datasets` writes it."""
        features = {
            "image": {"_type": "Image"},
            "label": {"names": ["a", "b"], "_type": "ClassLabel"},
            "person": {"dtype": "string", "_type": "Value"},
        }
        rows = [{"bytes": self._png(number), "path": f"{number}.png"} for number in range(8)]
        labels = [[0, 1] * 4, pa.array(["a", "b"] * 4).dictionary_encode(), ["a", "b"] * 4]
        table = pa.table({"image": rows, "label": chance.choice(labels), "person": list("abcdabcd")})
        if chance.random() < 0.5:
            text = _changed_document({"info": {"features": features}}, chance)
            table = table.replace_schema_metadata({"huggingface": text.encode("utf-8", "replace")})
        form = chance.choice(("file", "stream", "compressed", "save_to_disk"))
        options = pa.ipc.IpcWriteOptions(compression="lz4") if form == "compressed" else None
        made = io.BytesIO()
        new = pa.ipc.new_file if form in ("file", "compressed") else pa.ipc.new_stream
        with new(made, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=4)
        data = _changed(made.getvalue(), chance) if chance.random() < 0.8 else made.getvalue()
        if form != "save_to_disk":
            make.write(place, {f"train.{chance.choice(('arrow', 'feather', 'ipc'))}": data})
            return lambda: _read_source(place)
        name = "data-00000-of-00001.arrow"
        beside = {
            "dataset_dict.json": {"splits": ["train"]},
            "train/dataset_info.json": {"features": features},
            "train/state.json": {
                "_data_files": [{"filename": name}],
                "_split": "train",
                "_format_type": None,
            },
        }
        make.write(place, {f"train/{name}": data})
        _write(place, {file: json.dumps(document).encode() for file, document in beside.items()}, chance)
        return lambda: _read_source(place)

    def _table(self, place: Path, chance: random.Random) -> Callable[[], object]:
        """Photos that a table of several columns labels, groups and divides into splits."""
        rows: list[dict[str, Any]] = [
            {
                "file": f"photos/{number}.png",
                "label": ("ant", "bee")[number % 2],
                "split": ("train", "train", "val", "test")[number // 2 % 4],
                "person": f"p{number // 4}",
                "age": number,
            }
            for number in range(16)
        ]
        for _ in range(chance.choice((0, 1, 4))):
            chance.choice(rows)[chance.choice(list(rows[0]))] = chance.choice(VALUES)
        kind = chance.choice(("csv", "tsv", "jsonl", "json", "parquet", "arrow"))
        data = _table_bytes(rows, kind)
        make.write(place, {f"photos/{number}.png": self._png(number) for number in range(16)})
        make.write(place, {f"labels.{kind}": _changed(data, chance) if chance.random() < 0.7 else data})
        columns = {
            name: column
            for name, column in (("image", "file"), ("label", "label"), ("group", "person"))
            if chance.random() < 0.5
        }
        if chance.random() < 0.2:
            columns[chance.choice(list(columns) or ["label"])] = chance.choice(("split", "no such", "2", ""))
        options = SourceOptions(**{f"{name}_column": column for name, column in columns.items()})
        path = place / f"labels.{kind}" if kind not in ("json", "jsonl") and chance.random() < 0.5 else place
        return lambda: _read_source(path, options)

    def _repository(self, place: Path, chance: random.Random) -> Callable[[], object]:
        (place / WEIGHTS_FILE).symlink_to(self.subject.folder / EXPORT)
        with safe_open(place / WEIGHTS_FILE, framework="pt") as opened:
            config = repository_config(opened.metadata())
        text = _changed_document(config, chance).encode()
        (place / CONFIG_FILE).write_bytes(_changed(text, chance) if chance.random() < 0.5 else text)
        return lambda: alexnet.load(place, device="cpu")

    def _encoded(self, form: str, place: Path, chance: random.Random) -> Callable[[], object]:
        data = odd_uploads.encoded(odd_uploads.picture(chance.randrange(100)), form)
        (place / "photo.heic").write_bytes(_changed(data, chance))
        return lambda: self.predictor.predict(place / "photo.heic")

    def _tar(self, place: Path, chance: random.Random) -> Callable[[], object]:
        path = place / "photos.tar"
        with tarfile.open(path, "w") as archive:
            for file in sorted((self.subject.folder / PHOTOS).rglob("*.png"))[::6]:
                archive.add(file, str(file.relative_to(self.subject.folder)))
        path.write_bytes(_changed(path.read_bytes(), chance))
        return lambda: _read_source(path)

    def _coco(self, place: Path, chance: random.Random) -> Callable[[], object]:
        images = [
            {"id": number, "file_name": f"{number}.png", "width": 90, "height": 60} for number in range(4)
        ]
        boxes = [
            {"id": number, "image_id": number % 4, "category_id": number % 2, "bbox": [1, 2, 30, 40]}
            for number in range(6)
        ]
        names = [{"id": number, "name": f"class{number}"} for number in range(2)]
        document = {"images": images, "annotations": boxes, "categories": names}
        for split in ("train", "val"):
            (place / split).mkdir(exist_ok=True)
            for each in images:
                (place / split / each["file_name"]).write_bytes(self._png(0))
            (place / "annotations").mkdir(exist_ok=True)
            text = _changed_document(document, chance).encode()
            if chance.random() < 0.2:
                text = _changed(text, chance)
            (place / "annotations" / f"instances_{split}.json").write_bytes(text)
        return lambda: _read_source(place)

    def _voc(self, place: Path, chance: random.Random) -> Callable[[], object]:
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (place / name).mkdir(parents=True, exist_ok=True)
        for number in range(6):
            (place / "JPEGImages" / f"{number}.jpg").write_bytes(self._png(0))
            box = "".join(
                f"<{key}>{chance.randrange(1, 50)}</{key}>" for key in ("xmin", "ymin", "xmax", "ymax")
            )
            xml = (
                f"<annotation><filename>{number}.jpg</filename><size><width>90</width><height>60</height>"
                f"<depth>3</depth></size><object><name>c{number % 2}</name><bndbox>{box}</bndbox></object>"
                "</annotation>"
            )
            (place / "Annotations" / f"{number}.xml").write_bytes(
                _changed(xml.encode(), chance) if chance.random() < 0.3 else xml.encode()
            )
        (place / "ImageSets" / "Main" / "train.txt").write_bytes(
            _changed(b"0\n1\n2\n", chance) if chance.random() < 0.2 else b"0\n1\n2\n"
        )
        (place / "ImageSets" / "Main" / "val.txt").write_bytes(b"3\n4\n5\n")
        return lambda: _read_source(place)

    def _idx(self, place: Path, chance: random.Random) -> Callable[[], object]:
        for split in ("train", "t10k"):
            images = (0x803).to_bytes(4, "big") + b"".join(each.to_bytes(4, "big") for each in (8, 28, 28))
            labels = (0x801).to_bytes(4, "big") + (8).to_bytes(4, "big") + bytes(range(8))
            data = _changed(images + bytes(8 * 28 * 28), chance) if chance.random() < 0.7 else images
            (place / f"{split}-images-idx3-ubyte").write_bytes(data)
            (place / f"{split}-labels-idx1-ubyte").write_bytes(_changed(labels, chance))
        return lambda: _read_source(place)

    def _setting(self, place: Path, chance: random.Random) -> Callable[[], object]:
        recipe = chance.choice(list(recipes.names()))
        keys = list(flatten(recipes.get(recipe)))
        value = (
            json.dumps(chance.choice(VALUES))
            if chance.random() < 0.8
            else chance.choice(("", "=", "\0", " "))
        )
        word = f"{chance.choice(keys)}={value}"
        return lambda: override(recipes.get(recipe), [word])

    def _yolo(self, place: Path, chance: random.Random) -> Callable[[], object]:
        files = {"data.yaml": b"names:\n  0: ant\n  1: bee\ntrain: images/train\nval: images/val\n"}
        for split, number in itertools.product(("train", "val"), range(3)):
            files[f"images/{split}/{number}.png"] = self._png(number)
            files[f"labels/{split}/{number}.txt"] = b"%d 0.5 0.5 0.2 0.2\n" % (number % 2) * 2
        _write(place, files, chance)
        return lambda: _read_source(place)

    def _cifar(self, place: Path, chance: random.Random) -> Callable[[], object]:
        meta = (
            {b"label_names": [b"ant", b"bee"]} if chance.random() < 0.8 else {"label_names": ["ant", "bee"]}
        )
        batch = {b"labels": [0, 1], b"data": np.zeros((2, 3072), np.uint8)}
        files = {name: pickle.dumps(batch, 3) for name in ("data_batch_1", "test_batch")}
        _write(place, files | {"batches.meta": pickle.dumps(meta, 3)}, chance)
        return lambda: _read_source(place)

    def _webdataset(self, place: Path, chance: random.Random) -> Callable[[], object]:
        for split in ("train", "val"):
            files = {f"{number}.png": self._png(number) for number in range(4)}
            for number in range(4):
                files[f"{number}.cls"] = b"%d" % (number % 2)
                files[f"{number}.json"] = b'{"wnid": "c%d", "name": "c%d"}' % (number % 2, number % 2)
            files = {name: _maybe_changed(name, data, chance) for name, data in files.items()}
            (place / f"{split}.tar").write_bytes(make.tar_bytes(files))
        return lambda: _read_source(place)

    def _label_list(self, place: Path, chance: random.Random) -> Callable[[], object]:
        rows = [(f"{number}.png", str(number % 2 + 1)) for number in range(6)]
        texts = {
            "csv": "\n".join(map(",".join, [("file", "label"), *rows])),
            "tsv": "\n".join(map("\t".join, rows)),
            "txt": "\n".join(label for _, label in rows),
            "json": json.dumps(dict(rows)),
        }
        kind = chance.choice(list(texts))
        files = {f"train/{name}": self._png(number) for number, (name, _) in enumerate(rows)}
        _write(place, files | {f"train_labels.{kind}": texts[kind].encode()}, chance)
        return lambda: _read_source(place)

    def _matlab(self, place: Path, chance: random.Random) -> Callable[[], object]:
        lists = io.BytesIO()
        variables = {"labels": np.array([[1, 2] * 3]), "trnid": np.arange(1, 5), "tstid": np.arange(5, 7)}
        savemat(lists, variables, do_compression=chance.random() < 0.5)
        files = {f"jpg/image_{number}.png": self._png(number) for number in range(1, 7)}
        _write(place, files | {"imagelabels.mat": lists.getvalue()}, chance)
        return lambda: _read_source(place)

    def _devkit(self, place: Path, chance: random.Random) -> Callable[[], object]:
        _write(place, make.devkit_files(), chance)
        return lambda: read_any_devkit(place)

    def _onnx(self, place: Path, chance: random.Random) -> Callable[[], object]:
        data = mean_color(self.metadata).SerializeToString()
        (place / "net.onnx").write_bytes(_changed(data, chance))
        return lambda: bundle.load(place / "net.onnx").model(torch.zeros(2, 3, 64, 64))

    def _class_list(self, place: Path, chance: random.Random) -> Callable[[], object]:
        _write(place, {"classes.txt": b"n01440764\ttench\nn01443537\tgoldfish\ndog\n"}, chance)
        return lambda: read_class_list(place / "classes.txt")

    def _configuration(self, place: Path, chance: random.Random) -> Callable[[], object]:
        text = config_yaml(recipes.get(chance.choice(list(recipes.names()))))
        (place / "config.yaml").write_bytes(_changed(text.encode(), chance))
        return lambda: read_config_file(place / "config.yaml")

    @staticmethod
    def _png(seed: int) -> bytes:
        buffer = io.BytesIO()
        odd_uploads.picture(seed, (40, 40)).save(buffer, "PNG")
        return buffer.getvalue()


def _read_source(path: Path, options: SourceOptions = SourceOptions()) -> None:  # noqa: B008 - frozen
    """Opens the source and reads some of its photos, with their labels, names and groups."""
    source = open_source(path, options=options)
    for name, split in source.splits.items():
        for index, example in zip(range(MOST_EXAMPLES), split, strict=False):
            assert example.key == split.key(index)
            assert isinstance(group_of(split, index), str)
            hidden = name == "test" and example.label == NO_LABEL
            assert hidden or 0 <= example.label < len(source.classes)


def _table_bytes(rows: list[dict[str, Any]], kind: str) -> bytes:
    """A table in a file of this kind; of other columns where the kind cannot hold these values."""
    if kind == "json":
        return json.dumps(rows).encode()
    if kind == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter="," if kind == "csv" else "\t")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode("utf-8", "replace")
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeError):
            columns[name] = pa.array([repr(value) for value in values])
    made = io.BytesIO()
    table = pa.table(columns)
    if kind == "parquet":
        pq.write_table(table, made)
    else:
        with pa.ipc.new_file(made, table.schema) as writer:
            writer.write_table(table)
    return made.getvalue()


def _unchecked(document: Any) -> Any:
    """Without the checksum of an object, or of each object in a list."""
    if isinstance(document, list):
        return [_unchecked(each) for each in document]
    return {key: value for key, value in document.items() if key not in CHECKSUMS}


def _write(place: Path, files: Mapping[str, bytes], chance: random.Random) -> None:
    """Writes the files; some of those that are no photos are changed."""
    make.write(place, {name: _maybe_changed(name, data, chance) for name, data in files.items()})


def _maybe_changed(name: str, data: bytes, chance: random.Random) -> bytes:
    if name.endswith(".png") or chance.random() < 0.8:
        return data
    return data.replace(b"1", b"9" * 5000, 1) if chance.random() < 0.1 else _changed(data, chance)


def _changed(data: bytes, chance: random.Random) -> bytes:
    return next(changed_bytes(data, 1, chance.randrange(2**32)))


def _changed_document(document: Any, chance: random.Random) -> str:
    return next(changed_documents(document, 1, chance.randrange(2**32)))
