from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import predict

import alexnet
from alexnet.data.decode import UnreadableImage
from alexnet.data.photos import pixels_of
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import FILTERS, to_square, warp
from alexnet.errors import CommandError, DataError
from alexnet.evaluation import predictor
from alexnet.evaluation.predictor import EnsemblePredictor, Predictor, rendered

from .conftest import CLASSES, SIDE, jpeg, make_net, write_checkpoint


@pytest.fixture
def classifier(net) -> Predictor:
    return Predictor(net)


def val_photos(photos: Path) -> list[Path]:
    return sorted((photos / "val").rglob("*.JPEG"))


def test_photos_become_the_same_inputs_as_in_the_store(classifier, net, store, photos) -> None:
    found = classifier.probabilities(val_photos(photos), views="ten")
    np.testing.assert_allclose(found, predict(net, store, "val", "ten").probabilities, atol=0.02)
    assert found.dtype == np.float32


def test_every_kind_of_photo_gives_the_same_prediction(classifier, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(5))
    with Image.open(path) as image:
        array = np.asarray(image)
        kinds = [str(path), path, image, array, torch.tensor(array), torch.tensor(array).permute(2, 0, 1)]
        rows = classifier.probabilities(kinds)
    assert rows.shape == (6, CLASSES)
    for row in rows[1:]:
        np.testing.assert_allclose(row, rows[0], atol=1e-6)
    for one in (str(path), path, array, torch.tensor(array)):
        np.testing.assert_allclose(classifier.probabilities(one), rows[:1], atol=1e-6)
    np.testing.assert_allclose(classifier.probabilities(np.stack([array] * 2)), rows[:2], atol=1e-6)


def test_predictions_have_names_and_are_sorted(classifier, photos) -> None:
    files = val_photos(photos)[:3]
    rows = classifier.probabilities(files, views="center")
    predictions = classifier.predict(files, views="center", top=4)
    assert [len(each) for each in predictions] == [4, 4, 4]
    for row, prediction in zip(rows, predictions, strict=True):
        assert [probability for _, _, probability in prediction] == sorted(row.tolist(), reverse=True)[:4]
        labels = [[each.wnid for each in classifier.classes].index(wnid) for wnid, _, _ in prediction]
        assert [row[label] for label in labels] == [probability for _, _, probability in prediction]
        assert all(
            name == classifier.classes[label].name
            for label, (_, name, _) in zip(labels, prediction, strict=True)
        )
    assert len(classifier.predict(files[0], top=100)[0]) == CLASSES


def test_the_company_of_other_photos_does_not_matter(net, photos) -> None:
    files = val_photos(photos)
    together = Predictor(net).probabilities(files)
    np.testing.assert_allclose(Predictor(net, batch_size=20).probabilities(files), together, atol=1e-5)
    np.testing.assert_allclose(Predictor(net).probabilities(files[4]), together[4:5], atol=1e-5)


def test_photos_are_turned_upright(classifier) -> None:
    upright = Image.open(io.BytesIO(jpeg(3, (90, 60))))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "PNG", exif=exif)
    with Image.open(file) as image:
        np.testing.assert_allclose(
            classifier.probabilities(image), classifier.probabilities(upright), atol=1e-6
        )


def test_features_are_a_layers_activations_at_the_center(classifier, photos, monkeypatch) -> None:
    files = val_photos(photos)[:5]
    features = classifier.features(files, layer="fc2")
    assert features.shape == (5, CLASSES)
    odds = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(odds, classifier.probabilities(files, views="center"), atol=1e-5)
    assert classifier.features(files, layer="conv1").shape == (5, 4 * 15 * 15)
    monkeypatch.setattr(classifier.model, "layer_names", ("conv1", "fc2", "logits"))
    np.testing.assert_array_equal(classifier.features(files), features)  # of the last hidden layer
    with pytest.raises(CommandError, match="conv1, fc2"):
        classifier.features(files, layer="fc7")


def test_no_photos_give_no_rows(classifier) -> None:
    assert classifier.probabilities([]).shape == (0, CLASSES)
    assert classifier.features([], layer="conv1").shape == (0, 4 * 15 * 15)
    with pytest.raises(CommandError, match="conv1, fc2"):
        classifier.features([], layer="fc7")
    assert classifier.predict([]) == []


def test_files_that_are_not_photos_are_refused(classifier, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    for call in (classifier.predict, classifier.probabilities):
        with pytest.raises(UnreadableImage, match=r"text\.jpg: "):
            call(tmp_path / "text.jpg")
    with pytest.raises(CommandError, match=r"absent\.jpg"):
        classifier.predict([tmp_path / "absent.jpg"])
    for wrong in (np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8), torch.zeros(3, 9, 9)):
        with pytest.raises(CommandError, match="uint8"):
            classifier.predict([wrong])
    with pytest.raises(CommandError, match="at least 1"):
        classifier.predict([], top=0)
    with pytest.raises(CommandError, match="min_score must be a number from 0 to 1, got 'auto'"):
        classifier.predict([], min_score="auto")


def test_load_takes_a_run_folder_or_its_weights(make_run, photos) -> None:
    run = make_run("run")
    files = val_photos(photos)
    from_run, from_file = (
        alexnet.load(path, device="cpu")
        for path in (str(run.path), run.checkpoints / "last" / "weights.safetensors")
    )
    np.testing.assert_array_equal(from_run.probabilities(files), from_file.probabilities(files))
    assert from_run.config == run.config()
    assert from_run.preprocessing.crop == 64
    assert not from_run.model.training


def test_load_takes_the_last_weights_not_those_chosen_on_the_validation_images(make_run, store, photos):
    run = make_run("run")
    last = alexnet.load(run.path).probabilities(val_photos(photos))
    write_checkpoint(run, make_net(store, seed=9), "best")
    np.testing.assert_array_equal(alexnet.load(run.path).probabilities(val_photos(photos)), last)
    best = alexnet.load(run.checkpoints / "best" / "weights.safetensors")
    assert not np.array_equal(best.probabilities(val_photos(photos)), last)


def test_nothing_to_load_is_one_plain_line(make_run, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no run directory or model file at"):
        alexnet.load(tmp_path / "absent")
    (tmp_path / "untrained").mkdir()
    with pytest.raises(CommandError, match="train one there first"):
        alexnet.load(tmp_path / "untrained")
    (tmp_path / "untrained" / "config.json").touch()
    with pytest.raises(CommandError, match="train it first"):
        alexnet.load(tmp_path / "untrained")
    (tmp_path / "pickle.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="pickle"):
        alexnet.load(tmp_path / "pickle.pt")


@pytest.mark.parametrize("resampling", FILTERS)
@pytest.mark.parametrize(("how", "resize"), [("crop", to_square), ("warp", warp)], ids=["crop", "warp"])
def test_photos_are_resized_as_the_models_own_were(net, resampling, how, resize) -> None:
    resized = {"shape": "square", "resize": how, "resampling": resampling}
    classifier = Predictor(replace(net, preprocessing=replace(net.preprocessing, resized=resized)))
    photo = np.random.default_rng(0).integers(0, 256, (150, 110, 3), dtype=np.uint8)
    square = resize(photo, SIDE, resampling)
    np.testing.assert_array_equal(classifier.probabilities([photo]), classifier.probabilities([square]))


def test_an_ensemble_predicts_the_mean_of_its_members(net, store, photos, tmp_path: Path) -> None:
    other = replace(net, model=make_net(store, seed=5).model)
    members = [Predictor(net), Predictor(other)]
    both, files = EnsemblePredictor(members), val_photos(photos)[:3]
    for views in ("", "center"):
        wanted = np.mean([each.probabilities(files, views) for each in members], axis=0)
        np.testing.assert_allclose(both.probabilities(files, views), wanted, atol=1e-6)
        best = [row[0].probability for row in both.predict(files, views, top=1)]
        np.testing.assert_allclose(best, wanted.max(1), atol=1e-6)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    found = both.attempt([files[0], broken])
    assert isinstance(found[1], UnreadableImage) and not isinstance(found[0], UnreadableImage)


def test_an_ensemble_reads_each_photo_once(net, store, photos, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [Predictor(net), Predictor(replace(net, model=make_net(store, seed=5).model))]
    files, read = val_photos(photos)[:3], list[object]()
    wanted = np.mean([each.probabilities(files, "center") for each in members], axis=0)

    def once(photo: object) -> np.ndarray:
        if photo in read:
            raise UnreadableImage("the file was replaced meanwhile")
        read.append(photo)
        return pixels_of(photo)

    monkeypatch.setattr(predictor, "pixels_of", once)
    found = EnsemblePredictor(members).probabilities(iter(files), "center")
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert read == files


@pytest.mark.parametrize("refusing", [0, 1])
def test_a_photo_that_one_member_refuses_has_no_mean(
    net, photos, monkeypatch: pytest.MonkeyPatch, refusing: int
) -> None:
    members = [Predictor(net), Predictor(replace(net, preprocessing=replace(net.preprocessing)))]
    files, refused = val_photos(photos)[:2], members[refusing].preprocessing

    def refuse_first(pixels: np.ndarray, preprocessing: Preprocessing, scaled: object) -> list[np.ndarray]:
        if preprocessing is refused and np.array_equal(pixels, pixels_of(files[0])):
            raise UnreadableImage("too long for this model")
        return rendered(pixels, preprocessing, scaled)

    monkeypatch.setattr(predictor, "rendered", refuse_first)
    error, row = EnsemblePredictor(members).rows(files, "center")
    assert isinstance(error, UnreadableImage) and not isinstance(row, UnreadableImage)


def test_models_of_other_classes_have_no_mean(net) -> None:
    turned = replace(net, classes=net.classes[::-1])
    with pytest.raises(DataError, match="classes of the models"):
        EnsemblePredictor([Predictor(net), Predictor(turned)])


def test_predictions_as_a_table(classifier, photos, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    files = val_photos(photos)[:2]
    frame = classifier.predict_frame([files[0], broken, jpeg(5)], views="center", top=2)
    assert list(frame.columns) == ["photo", "rank", "wnid", "name", "probability", "error"]
    assert frame.photo.tolist() == [str(files[0]), str(files[0]), str(broken), 2, 2]
    assert frame["rank"].tolist() == [1, 2, 0, 1, 2]
    predicted = [
        best for each in classifier.predict([files[0], jpeg(5)], views="center", top=2) for best in each
    ]
    rows = frame[frame.error == ""]
    assert [tuple(row) for row in rows[["wnid", "name", "probability"]].itertuples(index=False)] == predicted
    (error,) = frame[frame.photo == str(broken)].error
    assert error
    assert classifier.predict_frame([], views="center").empty


def test_a_table_without_pandas_is_refused_with_what_to_install(classifier, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'alexnet\[pandas\]'"):
        classifier.predict_frame(jpeg(5))


def test_what_is_printed_says_what_it_holds(classifier, net) -> None:
    text = f"alexnet-2012: {CLASSES} classes (n00000000, n00000001, n00000002, ...)"
    assert repr(classifier).startswith(f"Predictor({text}, input ")
    ensemble = EnsemblePredictor([classifier, Predictor(net)])
    assert repr(ensemble).startswith(f"EnsemblePredictor(2 models, the first {text}, input ")
    assert repr(net).startswith(f"ModelBundle(alexnet-2012: Tiny of {CLASSES} classes, Preprocessing(")
