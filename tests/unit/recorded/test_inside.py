"""Pictures of what a run sees, drawn from a tiny net and store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.figure import Figure

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.recorded import inside, pictures


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny net, tested."""
    made = tiny.run(tmp_path_factory.mktemp("runs") / "small", store, tiny.TOWERS).path
    assert main(["evaluate", str(made), "--store", str(store.path), "--views", "centre", "--json"]) == 0
    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved meanwhile."""
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return path

    for module in (inside, pictures):
        monkeypatch.setattr(module, "save", keep)
    return figures


@pytest.mark.parametrize(
    ("draw", "images"),
    [
        (inside.draw_neighbours_of, 48),
        (inside.draw_crops_of, 1),
        (inside.draw_activations_of, 1),
        (inside.draw_saliency_of, 5),
        (inside.draw_map_of, 21),
        (pictures.draw_examples_of, 21),
        (pictures.draw_confusions_of, 21),
    ],
)
def test_each_picture_says_run_data_and_number_of_images(run, store, drawn, draw, images) -> None:
    assert draw(run, store.path, Path("there.png")) == Path("there.png")
    title = drawn[0].get_suptitle()
    assert title.startswith("small") and "store" in title
    assert title.endswith(f"{images} image{'s' if images > 1 else ''}")


def test_the_mean_of_the_crops_is_what_ten_crops_say(run, store, drawn) -> None:
    inside.draw_crops_of(run, store.path, Path("crops.png"))
    photo = np.asarray(drawn[0].axes[0].images[0].get_array())
    ((_, name, probability),) = alexnet.load(run, "cpu").classify([photo], views="ten", top=1)[0]
    assert f"{name} {probability:.2f}" in drawn[0].axes[0].get_title()


def test_all_layers_of_the_net_have_a_row(run, store, drawn) -> None:
    inside.draw_activations_of(run, store.path, Path("activations.png"))
    words = [text.get_text() for axes in drawn[0].axes for text in axes.texts]
    assert set(alexnet.load(run, "cpu").model.layer_names) <= set(words)


def test_errors_stand_below_the_published_ones(run, store, drawn) -> None:
    inside.draw_errors_of([run], Path("errors.png"))
    names = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert names[-1] == f"{tiny.RECIPE}, store val, centre"
    assert any("ILSVRC-2010" in name for name in names[:-1])


def test_the_plane_may_also_be_of_principal_components(run, store, drawn) -> None:
    inside.draw_map_of(run, store.path, Path("map.png"), by_variance=True)
    assert "principal components of fc7" in drawn[0].axes[0].get_xlabel()
