"""Photos whose labels are probably wrong, by models that were not trained on them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.data.groups import photo_groups
from alexnet.data.store import Store
from alexnet.fitting.record import Suspect
from alexnet.models.bundle import ModelBundle
from alexnet.training.last_layer import FOLDS, last_layer_inputs

MAX_PHOTOS = 10_000
"""With more photos the logistic regressions take many minutes."""
FEW_PHOTOS, MORE_FOLDS = 2000, 10
"""Up to this number of photos there are more folds, so that each model is trained on more of them."""
MOST_SUSPECTS = 100
MAX_OF_LABEL, MIN_OF_OTHER = 0.05, 0.5
"""Probability of its label below which, and of another class above which, a photo is suspicious."""


def find_suspects(bundle: ModelBundle, store: Store, strength: float, seed: int) -> tuple[Suspect, ...]:
    """Photos of any split whose label is probably wrong, the most suspicious first.

    Each photo is predicted by a logistic regression on the network's features of other photos, of other
    groups where the store was split by groups; `strength` is scikit-learn's `C`. It is meant for up to
    `MAX_PHOTOS` photos.
    """
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    features = np.concatenate([last_layer_inputs(bundle, store.split(name))[0] for name in store.splits])
    labels = np.concatenate([store.split(name).labels for name in store.splits]).astype(np.int64)
    by_split = [photo_groups(store, store.split(name)) for name in store.splits]
    groups = [group for each in by_split for group in each or ()] or [*map(str, range(len(places)))]
    probabilities = out_of_fold_probabilities(features, labels, len(store.classes), strength, seed, groups)
    names = [each.name for each in store.classes]
    found: list[Suspect] = []
    for number in suspicious(probabilities, labels)[:MOST_SUSPECTS]:
        (split, index), row, label = places[number], probabilities[number], labels[number]
        predicted = int(row.argmax())
        key = store.split(split).key(index)
        found.append(
            Suspect(split, key, names[label], names[predicted], float(row[predicted]), float(row[label]))
        )
    return tuple(found)


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

    By `MAX_OF_LABEL` and `MIN_OF_OTHER`, ranked by the difference of the two probabilities. The limits
    keep the list short where the model is weak. Photos with NaN are never among them. Source of the ranking:
    Northcutt, Jiang, Chuang 2021, "Confident Learning", section 3.2.
    """
    own = probabilities[np.arange(len(labels)), labels]
    best = probabilities.max(1)
    found = np.flatnonzero((own < MAX_OF_LABEL) & (best > MIN_OF_OTHER))
    return found[np.argsort(own[found] - best[found], kind="stable")].tolist()
