"""Photos whose labels are probably wrong, by models that were not trained on them."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.data.store import Store
from alexnet.fitting.record import Suspect
from alexnet.models.bundle import ModelBundle
from alexnet.training.last_layer import FOLDS, last_layer_inputs

MAX_PHOTOS = 10_000
"""With more photos the logistic regressions take many minutes."""
MOST_SUSPECTS = 100
MAX_OF_LABEL, MIN_OF_OTHER = 0.05, 0.5
"""Probability of its label below which, and of another class above which, a photo is suspicious."""


def find_suspects(bundle: ModelBundle, store: Store, strength: float, seed: int) -> tuple[Suspect, ...]:
    """Photos of any split whose label is probably wrong, the most suspicious first.

    Each photo is predicted by a logistic regression on the network's features of other photos; `strength` is
    scikit-learn's `C`. It is meant for up to `MAX_PHOTOS` photos. Empty if fewer than two classes have
    two photos.
    """
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    features = np.concatenate([last_layer_inputs(bundle, store.split(name))[0] for name in store.splits])
    labels = np.concatenate([store.split(name).labels for name in store.splits]).astype(np.int64)
    if np.count_nonzero(np.bincount(labels) >= 2) < 2:  # a fold would be trained on one class
        return ()
    probabilities = out_of_fold_probabilities(features, labels, len(store.classes), strength, seed)
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
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int, strength: float, seed: int
) -> npt.NDArray[np.float64]:
    """(N, K) probabilities of each photo by a logistic regression on the features (N, D) of other photos."""
    found, folds = np.zeros((len(labels), classes)), min(FOLDS, int(np.bincount(labels).max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The least populated class")
        for kept, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
            model.fit(features[kept], labels[kept])
            found[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return found


def suspicious(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[int]:
    """Numbers of the photos that another class fits far better than their label, the clearest first.

    By `MAX_OF_LABEL` and `MIN_OF_OTHER`, ranked by the difference of the two probabilities. The limits
    keep the list short where the model is weak. The only photo of a class is never among them. Source of the
    ranking: Northcutt, Jiang, Chuang 2021, "Confident Learning", section 3.2.
    """
    own = probabilities[np.arange(len(labels)), labels]
    best = probabilities.max(1)
    alone = np.bincount(labels)[labels] < 2  # no model was trained on its class
    found = np.flatnonzero((own < MAX_OF_LABEL) & (best > MIN_OF_OTHER) & ~alone)
    return found[np.argsort(own[found] - best[found], kind="stable")].tolist()
