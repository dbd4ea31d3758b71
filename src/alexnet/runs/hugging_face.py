"""Models on the Hugging Face Hub: their addresses, and the folders that hold them.

The folder of a model repository holds `model.safetensors`, a file as `alexnet export` writes it, and
`config.json`, a copy of what other programs may want to know without reading the weights' file. The metadata
of `model.safetensors` are authoritative: only they are used, and a `config.json` that contradicts them is
refused. `interop.model_repository` writes such folders.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from alexnet import __version__
from alexnet.checksum import CHECKSUM, Damaged
from alexnet.errors import CommandError, MissingPackage, NotFound, WorkError
from alexnet.json_reader import as_object, parse_json, read_object, refusing

WEIGHTS_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "README.md"
LIBRARY = "alexnet"
"""`library_name` in `config.json` and in the model card."""
PREFIX = "hf:"
_ADDRESS = re.compile(r"hf:(?P<repository>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>\S+))?")


@dataclass(frozen=True)
class HubAddress:
    """`hf:owner/name`, or `hf:owner/name@revision`: a branch, tag or commit."""

    repository: str
    """`owner/name`."""
    revision: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_address(path: Path) -> HubAddress | None:
    """The address that a path is; None for other paths.

    None for `hf://`, too, an address of files. CommandError for `hf:` with something else than `owner/name`
    and a revision.
    """
    text = path.as_posix()
    if not text.startswith(PREFIX) or text.startswith(f"{PREFIX}/"):  # hf://, of files for fsspec
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise CommandError(
            f"{text} is not the address of a model: type hf:owner/name or hf:owner/name@revision"
        )
    return HubAddress(found["repository"], found["revision"])


def is_model_repository(folder: Path) -> bool:
    """Whether the folder is a model repository as `alexnet export --hub` writes it."""
    if not ((folder / WEIGHTS_FILE).is_file() and (folder / CONFIG_FILE).is_file()):
        return False
    return read_config(folder).get("library_name") == LIBRARY


def repository_name(weights: Path) -> str:
    """`owner/name` for a model file in the cache of the Hub, or the name of the folder of a model repository.

    Empty for other files.
    """
    if weights.name != WEIGHTS_FILE:
        return ""
    cached = next((part for part in weights.parts if part.startswith("models--")), "")
    if "snapshots" in weights.parts and cached:
        return "/".join(cached.split("--", 2)[1:])
    return weights.parent.resolve().name if is_model_repository(weights.parent) else ""


def read_config(folder: Path) -> Mapping[str, Any]:
    """The contents of `config.json`; DataError if it is no JSON object."""
    return read_object(folder / CONFIG_FILE, dict, "is damaged", "export the model again")


def weights_in(folder: Path) -> Path:
    """The model file of a model repository.

    NotFound if there is none; DataError if `config.json` contradicts it.
    """
    weights, config = folder / WEIGHTS_FILE, folder / CONFIG_FILE
    if not weights.is_file():
        raise NotFound(f"{folder} has no {WEIGHTS_FILE}: `alexnet export RUN --hub DIR` makes one")
    if not config.is_file():
        return weights
    try:
        with safe_open(weights, framework="numpy") as opened:
            texts: dict[str, str] = opened.metadata() or {}
    except (SafetensorError, ValueError):
        return weights  # `bundle.load` describes what it is
    if "config" not in texts:
        return weights
    found = read_config(folder)
    with refusing(weights, "is not a valid model file", "use one that this program wrote"):
        expected = repository_config(texts)
    wrong = [name for name, value in expected.items() if name in found and found[name] != value]
    if wrong:
        raise Damaged(
            f"{config} contradicts {WEIGHTS_FILE} ({', '.join(wrong)})", "export or download both again"
        )
    return weights


def repository_config(texts: Mapping[str, str]) -> dict[str, Any]:
    """The contents of `config.json`: a copy of what the metadata of the model file contain.

    `texts` are these metadata. ValueError, KeyError or TypeError if they are none.
    """
    config = as_object(parse_json(texts["config"]))
    classes = [as_object(each) for each in parse_json(texts["classes"])]
    return {
        "library_name": LIBRARY,
        "format_version": parse_json(texts["format_version"]),
        "recipe": config["recipe"],
        "model": config["model"],
        "num_classes": len(classes),
        "label_names": [each["wnid"] for each in classes],
        "label_descriptions": {each["wnid"]: each["name"] for each in classes},
        "preprocessing": parse_json(texts["preprocessing"]),
        "metadata_checksum": parse_json(texts[CHECKSUM]) if CHECKSUM in texts else "",
    }


def download_model(address: HubAddress) -> Path:
    """The model file of a repository on the Hub, in the local cache of `huggingface_hub`.

    Only what has changed is downloaded; without a network, what is cached is used. MissingPackage without
    `huggingface_hub`; NotFound without such a repository, revision or model file; CommandError for a
    repository that needs a login; WorkError if the Hub cannot be reached and nothing is cached.
    """
    with _one_line_errors(address):
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            address.repository,
            revision=address.revision,
            allow_patterns=[WEIGHTS_FILE, CONFIG_FILE],
            library_name=LIBRARY,
            library_version=__version__,
        )
    if not (Path(folder) / WEIGHTS_FILE).is_file():
        raise NotFound(
            f"{address} has no {WEIGHTS_FILE}, so it is not a model of this program: `alexnet export RUN "
            "--hub "
            "DIR` makes one"
        )
    return weights_in(Path(folder))


@contextmanager
def _one_line_errors(address: HubAddress) -> Generator[None]:
    try:
        from huggingface_hub import errors
    except ImportError:
        raise MissingPackage(f"{address} needs huggingface_hub: type pip install 'alexnet[hub]'") from None
    repository, login = address.repository, "log in with `hf auth login`, or set HF_TOKEN"
    # The HTTP library that huggingface_hub uses depends on its version.
    kinds = {each.__name__: each for each in errors.HfHubHTTPError.__mro__}
    of_http = cast("type[Exception]", kinds["HTTPError"])
    try:
        yield
    except errors.GatedRepoError as error:
        raise CommandError(f"{address}: accept the terms on the page of {repository}, and {login}") from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(f"{repository} has no branch, tag or commit {address.revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(f"there is no model repository {repository}, or it is private: {login}") from error
    except errors.HFValidationError as error:
        raise CommandError(f"{address} is not the address of a model: {_first_line(error)}") from error
    except errors.LocalEntryNotFoundError as error:
        raise WorkError(
            f"{address} is not cached, and the Hub cannot be reached ({_reason(error)}): check the network, "
            "HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from error
    except (of_http, OSError) as error:
        raise WorkError(f"{address} cannot be downloaded ({_first_line(error)}): try again") from error


def _reason(error: BaseException) -> str:
    return _first_line(error.__cause__ or error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
