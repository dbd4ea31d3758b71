"""The words that name splits, in every usual spelling: `Training`, `seg_train`, `val_images`, `test1`."""

from __future__ import annotations

import re
from collections.abc import Iterable

SplitName = str
"""`train`, `val` or `test`."""

SPLIT_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "trainval", "trainvalid"),
    "val": ("val", "valid", "validation", "validate", "dev", "devel", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "pred", "prediction", "predict", "inference"),
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
