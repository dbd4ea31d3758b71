from __future__ import annotations

import base64
import http.client
import io
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import odd_uploads
import pytest
from http_client import send
from PIL import Image

from alexnet.analysis.neighbors import SimilarImages
from alexnet.analysis.saliency import grad_cam
from alexnet.data.crops import ten
from alexnet.data.preprocessing import to_stored_square
from alexnet.web.photos import StorePhotos
from alexnet.web.served_model import NEIGHBORS_SHOWN, Analyses, ServedModel, similar_of
from alexnet.web.upload import read_upload


def same(found, wanted) -> None:
    assert [(each["wnid"], each["name"]) for each in found] == [prediction[:2] for prediction in wanted]
    np.testing.assert_allclose([each["probability"] for each in found], [p for *_, p in wanted], atol=1e-5)


@pytest.mark.parametrize("views", ["center", "ten"])
@pytest.mark.parametrize("make", odd_uploads.ODD, ids=lambda make: make.__name__)
def test_predictions_equal_those_of_the_command_line(url, classifier, make, views) -> None:
    found = send(f"{url}/api/classify?views={views}&top=2", make())
    assert found.status == 200
    pixels = read_upload(make()).pixels
    same(found.json["classes"], classifier.predict(pixels, views=views, top=2)[0])
    assert found.json["model"] == "one"
    assert found.json["photo"] == {"width": 90, "height": 60, "notes": read_upload(make()).notes}


@pytest.mark.parametrize("make", odd_uploads.REFUSED, ids=lambda make: make.__name__)
def test_refusals_reach_the_client(url, make) -> None:
    status, reason = odd_uploads.REFUSED[make]
    found = send(f"{url}/api/classify", make())
    assert found.status == status
    assert reason in found.json["error"]
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200


def test_an_oversized_photo_is_refused_with_a_reason(url) -> None:
    found = send(f"{url}/api/classify", bytes(21 * 2**20))
    assert (found.status, found.json) == (
        413,
        {"error": "the photo is larger than 20 MB: send a smaller one"},
    )


@pytest.mark.parametrize(("size", "times"), [((1, 1), 72), ((300, 2), 36), ((17, 40), 4), ((18, 18), 0)])
def test_a_photo_of_few_pixels_gets_a_note(url, size, times) -> None:
    data = odd_uploads.encoded(odd_uploads.picture(size=size), "PNG")
    notes = send(f"{url}/api/classify", data).json["photo"]["notes"]
    assert notes == ([f"its shorter side was enlarged {times} times for the model"] if times else [])


def test_the_model_can_be_chosen(url, models) -> None:
    for model in models:
        found = send(f"{url}/api/classify?model={model.name}", odd_uploads.plain()).json
        assert found["model"] == model.name
        same(found["classes"], model.classifier.predict(read_upload(odd_uploads.plain()).pixels)[0])


def test_the_result_is_the_mean_over_the_crops(url, classifier) -> None:
    found = send(f"{url}/api/classify?crops=1&top=9", odd_uploads.plain()).json
    positions = [[crop["y"], crop["x"], crop["mirrored"]] for crop in found["crops"]]
    np.testing.assert_array_equal(positions, ten(72, 64))
    means = dict.fromkeys((each["wnid"] for each in found["classes"]), 0.0)
    for crop in found["crops"]:
        assert len(crop["classes"]) == 3  # all there are
        for each in crop["classes"]:
            means[each["wnid"]] += each["probability"] / 10
    np.testing.assert_allclose(
        [means[each["wnid"]] for each in found["classes"]],
        [each["probability"] for each in found["classes"]],
        atol=1e-6,
    )
    head, _, data = found["square"]["image"].partition(",")
    assert (head, found["square"]["side"], found["square"]["crop"]) == ("data:image/jpeg;base64", 72, 64)
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        wanted = to_stored_square(read_upload(odd_uploads.plain()).pixels, classifier.preprocessing)
        assert np.abs(np.asarray(shown, int) - wanted).mean() < 4


def test_models_are_described(url) -> None:
    found = send(f"{url}/api/models").json
    assert [each["name"] for each in found["models"]] == ["one", "two"]
    first = found["models"][0]
    assert first["trained"] == "3 epochs on store, seed 0"
    assert (first["classes"], first["side"], first["crop"], first["views"]) == (3, 72, 64, "ten")
    assert first["answers"] == ["classify", "saliency"]


def test_samples_are_validation_photos_of_every_class(url, store) -> None:
    found = send(f"{url}/api/samples").json["samples"]
    assert [each["name"] for each in found] == [each.name for each in store.classes]
    for each in found:
        photo = send(url + each["photo"])
        assert (photo.status, photo.headers["content-type"]) == (200, "image/jpeg")
        assert read_upload(photo.body).pixels.shape == (72, 72, 3)
        assert "/val/" in each["photo"]


@pytest.mark.parametrize("place", ["val/21", "val/-1", "test/0", "val/one", "val/0/0", "..%2f..%2fetc/0"])
def test_other_photos_are_404(url, place) -> None:
    assert send(f"{url}/api/photos/{place}").status == 404


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("model=three", 404, "one, two"),
        ("views=nine", 400, "center, ten"),
        ("top=0", 400, "top"),
        ("top=-1", 400, "top"),
        ("top=99999999999999999999", 400, "top"),
        ("crops=yes", 400, "crops"),
    ],
)
def test_invalid_parameters_are_refused_with_the_valid_values(url, query, status, named) -> None:
    found = send(f"{url}/api/classify?{query}", odd_uploads.plain())
    assert found.status == status
    assert named in found.json["error"]


def test_unknown_parameters_are_refused_with_the_nearest_name(url) -> None:
    found = send(f"{url}/api/classify?tpo=2", odd_uploads.plain())
    assert (found.status, found.json) == (
        400,
        {"error": "unknown key 'tpo'; the nearest is 'top'; choose from: model, views, top, crops"},
    )
    found = send(f"{url}/api/saliency?top=2", odd_uploads.plain())  # a parameter of another endpoint
    assert (found.status, found.json) == (400, {"error": "unknown key 'top'; choose from: model"})


def test_top_is_limited_to_the_number_of_classes(url) -> None:
    assert len(send(f"{url}/api/classify?top=1000", odd_uploads.plain()).json["classes"]) == 3


def test_a_multipart_form_is_refused(url) -> None:
    found = send(f"{url}/api/classify", b"--x--", content_type="multipart/form-data; boundary=x")
    assert found.status == 415
    assert "--data-binary" in found.json["error"]


def test_a_photo_damaged_by_curl_d_gets_a_hint(url) -> None:
    cut = odd_uploads.plain().replace(b"\n", b"").replace(b"\r", b"")[:-9]
    found = send(f"{url}/api/classify", cut, content_type="application/x-www-form-urlencoded")
    assert found.status == 422 and found.json["error"].endswith("use --data-binary, as -d drops bytes")
    assert "curl" not in send(f"{url}/api/classify", cut).json["error"]


def test_health(url) -> None:
    found = send(f"{url}/health").json
    assert (found["status"], found["models"], found["waiting"]) == ("ok", ["one", "two"], 0)


def test_saliency_is_grad_cam_of_the_predicted_class(url, classifier) -> None:
    data = odd_uploads.plain()
    found = send(f"{url}/api/saliency", data).json
    square = to_stored_square(read_upload(data).pixels, classifier.preprocessing)
    answered = send(f"{url}/api/classify", data).json["classes"][0]
    wnid = answered["wnid"]
    assert (found["wnid"], found["name"]) == (wnid, answered["name"])
    label = [each.wnid for each in classifier.classes].index(wnid)
    whole = grad_cam(classifier, square[None], [label])[0]
    means = whole.reshape(32, 2, 32, 2).mean((1, 3))
    np.testing.assert_allclose(found["values"], means, atol=6e-4)
    assert (found["x"], found["y"], found["crop"], found["side"]) == (4, 4, 64, 72)


class Fixed:
    """An index with a fixed result."""

    def search(self, queries, count):
        from alexnet.analysis.neighbors import NearestVectors

        assert count == NEIGHBORS_SHOWN
        return NearestVectors(np.array([[5, 40]]), np.array([[0.5, 1.25]]))


def test_similar_images_have_their_addresses_in_the_store(serve_model, store, classifier) -> None:
    photos = StorePhotos(store)
    images = SimilarImages(classifier, store.split("train"), "fc7", Fixed())
    model = ServedModel("model", classifier, analyses=Analyses(similar=similar_of(images, photos)))
    found = send(serve_model(model) + "/api/similar", odd_uploads.plain()).json
    labels = store.split("train").labels
    assert [(each["photo"], each["name"], each["distance"]) for each in found["neighbors"]] == [
        ("/api/photos/train/5", store.classes[labels[5]].name, 0.5),
        ("/api/photos/train/40", store.classes[labels[40]].name, 1.25),
    ]


def test_an_unsupported_endpoint_is_refused(url) -> None:
    for what, named in (("similar", "classify, saliency"), ("localize", "classify"), ("nothing", "address")):
        found = send(f"{url}/api/{what}", odd_uploads.plain())
        assert found.status == 404
        assert named in found.json["error"]


def test_without_a_store_there_are_no_samples(serve_model, classifier) -> None:
    url = serve_model(ServedModel("model", classifier))
    assert send(f"{url}/api/samples").json == {"samples": []}
    assert send(f"{url}/api/photos/val/0").status == 404


def test_an_internal_error_is_500_and_the_server_continues(
    serve_model, classifier, capfd, monkeypatch
) -> None:
    def broken(seen):
        raise RuntimeError("secret")

    url = serve_model(ServedModel("model", classifier, analyses=Analyses(saliency=broken)))
    found = send(f"{url}/api/saliency", odd_uploads.plain())
    assert (found.status, found.json) == (500, {"error": "the server failed on this photo (RuntimeError)"})
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200


@pytest.mark.parametrize("path", ["/", "/health", "/api/models", "/api/samples", "/api/photos/val/0"])
def test_head_requests_get_the_headers_only(url, path) -> None:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.netloc, timeout=60)) as connection:
        connection.request("HEAD", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")


def test_an_unknown_address_is_refused_with_the_nearest(url) -> None:
    found = send(f"{url}/api/clasify", odd_uploads.plain())
    assert (found.status, found.json) == (
        404,
        {"error": "no such address: /api/clasify; the nearest is /api/classify"},
    )
    assert send(f"{url}/zzz", odd_uploads.plain()).json == {"error": "no such address: /zzz"}
