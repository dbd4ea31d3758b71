"""`Store.torch_dataset` for torch's `DataLoader`, and loaders that iterate."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch.utils.data import DataLoader

from alexnet.data.loader import Batching, Loader
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


def stored(store: Store, index: int) -> np.ndarray:
    return np.frombuffer(store.split("val").buffer(index), np.uint8).reshape(72, 72, 3)


def test_items_are_images_with_their_labels(store: Store) -> None:
    dataset = store.torch_dataset("val")
    assert len(dataset) == 21
    assert dataset.classes == ["class0", "class1", "class2"]
    assert dataset.targets == store.split("val").labels.tolist()
    image, label = dataset[8]
    assert (image.shape, image.dtype, type(label)) == ((3, 72, 72), torch.uint8, int)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), stored(store, 8))
    assert [label for _, label in dataset] == dataset.targets
    with pytest.raises(CommandError, match="no split 'test'"):
        store.torch_dataset("test")


def test_a_transform_receives_pil_images(store: Store) -> None:
    dataset = store.torch_dataset("val", lambda image: image.rotate(180))
    image, _ = dataset[3]
    assert isinstance(image, Image.Image)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image)[::-1, ::-1], stored(store, 3))


def test_a_data_loader_with_spawned_workers_and_the_models_own_preprocessing(store: Store) -> None:
    preprocessing = Preprocessing.from_store(tiny.config().data, store)
    dataset = store.torch_dataset("val", preprocessing)
    loader = DataLoader(dataset, batch_size=8, num_workers=1, multiprocessing_context="spawn")
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [8, 8, 5]
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (21, 3, 64, 64)
    assert torch.cat([labels for _, labels in batches]).tolist() == dataset.targets
    wanted = torch.from_numpy(np.stack([stored(store, index) for index in range(21)]))
    places = torch.tensor([[4, 4, 0]]).numpy()
    torch.testing.assert_close(images, preprocessing.test_input(wanted, places))


def test_stores_and_preprocessing_survive_pickling(store: Store) -> None:
    store.split("val").buffer(0)  # its file is mapped now
    again = pickle.loads(pickle.dumps(store))
    assert bytes(again.split("val").buffer(5)) == bytes(store.split("val").buffer(5))
    assert again.split("val").labels.tolist() == store.split("val").labels.tolist()
    preprocessing = Preprocessing.from_store(tiny.config().data, store)
    photo = stored(store, 0)
    torch.testing.assert_close(pickle.loads(pickle.dumps(preprocessing))(photo), preprocessing(photo))


def test_each_iteration_of_a_loader_is_the_next_epoch(store: Store) -> None:
    loader = Loader(store.split("train"), Batching(20, seed=1), workers=1)
    orders = [torch.cat([batch.indices for batch in loader]).tolist() for _ in range(3)]
    assert orders == [loader.order_of(epoch).tolist() for epoch in range(3)]
    loader.epoch = 1
    assert torch.cat([batch.indices for batch in loader]).tolist() == orders[1]


def test_what_is_printed_says_what_it_holds(store: Store) -> None:
    assert repr(store).endswith("store': 3 classes, train 48, val 21 images, 72 x 72 pixels, RGB)")
    train = store.split("train")
    assert repr(train) == "Split('train': 48 images of 3 classes, 72 x 72 pixels, RGB)"
    assert repr(store[0]) == (
        f"Record({store[0].key!r}: label {store[0].label}, 72 x 72 pixels, stored in 16 kB)"
    )
    loader = Loader(train, Batching(20), workers=1)
    assert repr(loader) == f"Loader({train!r}, 3 batches of 20 images, each-epoch order, seed 0)"
    batch = next(iter(loader))
    assert repr(batch) == "Batch(images (20, 72, 72, 3) uint8 on cpu, labels (20,))"
    preprocessing = Preprocessing.from_store(tiny.config().data, store)
    assert repr(preprocessing) == ("Preprocessing(square of 72 pixels -> crop of 64 x 64, RGB, mean-and-std)")
