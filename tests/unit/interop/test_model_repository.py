from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from hub_server import HubServer, Repository, serving_hub
from huggingface_hub import ModelCard

import alexnet
from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import override
from alexnet.errors import CommandError, MissingPackage, NotFound, WorkError
from alexnet.interop.model_repository import export_repository, train_command
from alexnet.models import bundle
from alexnet.runs.hugging_face import HubAddress, hub_address
from alexnet.runs.provenance import InitialWeights, Provenance

SQUARES = np.random.default_rng(2).integers(0, 256, (2, 72, 72, 3), dtype=np.uint8)


def run_main(capsys, *words: object) -> tuple[int, str, str]:
    code = main([*map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def front_matter(card: str) -> dict:
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


@pytest.fixture
def exported(make_run, tmp_path) -> Path:
    folder = tmp_path / "repository"
    export_repository(make_run().path, folder)
    return folder


# --- the folder


def test_the_command_of_the_card_names_the_network_of_the_package() -> None:
    begun = InitialWeights(path="/somewhere/models/pretrained.safetensors", weights_sha256="0")
    known = Provenance(run="mine", recipe="alexnet-small", init_from=begun)
    command = train_command(recipes.get("alexnet-small"), known)
    assert command == "alexnet train alexnet-small --store STORE --run RUN --init-from pretrained"


def test_the_command_of_the_card_names_the_run_and_the_layers_that_were_copied() -> None:
    path = "/somewhere/runs/first/checkpoints/last/weights.safetensors"
    begun = InitialWeights(path=path, weights_sha256="0", layers=("conv1", "conv2"))
    command = train_command(recipes.get("vgg-b"), Provenance(run="b", recipe="vgg-b", init_from=begun))
    assert command.endswith("--run RUN --init-from first --init-layers conv1,conv2")


def test_the_folder_holds_the_exported_file_its_description_and_a_card(
    make_run, store, tmp_path, capsys
) -> None:
    train = '{"event": "train", "step": 18, "epoch": 3, "loss": 1.0, "error": 0.25}\n'
    run = make_run(log=train + '{"event": "result", "step": 18, "epoch": 3}\n')
    assert main(["evaluate", str(run.path), "--store", str(store.path), "--device", "cpu"]) == 0
    capsys.readouterr()
    folder = tmp_path / "new" / "repository"
    code, out, _ = run_main(capsys, "export", run.path, "--hub", folder, "--license", "CC0-1.0")
    assert code == 0
    assert f"hf upload OWNER/NAME {folder}" in out
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert bundle.verify(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    assert config["library_name"] == "alexnet"
    assert config["label_names"] == [each.wnid for each in store.classes]
    assert config["model"]["architecture"]["widths"] == [8, 8, 8, 8, 8, 32, 32]
    card = (folder / "README.md").read_text()
    assert front_matter(card) == {
        "library_name": "alexnet",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "alexnet", tiny.RECIPE],
    }
    assert "\n# license: mit " in card  # left for the user
    (entry,) = json.loads((run.path / "evaluation.json").read_text())
    low, high = (100 * each for each in entry["top1_interval"])
    assert f"{100 * entry['top1_error']:.1f} ({low:.1f}-{high:.1f}) |" in card
    for text in ("CC0-1.0", "| updates | 18 |", "25.0 %", store.digest, 'alexnet.load("hf:OWNER/NAME")'):
        assert text in card


def test_the_command_of_the_card_gives_the_same_configuration(exported) -> None:
    card = (exported / "README.md").read_text()
    words = shlex.split(re.search(r"\| command \| `(.+)` \|", card)[1])
    assert words[:3] == ["alexnet", "train", tiny.RECIPE]
    assert override(recipes.get(words[2]), words[7:]) == tiny.config()


def test_the_hubs_client_reads_the_card(exported) -> None:
    card = ModelCard.load(exported / "README.md")
    assert card.data.library_name == "alexnet"
    assert card.data.pipeline_tag == "image-classification"


def test_the_folder_is_a_model_everywhere(exported, make_run, store, tmp_path, capsys) -> None:
    run, expected = tmp_path / "run", alexnet.load(tmp_path / "run", "cpu").probabilities(SQUARES)
    np.testing.assert_array_equal(alexnet.load(exported, "cpu").probabilities(SQUARES), expected)
    code, out, _ = run_main(capsys, "evaluate", exported, "--store", store.path, "--device", "cpu", "--json")
    assert code == 0
    assert json.loads(out)["images"] == tiny.CLASSES * tiny.VAL_PER_CLASS
    code, _, _ = run_main(capsys, "export", exported, tmp_path / "again.safetensors")
    assert code == 0
    assert bundle.load_metadata(tmp_path / "again.safetensors") == bundle.load_metadata(
        exported / "model.safetensors"
    )
    other = tmp_path / "other"
    assert run_main(capsys, "export", tmp_path / "again.safetensors", "--hub", other)[0] == 0
    assert (other / "README.md").read_bytes() == (exported / "README.md").read_bytes()
    assert run.is_dir()


def test_a_fit_exports_its_best_model_with_the_calibration_of_the_fit(make_run, tmp_path, capsys) -> None:
    from evaluations import calibration

    from alexnet.runs.calibration import write_calibration
    from alexnet.runs.fit_record import Fit
    from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir

    run = make_run()
    fit = tmp_path / "fit"
    (fit).mkdir()
    run.path.rename(fit / "small")
    state = Fit(photos="photos", store_digest="", minutes=1.0, chosen=("small",))
    state.write(fit)
    EnsembleDir(fit).write("fit", [EnsembleMember(name="small", pretraining=False)])
    write_calibration(RunDir(fit), calibration(views="ten", updates=18))
    folder = tmp_path / "repository"
    code, _, err = run_main(capsys, "export", fit, "--hub", folder)
    assert code == 0
    assert "averages" not in err
    assert alexnet.load(folder, "cpu").calibration is not None
    Fit(photos="photos", store_digest="", minutes=1.0, chosen=("small", "other")).write(fit)
    code, _, err = run_main(capsys, "export", fit, tmp_path / "net.safetensors")
    assert code == 0
    assert "averages small, other; small, the best of them, is exported" in err
    Fit(photos="photos", store_digest="", minutes=1.0).write(fit)
    code, _, err = run_main(capsys, "export", fit, "--hub", tmp_path / "none")
    assert code == 2
    assert "not finished" in err


def test_a_file_or_a_folder_not_both(make_run, tmp_path, capsys) -> None:
    run = make_run().path
    for words in ((run,), (run, tmp_path / "net.safetensors", "--hub", tmp_path / "folder")):
        code, _, err = run_main(capsys, "export", *words)
        assert code == 2
        assert "type exactly one of OUT" in err


# --- what is there


def test_the_files_of_an_earlier_export_are_replaced(exported, make_run, tmp_path) -> None:
    (exported / ".git").mkdir()
    (exported / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    before = (exported / "README.md").read_text()
    export_repository(tmp_path / "run", exported, license="MIT")
    after = (exported / "README.md").read_text()
    assert before != after
    assert "license of the weights: MIT" in after
    assert alexnet.load(exported, "cpu").terms["weights_license"] == "MIT"
    assert (exported / ".gitattributes").exists()


def test_an_edited_card_is_not_replaced(exported, tmp_path, capsys) -> None:
    card = exported / "README.md"
    card.write_text(card.read_text().replace("# license: mit", "license: mit"))
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    code, _, err = run_main(capsys, "export", tmp_path / "run", "--hub", exported, "--license", "MIT")
    assert code == 2
    assert "README.md has been edited" in err
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


@pytest.mark.parametrize("name", ["photo.jpg", "notes/a.txt"])
def test_a_folder_with_other_files_is_refused(make_run, tmp_path, capsys, name: str) -> None:
    path = tmp_path / "full" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    code, _, err = run_main(capsys, "export", make_run().path, "--hub", tmp_path / "full")
    assert code == 2
    assert "has other files" in err
    assert path.read_text() == "mine"


def test_a_repository_of_another_program_is_refused(make_run, tmp_path, capsys) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "vit"}')
    (folder / "model.safetensors").write_bytes(b"other")
    code, _, err = run_main(capsys, "export", make_run().path, "--hub", folder)
    assert code == 2
    assert "not a model repository of this program" in err
    assert (folder / "model.safetensors").read_bytes() == b"other"


def test_verify_compares_both_files(exported, capsys) -> None:
    code, out, _ = run_main(capsys, "verify", exported)
    assert code == 0
    assert "2 files compared with their digests, no damage found" in out
    config = exported / "config.json"
    whole = config.read_text()
    config.write_text(whole.replace('"num_classes": 3', '"num_classes": 4'))
    code, out, _ = run_main(capsys, "verify", exported)
    assert code == 3
    assert "contradicts model.safetensors (num_classes)" in out
    config.write_text(whole)
    weights = bytearray((exported / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (exported / "model.safetensors").write_bytes(weights)
    code, out, _ = run_main(capsys, "verify", exported)
    assert code == 3
    assert "its weights differ from the digest" in out


def test_an_export_that_was_killed_is_repeated(exported, tmp_path) -> None:
    left = exported / ".export.999999999.part"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    export_repository(tmp_path / "run", exported)
    assert sorted(path.name for path in exported.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    (exported / "config.json").unlink()
    export_repository(tmp_path / "run", exported)
    (exported / "config.json").unlink()
    (exported / "model.safetensors").unlink()
    export_repository(tmp_path / "run", exported)
    assert alexnet.load(exported, "cpu").classes


@pytest.mark.parametrize(
    ("key", "value"),
    [("label_names", ["x", "y", "z"]), ("recipe", "vgg-a"), ("preprocessing", {}), ("num_classes", 4)],
)
def test_a_description_that_contradicts_the_weights_is_refused(exported, capsys, key: str, value) -> None:
    config = json.loads((exported / "config.json").read_text())
    (exported / "config.json").write_text(json.dumps({**config, key: value, "added": 1}))
    photo = exported.parent / "photo.png"
    photo.write_bytes(b"")
    code, _, err = run_main(capsys, "predict", photo, "--model", exported)
    assert code == 3
    assert f"contradicts model.safetensors ({key})" in err
    config["added_by_another_program"] = True
    (exported / "config.json").write_text(json.dumps(config))
    assert alexnet.load(exported, "cpu").classes


# --- the Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub on this machine, and an empty cache."""
    with serving_hub(monkeypatch, tmp_path / "cache") as server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def published(hub: HubServer, exported: Path) -> Repository:
    repository = hub.models["team/flowers"] = Repository()
    repository.commit({**contents(exported), "large.bin": b"not needed"})
    return repository


def test_a_model_of_the_hub_is_loaded_and_cached(hub, published, tmp_path) -> None:
    expected = alexnet.load(tmp_path / "run", "cpu").probabilities(SQUARES)
    np.testing.assert_array_equal(alexnet.load("hf:team/flowers", "cpu").probabilities(SQUARES), expected)
    assert not any("large.bin" in each for each in hub.requests)
    downloads = [each for each in hub.requests if each.startswith("GET") and "/resolve/" in each]
    alexnet.load("hf:team/flowers", "cpu")
    assert [each for each in hub.requests if each.startswith("GET") and "/resolve/" in each] == downloads


def test_without_a_network_the_cached_model_is_used(hub, published) -> None:
    expected = alexnet.load("hf:team/flowers", "cpu").probabilities(SQUARES)
    hub.close()
    np.testing.assert_array_equal(alexnet.load("hf:team/flowers", "cpu").probabilities(SQUARES), expected)
    with pytest.raises(WorkError, match=r"hf:team/other is not cached, and the Hub cannot be reached \("):
        alexnet.load("hf:team/other")


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub, published, exported, tmp_path) -> None:
    first = published.refs["main"]
    export_repository(tmp_path / "run", exported, license="MIT")
    published.commit(contents(exported))
    published.refs["v1"] = first
    licenses = {
        revision: alexnet.load(f"hf:team/flowers{revision}", "cpu").terms["weights_license"]
        for revision in ("", "@main", "@v1", f"@{first}")
    }
    assert [license == "MIT" for license in licenses.values()] == [True, True, False, False]
    with pytest.raises(NotFound, match="team/flowers has no branch, tag or commit v2"):
        alexnet.load("hf:team/flowers@v2")


def test_commands_take_models_of_the_hub(hub, published, store, tmp_path, capsys) -> None:
    photo = next((store.path.parent / "photos").rglob("*.png"))
    _, expected, _ = run_main(
        capsys, "predict", photo, "--model", tmp_path / "run", "--json", "--device", "cpu"
    )
    for words in ((photo, "--model", "hf:team/flowers"), ("hf:team/flowers", photo)):
        code, out, _ = run_main(capsys, "predict", *words, "--json", "--device", "cpu")
        assert code == 0
        assert json.loads(out) == json.loads(expected)
    code, out, _ = run_main(
        capsys, "evaluate", "hf:team/flowers", "--store", store.path, "--device", "cpu", "--json"
    )
    assert code == 0
    assert json.loads(out)["images"] == tiny.CLASSES * tiny.VAL_PER_CLASS
    assert json.loads(out)["runs"][0]["run"] == "team/flowers"
    new = tmp_path / "fine-tuned"
    words = ["train", tiny.RECIPE, *tiny.SETTINGS, "epochs=1", "--store", store.path, "--run", new]
    code, _, err = run_main(capsys, *words, "--init-from", "hf:team/flowers", "--device", "cpu")
    assert code == 0, err
    model = alexnet.create_model(tiny.RECIPE, 3, *tiny.SETTINGS, pretrained="hf:team/flowers")
    assert model is not None


def test_serve_takes_a_model_of_the_hub(hub, published) -> None:
    import torch

    from alexnet.runs.run_dir import members_of
    from alexnet.web.served_model import open_models

    (model,) = open_models(members_of([Path("hf:team/flowers")]), torch.device("cpu"))
    assert len(model.classifier.classes) == tiny.CLASSES
    assert model.name == "team/flowers"


def test_two_models_or_none_to_predict_with(capsys, tmp_path) -> None:
    code, _, err = run_main(capsys, "predict", "hf:a/b", "x.jpg", "--model", "pretrained")
    assert (code, "two models" in err) == (2, True)
    code, _, err = run_main(capsys, "predict", "hf:a/b")
    assert (code, "no photos" in err) == (2, True)


@pytest.mark.parametrize(
    ("access", "error", "words"),
    [
        (
            "private",
            NotFound,
            "there is no model repository team/flowers, or it is private: log in with `hf auth",
        ),
        ("gated", CommandError, "accept the terms on the page of team/flowers, and log in"),
    ],
)
def test_what_cannot_be_read_is_one_line(hub, published, access: str, error, words: str) -> None:
    published.access = access
    with pytest.raises(error) as found:
        alexnet.load("hf:team/flowers")
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_a_repository_without_our_weights_is_one_line(hub, published, tmp_path) -> None:
    with pytest.raises(NotFound, match="there is no model repository team/none"):
        alexnet.load("hf:team/none")
    hub.models["team/empty"] = Repository()
    hub.models["team/empty"].commit({"README.md": b"nothing"})
    with pytest.raises(NotFound, match=r"hf:team/empty has no model\.safetensors"):
        alexnet.load("hf:team/empty")
    from safetensors.numpy import save

    hub.models["team/vit"] = Repository()
    hub.models["team/vit"].commit(
        {"model.safetensors": save({"x": np.zeros(2, np.float32)}), "config.json": b'{"model_type": "vit"}'}
    )
    with pytest.raises(alexnet.errors.DataError, match="has weights but no format_version, config"):
        alexnet.load("hf:team/vit")


def test_without_the_package_the_message_has_the_command_that_installs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        MissingPackage, match=r"hf:a/b needs huggingface_hub: type pip install 'alexnet\[hub\]'"
    ):
        alexnet.load("hf:a/b")


@pytest.mark.parametrize("text", ["hf:name", "hf:a/b/c", "hf:", "hf:a/b@"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(CommandError, match="type hf:owner/name or hf:owner/name@revision"):
        alexnet.load(text)


def test_an_address_has_a_repository_and_maybe_a_revision() -> None:
    assert hub_address(Path("hf:a/b")) == HubAddress("a/b")
    assert hub_address(Path("hf:a/b@refs/pr/1")) == HubAddress("a/b", "refs/pr/1")
    assert str(HubAddress("a/b", "v1")) == "hf:a/b@v1"
    assert hub_address(Path("hf://datasets/a/b")) is None
    assert hub_address(Path("runs/mine")) is None
