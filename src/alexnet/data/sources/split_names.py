"""What names say about splits: words in every usual spelling, and the paths of tables and photos.

`Training`, `seg_train`, `val_images`, `test1` and `data/validation-00000-of-00004.parquet` are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

SplitName = str
"""`train`, `val` or `test`."""
SPLIT_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "trainval", "trainvalid"),
    "val": ("val", "valid", "validation", "validate", "dev", "devel", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout", "pred", "prediction", "predict", "inference"),
}
"""The words for each split, in lower case."""
_WORDS = {word: split for split, words in SPLIT_FOLDERS.items() for word in words}
_NEUTRAL_WORDS = """
image images img imgs pic pics picture pictures photo photos data dataset set sets seg split splits folder
folders dir sample samples crop crops cropped jpg jpeg jpegs png frame frames full final raw original orig
resized small large big size px x class classes cls public private official standard clean labeled labelled
unlabeled unlabelled list lists file files
"""
_NEUTRAL = frozenset(_NEUTRAL_WORDS.split())
"""Words that say nothing about the split, or about classes."""
_OCCASIONS = re.compile(
    r"(day|date|session|shoot|take|roll|cam|camera|phone|batch|part|week|month|visit|trip|burst|clip|video)s?"
    r"[\W_]*\d+"  # day1, session_02
    r"|(19|20)\d\d[-_. ]?\d\d([-_. ]?\d\d)?|\d\d[-_. ]\d\d[-_. ](19|20)?\d\d"  # dates
    r"|\d{3}[a-z][a-z_0-9]{4}|dcim|camera roll",  # a camera's own: 100CANON
    re.IGNORECASE,
)
"""Folders that say when or with what camera photos were taken."""
_CONTAINERS = frozenset(
    (
        *("more", "other", "others", "misc", "miscellaneous", "various", "new", "newer", "rest"),
        *("extra", "extras", "additional", "further"),
    )
)
"""Folders that may hold more classes, and name none."""
_OUTPUTS = frozenset(
    (
        *("result", "results", "output", "outputs", "export", "exports", "exported", "prediction"),
        *("predictions", "thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews", "backup"),
        *("backups", "bak", "tmp", "temp", "cache", "runs", "checkpoints", "logs", "duplicates", "rejected"),
        *("deleted", "discarded", "unsorted", "unlabeled", "unlabelled", "copy", "copies", "augmented"),
    )
)
"""Words in names of folders that are rarely classes, or hold copies of the photos of others."""
_KEPT_APART = ("extra", "unsupervised", "unlabeled", "unlabelled")
"""Splits that are never trained on unless they are renamed."""
_PARTS = ("part", "parts", "shard", "file", "chunk", "batch", "table", "partial", "split", "splits", "tid")
_WRITERS = ("data", "dataset", "default", "output", "parquet", "arrow", "snappy", "zstd", "gz", "gzip", "lz4")
_GENERIC = frozenset((*_PARTS, *_WRITERS))
"""Words in paths that name neither a split nor a configuration."""
_SHARD = re.compile(r"-\d+-of-\d+(-[0-9a-f]{6,})?$")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"(?=.*\d)[0-9a-f]{8,}|c\d{3}|\d+")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_DEFAULT_CONFIGURATION = "default"
"""The configuration of files that name none."""
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
"""In the order of a source."""


def split_of(name: str, neutral: Iterable[str] = ()) -> SplitName | None:
    """The split that a folder's name stands for; None if it holds any other word that is not neutral.

    `train_station` is none, `train_images` and `train_val2019` are `train`. `neutral` are additional words.
    """
    words = words_of(name)
    splits = {_WORDS[word] for word in words if word in _WORDS}
    splits -= {"val"} if splits == {"train", "val"} else set()  # both together, as in iNaturalist
    others = [word for word in words if word not in _WORDS and word not in _NEUTRAL]
    return splits.pop() if len(splits) == 1 and set(others) <= set(neutral) else None


def split_in(name: str) -> SplitName | None:
    """The one split that a file's name mentions, among whatever other words; None if it mentions two."""
    splits = {_WORDS[word] for word in words_of(name) if word in _WORDS}
    return splits.pop() if len(splits) == 1 else None


def splits_of(names: Iterable[str]) -> dict[str, SplitName | None]:
    """`split_of` for folders side by side: words that all split folders share are neutral (`birds_train`,
    `birds_test`)."""
    listed = list(names)
    mentioning = [set(words_of(name)) for name in listed if split_in(name)]
    shared = set[str].intersection(*mentioning) if len(mentioning) > 1 else set[str]()
    return {name: split_of(name, shared) for name in listed}


def without_split(name: str) -> str:
    """A file's name with a star in place of its split: equal for the lists of one set."""
    return re.sub("|".join(sorted(_WORDS, key=len, reverse=True)), "*", name.lower())


def is_neutral(name: str) -> bool:
    """Whether a folder's name does not describe its contents: `images`, `data_256`."""
    words = words_of(name)
    return bool(words) and all(word in _NEUTRAL for word in words)


def is_occasion(name: str) -> bool:
    """Whether a folder's name says when or with what camera its photos were taken: `day2`, `2024-05-01`."""
    return _OCCASIONS.fullmatch(name.strip()) is not None


def may_hold_classes(name: str) -> bool:
    """Whether a folder beside class folders is called as if it held more of them: `more`, `new_photos`."""
    words = words_of(name)
    return bool(words) and all(word in _CONTAINERS or word in _NEUTRAL for word in words)


def is_suspicious(name: str) -> bool:
    """Whether a folder is called like one of outputs or of things put aside, rather than a class."""
    return name[:1] in ("_", "~", "#") or not _OUTPUTS.isdisjoint(words_of(name))


def words_of(name: str) -> list[str]:
    """Words in lower case, without numbers: `imgTrain_256` and `trainset` are `img train` and `train set`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [part for word in re.findall(r"[^\W\d_]+", apart.lower()) for part in _parts(word)]


def _parts(word: str) -> list[str]:
    """A compound of a split's word and a neutral one in two; any other word as it is."""
    if word in _WORDS or word in _NEUTRAL:
        return [word]
    for cut in range(2, len(word) - 1):
        pair = word[:cut], word[cut:]
        if any(one in _WORDS and other in _NEUTRAL for one, other in (pair, pair[::-1])):
            return list(pair)
    return [word]


class TablePlace(NamedTuple):
    """Where a table belongs."""

    split: str
    """`train`, `val`, `test`, another split's own name, or an empty string if the path names none."""
    configuration: str


def partition_of(path: str) -> tuple[tuple[str, str], ...]:
    """Names and values of columns in the folders of a path, `label=cat`; nulls are empty."""
    parts = (folder.partition("=") for folder in path.split("/")[:-1])
    found = [(key, unquote(value)) for key, equals, value in parts if equals and key]
    return tuple((key, "" if value == _NULL_PARTITION else value) for key, value in found)


def split_of_word(word: str) -> str:
    """`train`, `val` or `test` if a word means that split, else an empty string."""
    return _WORDS.get(word.lower(), "")


def place_of(path: str) -> TablePlace:
    """The split and the configuration that a relative path names.

    The file's name counts first, then its folders, the innermost first. What else folders are called, and a
    file with a split's name (`cropped-train.parquet`), is the configuration.
    """
    *folders, file = path.lower().split("/")
    stem = file.rpartition(".")[0]
    shard = _SHARD.search(stem)
    stem = _UUID.sub("", _SHARD.sub("", stem))
    split, rest = _take_split(_path_words(stem))
    # `extra-00000-of-00001`: Hugging Face's way to name a split.
    if not split and shard and rest:
        split, rest = "-".join(rest), []
    named = [rest] if split else []
    for folder in reversed(folders):
        _, is_partition, value = folder.partition("=")
        if is_partition:
            split = split or split_of_word(value)
            continue
        words = _path_words(folder)
        found, others = ("", words) if split else _take_split(words)
        split = split or found
        named.append(others)
    parts = ["-".join(words) for words in reversed(named)]
    return TablePlace(split, "/".join(filter(None, parts)) or _DEFAULT_CONFIGURATION)


def _path_words(name: str) -> list[str]:
    words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
    return [word for word in words if not _HASH.fullmatch(word)] if len(words) > 1 else words


def _take_split(words: list[str]) -> tuple[str, list[str]]:
    """The split named by the last word that names one, and the other words that are not generic."""
    split = ""
    others: list[str] = []
    for word in reversed(words):
        bare = word.rstrip("0123456789")
        meant = split_of_word(bare) or (bare if bare in _KEPT_APART else "")
        if meant and not split:
            split = meant
        elif bare not in _GENERIC and bare:
            others.append(word)
    return split, others[::-1]


def split_of_path(path: str) -> str:
    """The split that a path names; `train` if it names none."""
    split = place_of(path).split
    return split if split in SPLITS else "train"


def split_of_photo(path: str) -> str:
    """The split that the folders of a photo name; `train` if they name none.

    The name of a photo does not decide its split: `val/crash_test_12.jpg` is of `val`.
    """
    return split_of_path(f"{path.rpartition('/')[0]}/photo.jpg")
