"""Photos whose labels are probably wrong, by models that were not trained on them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.checksum import known_sha256
from alexnet.data import store_notes
from alexnet.data.findings import DroppedPhoto, NotedPhotos, PhotoName
from alexnet.data.groups import photo_groups
from alexnet.data.sources.base import existing_file
from alexnet.data.store import Store
from alexnet.models.bundle import ModelBundle
from alexnet.runs.fit_record import Suspect
from alexnet.runs.predictions import Predictions, left_out_path, load_fresh
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training.last_layer import FOLDS, last_layer_inputs

MAX_PHOTOS = 10_000
"""With more photos the logistic regressions take many minutes."""
FEW_PHOTOS, MORE_FOLDS = 2000, 10
"""Up to this number of photos there are more folds, so that each model is trained on more of them."""
MOST_SUSPECTS = 100
MAX_OF_LABEL, MIN_OF_OTHER = 0.05, 0.5
"""Probability of its label below which, and of another class above which, a photo is suspicious."""


def find_suspects(store: Store, probabilities: npt.NDArray[np.float64] | None) -> tuple[Suspect, ...]:
    """Photos of any split whose label is probably wrong.

    Those of which a copy has another label come first, then the most suspicious of the others.
    `probabilities` are (N, K) of all photos, split after split, by models that were not trained on them, as
    `linear_probabilities` and `fisher_probabilities` return them; with None only the copies are found.
    """
    names, pairs = {each.wnid: each.name for each in store.classes}, copies_with_other_labels(store)
    others = () if probabilities is None else _predicted_otherwise(store, probabilities)
    files = _files(store, [(each.split, each.key) for each in (*chain(*pairs), *others)])
    for each in _contradicting(store):
        files[each.photo.split, each.photo.key] = existing_file(store.manifest.source.path, each.path)
    found = [
        Suspect(
            split=photo.split,
            key=photo.key,
            label=names[photo.wnid],
            predicted=names[other.wnid],
            reason="copy",
            copy_of=files[other.split, other.key] or str(other),
        )
        for photo, other in pairs
    ]
    known = {(each.split, each.key) for each in found}
    found += [each for each in others if (each.split, each.key) not in known]
    return tuple(replace(each, path=files[each.split, each.key]) for each in found[:MOST_SUSPECTS])


def _files(store: Store, photos: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The file of each photo, given as (split, key); as `Store.photo_files`."""
    found: dict[tuple[str, str], str] = {}
    for split in {split for split, _ in photos}:
        keys = [key for name, key in photos if name == split]
        files = store.photo_files(split, keys)
        found |= {(split, key): file for key, file in zip(keys, files, strict=True)}
    return found


def copies_with_other_labels(store: Store) -> list[tuple[PhotoName, PhotoName]]:
    """Pairs of photos with the same pixels and different labels; the first is in the store.

    Of each set of copies one photo of each label but the first is paired with one of the first label. Photos
    that were left out of the store as duplicates count.
    """
    noted = NotedPhotos.of(store_notes.photos(store_notes.read_all(store.path)))
    found: list[tuple[PhotoName, PhotoName]] = []
    for indices in noted.duplicates():
        first, *others = [noted.name(index, store.classes) for index in indices]
        apart = {each.wnid: each for each in reversed(others) if each.wnid != first.wnid}
        found += [(each, first) for each in apart.values()]
    return found + [(each.stays, each.photo) for each in _contradicting(store)]


def _contradicting(store: Store) -> list[DroppedPhoto]:
    """The copies with another label that were left out of the store."""
    return [each for each in store_notes.read_dropped(store.path) or () if each.contradicts]


def _predicted_otherwise(store: Store, probabilities: npt.NDArray[np.float64]) -> list[Suspect]:
    """Photos for which another class is far more probable, the clearest first."""
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    labels, names = labels_of(store), [each.name for each in store.classes]
    found: list[Suspect] = []
    for number in suspicious(probabilities, labels):
        (split, index), row, label = places[number], probabilities[number], labels[number]
        predicted = int(row.argmax())
        key = store.split(split).key(index)
        found.append(
            Suspect(split, key, names[label], names[predicted], float(row[predicted]), float(row[label]))
        )
    return found


def linear_probabilities(
    bundle: ModelBundle, store: Store, strength: float, seed: int
) -> npt.NDArray[np.float64]:
    """(N, K) probabilities of each photo by a logistic regression on the network's features of other photos.

    They are of other groups where the store was split by groups. `strength` is scikit-learn's `C`. It is
    meant for up to `MAX_PHOTOS` photos.
    """
    features = np.concatenate([last_layer_inputs(bundle, store.split(name))[0] for name in store.splits])
    labels = labels_of(store)
    return out_of_fold_probabilities(features, labels, len(store.classes), strength, seed, _groups_of(store))


def fisher_probabilities(
    run: RunDir, store: Store, others: Mapping[str, Predictions]
) -> npt.NDArray[np.float64] | None:
    """(N, K) probabilities of each photo by the classifiers of a `sift-fv`, without the photo itself.

    Training photos are predicted by the classifiers of all others, of other groups where the store was split
    by groups; `others` has the predictions for the other splits. None if the run has not saved the former, or
    was trained on a part of a split. NaN for photos whose class has no photos in other groups.
    """
    trained_on = run.config().data.train_splits
    digest = known_sha256(find_weights(run.path).resolve())
    left_out = load_fresh(left_out_path(run.path), Predictions, digest, store.digest)
    if left_out is None or len(left_out.labels) != len(store.joined(trained_on)):
        return None
    sizes = [len(store.split(name)) for name in trained_on]
    parts = np.split(left_out.probabilities, np.cumsum(sizes)[:-1])
    by_split = {name: each.probabilities for name, each in others.items()}
    by_split |= dict(zip(trained_on, parts, strict=True))
    found = np.concatenate([by_split[name] for name in store.splits]).astype(np.float64)
    trained = np.concatenate([np.full(len(store.split(name)), name in trained_on) for name in store.splits])
    labels, groups = labels_of(store), np.array(_groups_of(store))
    of_class = [len(np.unique(groups[trained & (labels == label)])) for label in range(len(store.classes))]
    found[np.array(of_class)[labels] - trained < 1] = np.nan
    return found


def labels_of(store: Store) -> npt.NDArray[np.int64]:
    """(N,) of all photos, split after split."""
    return np.concatenate([store.split(name).labels for name in store.splits]).astype(np.int64)


def _groups_of(store: Store) -> list[str]:
    """The name of each photo's group; of its own where the store has no groups."""
    by_split = [photo_groups(store, store.split(name)) for name in store.splits]
    groups = [group for each in by_split for group in each or ()]
    return groups or [str(number) for number in range(sum(len(store.split(name)) for name in store.splits))]


def out_of_fold_probabilities(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    strength: float,
    seed: int,
    groups: Sequence[str],
) -> npt.NDArray[np.float64]:
    """(N, K) probabilities of each photo by a logistic regression on the features (N, D) of other photos.

    Photos of one group, N names, are never predicted by each other. NaN for photos whose class has no photos
    in other groups, and where the others have one class.
    """
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    of_class = [np.unique(numbers[labels == label]).size for label in np.unique(labels)]
    most = MORE_FOLDS if len(labels) <= FEW_PHOTOS else FOLDS
    folds, found = min(most, max(of_class)), np.full((len(labels), classes), np.nan)
    if folds < 2:
        return found
    division = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The least populated class")
        for kept, others in division.split(labels, labels, numbers):
            known = np.unique(labels[kept])
            held_out = others[np.isin(labels[others], known)]
            if len(known) < 2 or not len(held_out):
                continue
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
            model.fit(features[kept], labels[kept])
            found[held_out] = 0
            found[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return found


def suspicious(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[int]:
    """Numbers of the photos that another class fits far better than their label, the clearest first.

    The first of `ranking`, by `MAX_OF_LABEL` and `MIN_OF_OTHER`. The limits keep the list short where the
    model is weak. Photos with NaN are never among them.
    """
    own, best = probabilities[np.arange(len(labels)), labels], probabilities.max(1)
    found = (own < MAX_OF_LABEL) & (best > MIN_OF_OTHER)
    return [number for number in ranking(probabilities, labels) if found[number]]


def ranking(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[int]:
    """Numbers of all photos, those first that another class fits best in comparison with their label.

    By the difference of the two probabilities; photos with NaN are the last. Source: Northcutt, Jiang, Chuang
    2021, "Confident Learning", section 3.2.
    """
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = 0
    return np.argsort(probabilities[np.arange(len(labels)), labels] - others.max(1), kind="stable").tolist()
