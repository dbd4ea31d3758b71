"""To which split and configuration a table belongs, by its path."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from alexnet.data.sources.split_words import SPLIT_FOLDERS

_SPLIT_OF_WORD = {word: split for split, words in SPLIT_FOLDERS.items() for word in words}
KEPT_APART = ("extra", "unsupervised", "unlabeled", "unlabelled")
"""Splits that are never trained on unless they are renamed."""
_PARTS = ("part", "parts", "shard", "file", "chunk", "batch", "table", "partial", "split", "splits", "tid")
_WRITERS = ("data", "dataset", "default", "output", "parquet", "arrow", "snappy", "zstd", "gz", "gzip", "lz4")
_GENERIC = frozenset((*_PARTS, *_WRITERS))
"""Words in paths that name neither a split nor a configuration."""
_SHARD = re.compile(r"-\d+-of-\d+(-[0-9a-f]{6,})?$")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"(?=.*\d)[0-9a-f]{8,}|c\d{3}|\d+")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
DEFAULT = "default"
"""The configuration of files that name none."""


class Place(NamedTuple):
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
    return _SPLIT_OF_WORD.get(word.lower(), "")


def place_of(path: str) -> Place:
    """The split and the configuration that a relative path names.

    The file's name counts first, then its folders, the innermost first. What else folders are called, and a
    file with a split's name (`cropped-train.parquet`), is the configuration.
    """
    *folders, file = path.lower().split("/")
    stem = file.rpartition(".")[0]
    shard = _SHARD.search(stem)
    stem = _UUID.sub("", _SHARD.sub("", stem))
    split, rest = _take_split(_words(stem))
    # `extra-00000-of-00001`: Hugging Face's way to name a split.
    if not split and shard and rest:
        split, rest = "-".join(rest), []
    named = [rest] if split else []
    for folder in reversed(folders):
        _, is_partition, value = folder.partition("=")
        if is_partition:
            split = split or split_of_word(value)
            continue
        words = _words(folder)
        found, others = ("", words) if split else _take_split(words)
        split = split or found
        named.append(others)
    parts = ["-".join(words) for words in reversed(named)]
    return Place(split, "/".join(filter(None, parts)) or DEFAULT)


def _words(name: str) -> list[str]:
    words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
    return [word for word in words if not _HASH.fullmatch(word)] if len(words) > 1 else words


def _take_split(words: list[str]) -> tuple[str, list[str]]:
    """The split named by the last word that names one, and the other words that are not generic."""
    split = ""
    others: list[str] = []
    for word in reversed(words):
        bare = word.rstrip("0123456789")
        meant = split_of_word(bare) or (bare if bare in KEPT_APART else "")
        if meant and not split:
            split = meant
        elif bare not in _GENERIC and bare:
            others.append(word)
    return split, others[::-1]
