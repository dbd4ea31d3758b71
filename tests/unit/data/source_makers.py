"""Writes the same few photos in every raw form: tars of tars, meta.mat, XML, IDX, parquet, ..."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat

WNIDS = ("n01440764", "n01443537", "n02012849")
ILSVRC_IDS = {"n01440764": 3, "n01443537": 1, "n02012849": 2}
TRAIN_PER_CLASS, VAL_PER_CLASS = 4, 2

Photos = dict[str, bytes]


def photo(
    seed: int = 0, size: tuple[int, int] = (12, 8), mode: str = "RGB", kind: str = "JPEG", **save: object
) -> bytes:
    """A small smooth image, a different one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **save)
    return file.getvalue()


def train_photos() -> Photos:
    """Photos by `<wnid>/<file name>`, in the order expected of every form."""
    return {
        f"{wnid}/{wnid}_{10 * number}.JPEG": photo(100 * label + number)
        for label, wnid in enumerate(WNIDS)
        for number in range(1, TRAIN_PER_CLASS + 1)
    }


def val_photos() -> Photos:
    """Like `train_photos`; sorted file names alternate between classes, as ILSVRC's validation photos do."""
    found = {}
    for label, wnid in enumerate(WNIDS):
        for number in range(VAL_PER_CLASS):
            name = f"ILSVRC2012_val_{number * len(WNIDS) + 2 - label + 1:08d}.JPEG"
            found[f"{wnid}/{name}"] = photo(1000 + 100 * label + number)
    return found


def hidden_photos() -> Photos:
    """Unlabeled photos by their official names."""
    return {f"ILSVRC2012_test_{number:08d}.JPEG": photo(2000 + number) for number in range(1, 6)}


def flat(photos: Photos) -> Photos:
    """Photos by file name, sorted."""
    return {key.split("/")[1]: photos[key] for key in sorted(photos, key=lambda key: key.split("/")[1])}


def val_wnids() -> dict[str, str]:
    """The WNID of each validation file name, sorted by name."""
    return dict(sorted((key.split("/")[1], key.split("/")[0]) for key in val_photos()))


def write(folder: Path, files: Photos) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tar_bytes(files: Photos, **options: object) -> bytes:
    """A tar with the files in reverse order, since no order is guaranteed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as tar:
        for name, data in reversed(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def ilsvrc_tars(folder: Path) -> Path:
    """The two image archives, without labels of the validation photos."""
    train = train_photos()
    class_tars = {
        f"{wnid}.tar": tar_bytes(
            {key.split("/")[1]: data for key, data in train.items() if key.startswith(wnid)}
        )
        for wnid in WNIDS
    }
    train_tar, val_tar = tar_bytes(class_tars), tar_bytes(flat(val_photos()))
    return write(folder, {"ILSVRC2012_img_train.tar": train_tar, "ILSVRC2012_img_val.tar": val_tar})


def ilsvrc_2010(folder: Path) -> Path:
    """The archives of 2010: other names, and a test set whose labels were published later."""
    tars = ilsvrc_tars(folder)
    for name in ("train", "val"):
        (tars / f"ILSVRC2012_img_{name}.tar").rename(tars / f"ILSVRC2010_images_{name}.tar")
    kit = {f"devkit-1.0/{name}": data for name, data in devkit_files(2010).items()}
    truth = devkit_files(2010)["data/ILSVRC2010_validation_ground_truth.txt"]
    files = {
        "ILSVRC2010_images_test.tar": (tars / "ILSVRC2010_images_val.tar").read_bytes(),
        "ILSVRC2010_devkit-1.0.tar.gz": gzip.compress(tar_bytes(kit)),
        "ILSVRC2010_test_ground_truth.txt": truth,
    }
    return write(tars, files)


def devkit_files(year: int = 2012) -> Photos:
    """The development kit's two files: leaf ids are not in WNID order, inner nodes follow."""
    fields = [f"ILSVRC{year}_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    fields.append("num_train_images")
    synsets = np.zeros((len(WNIDS) + 1, 1), dtype=[(name, object) for name in fields])
    leaves = sorted(WNIDS, key=ILSVRC_IDS.__getitem__)
    for row, wnid in enumerate(leaves):
        words = f"{wnid} words, synonym"
        synsets[row, 0] = (row + 1, wnid, words, "gloss", 0, np.zeros((1, 0)), 0, TRAIN_PER_CLASS)
    inner = (len(WNIDS) + 1, "n00001740", "entity", "all", 3, np.array([[1.0, 2.0, 3.0]]), 1, 0)
    synsets[len(WNIDS), 0] = inner
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    truth = "".join(f"{ILSVRC_IDS[wnid]}\n" for wnid in val_wnids().values())
    return {
        "data/meta.mat": meta.getvalue(),
        f"data/ILSVRC{year}_validation_ground_truth.txt": truth.encode(),
    }


def devkit_archive() -> bytes:
    return gzip.compress(
        tar_bytes({f"ILSVRC2012_devkit_t12/{name}": data for name, data in devkit_files().items()})
    )


def kaggle_solution() -> bytes:
    """Kaggle's CSV: names without suffix, and one or more boxes after the WNID."""
    lines = ["ImageId,PredictionString"]
    lines += [f"{Path(name).stem},{wnid} 1 2 5 6 {wnid} 0 0 3 3 " for name, wnid in val_wnids().items()]
    return "\n".join(lines).encode()


def annotation(wnid: str, corners: tuple[int, int, int, int], size: tuple[int, int] = (12, 8)) -> bytes:
    sides = "".join(
        f"<{name}>{value}</{name}>" for name, value in zip(("width", "height"), size, strict=True)
    )
    names = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, corners, strict=True))
    thing = f"<object><name>{wnid}</name><bndbox>{box}</bndbox></object>"
    return f"<annotation><size>{sides}</size>{thing}</annotation>".encode()


def kaggle(folder: Path) -> Path:
    images, notes = "ILSVRC/Data/CLS-LOC", "ILSVRC/Annotations/CLS-LOC"
    first, wnid = next(iter(val_wnids().items()))
    files = {f"{images}/train/{key}": data for key, data in train_photos().items()}
    files |= {f"{images}/val/{name}": data for name, data in flat(val_photos()).items()}
    files |= {f"{images}/test/{name}": data for name, data in hidden_photos().items()}
    files[f"{notes}/train/{WNIDS[0]}/{WNIDS[0]}_10.xml"] = annotation(WNIDS[0], (3, 2, 8, 7))
    files[f"{notes}/val/{Path(first).stem}.xml"] = annotation(wnid, (0, 0, 11, 3))
    files["ILSVRC/ImageSets/CLS-LOC/val.txt"] = b"ILSVRC2012_val_00000001 1\n"
    files["LOC_val_solution.csv"] = kaggle_solution()
    files["LOC_train_solution.csv"] = b"ImageId,PredictionString\n"
    files["LOC_synset_mapping.txt"] = b"n01440764 tench, Tinca tinca\n"
    return write(folder, files)


def folder_files() -> Photos:
    files = {f"train/{key}": data for key, data in train_photos().items()}
    return files | {f"val/{key}": data for key, data in val_photos().items()}


def flat_val_files() -> Photos:
    files = {f"train/{key}": data for key, data in train_photos().items()}
    return files | {f"val/{name}": data for name, data in flat(val_photos()).items()}


def label_lines(separator: str, numbers: bool = False, header: str = "") -> bytes:
    """A label file with one line per validation photo, in arbitrary order."""
    labels = {wnid: str(WNIDS.index(wnid)) if numbers else wnid for wnid in WNIDS}
    lines = [f"{name}{separator}{labels[wnid]}" for name, wnid in reversed(val_wnids().items())]
    return "\n".join([*([header] if header else []), *lines]).encode()


def tiny_imagenet_files() -> Photos:
    """Tiny ImageNet's tree, but with the photos' names of the other forms."""
    root = "tiny-imagenet-200"
    files: Photos = {}
    for wnid in WNIDS:
        inside = {key.split("/")[1]: data for key, data in train_photos().items() if key.startswith(wnid)}
        files |= {f"{root}/train/{wnid}/images/{name}": data for name, data in inside.items()}
        lines = [f"{name}\t3\t2\t8\t7\n" for name in inside]
        files[f"{root}/train/{wnid}/{wnid}_boxes.txt"] = "".join(lines).encode()
    files |= {f"{root}/val/images/{name}": data for name, data in flat(val_photos()).items()}
    lines = [f"{name}\t{wnid}\t0\t0\t11\t3\n" for name, wnid in val_wnids().items()]
    files[f"{root}/val/val_annotations.txt"] = "".join(lines).encode()
    files[f"{root}/wnids.txt"] = "\n".join(reversed(WNIDS)).encode()
    files[f"{root}/words.txt"] = b"n00001740\tentity\nn01440764\ttench, Tinca tinca\n"
    return files


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def idx_arrays(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 5, 7), dtype=np.uint8)
    return pixels, (np.arange(count) % 3).astype(np.uint8)


def idx(folder: Path, compress: bool) -> Path:
    files: Photos = {}
    for part, count in (("train", 9), ("t10k", 4)):
        pixels, labels = idx_arrays(count, seed=count)
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(pixels)
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(labels)
    if compress:
        files = {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    return write(folder, files)


def write_parquet(path: Path, photos: Photos, labels: list[int], names: tuple[str, ...] | None) -> None:
    """One Hugging Face file; `names` are the class names of its metadata."""
    images = [{"bytes": data, "path": name} for name, data in photos.items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": pa.array(labels, pa.int64())})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)


def parquet(folder: Path) -> Path:
    """Training photos in two files of several row groups; validation; an unlabeled test split."""
    names = tuple(f"{wnid} synonym, other" for wnid in WNIDS)
    train = list(train_photos().items())
    for part, rows in enumerate((train[:5], train[5:])):
        labels = [WNIDS.index(key.split("/")[0]) for key, _ in rows]
        inside = {key.split("/")[1]: data for key, data in rows}
        write_parquet(folder / f"data/train-{part:05d}-of-00002.parquet", inside, labels, names)
    val = {f"{name.removesuffix('.JPEG')}_{wnid}.JPEG": data for name, wnid, data in _val_rows()}
    labels = [WNIDS.index(wnid) for _, wnid, _ in _val_rows()]
    write_parquet(folder / "data/validation-00000-of-00001.parquet", val, labels, names)
    write_parquet(folder / "data/test-00000-of-00001.parquet", {"a.JPEG": photo(1)}, [-1], names)
    return folder


def _val_rows() -> list[tuple[str, str, bytes]]:
    return [(key.split("/")[1], key.split("/")[0], data) for key, data in val_photos().items()]
