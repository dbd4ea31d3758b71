"""`alexnet export RUN --hub DIR`: a folder that is a model repository of the Hugging Face Hub.

It has the exported file, `config.json` (see `runs.hugging_face`) and a model card, which is a function of the
metadata of the exported file: a card that differs from it was edited, and is never replaced.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from safetensors import safe_open

from alexnet import recipes
from alexnet.config import RunConfig, changes, from_dict
from alexnet.config_keys import text_of
from alexnet.data.config import DataConfig
from alexnet.errors import AlexNetError, AlreadyExists, CommandError, WorkError
from alexnet.interop.export import export
from alexnet.io import is_left_over, remove_left_over, unfinished_path, write_json, write_whole
from alexnet.models.bundle import Metadata, ModelBundle, load_metadata
from alexnet.report.run_details import exported_errors
from alexnet.report.tables import Table
from alexnet.runs.hugging_face import (
    CARD_FILE,
    CONFIG_FILE,
    LIBRARY,
    WEIGHTS_FILE,
    is_model_repository,
    repository_config,
)
from alexnet.runs.provenance import Provenance, license_lines
from alexnet.runs.run_dir import PRETRAINED, located
from alexnet.tasks.config import task_info
from alexnet.text import counted, first_few, percentage, printable

_OWN = (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE)
_OF_GIT = (".git", ".gitattributes", ".gitignore", ".cache")
"""What git and the Hub's client put beside the files."""
_CLASSES_LISTED = 50
_LICENSES = "https://huggingface.co/docs/hub/repositories-licenses"


def export_repository(
    source: Path,
    folder: Path,
    checkpoint: str = "last",
    license: str = "",
    data_terms: str = "",
    unfinished: bool = False,
    precision: str = "float32",
) -> ModelBundle:
    """Writes a model repository to `folder` and returns the model; the other arguments are those of `export`.

    `folder` must not exist, be empty, or be such a repository, of which the files are replaced.
    AlreadyExists for any other folder, and if its model card was edited; otherwise errors as `export`.
    """
    _refuse_others(folder)
    before = _card_before(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"cannot make {folder} ({error.strerror}): choose another folder") from error
    remove_left_over(folder / "export")
    made = unfinished_path(folder / "export") / WEIGHTS_FILE
    try:
        net = export(source, made, checkpoint, license, data_terms, unfinished, precision)
        card = model_card(load_metadata(made))
        _refuse_edited(folder, (before, card))
        with safe_open(made, framework="numpy") as opened:
            config = repository_config(opened.metadata())
        # A kill leaves a folder that this function takes for its own.
        write_whole(folder / CARD_FILE, card.encode())
        made.replace(folder / WEIGHTS_FILE)
        write_json(folder / CONFIG_FILE, config)
    finally:
        shutil.rmtree(made.parent, ignore_errors=True)
    return net


def _refuse_others(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise AlreadyExists(f"{folder} is a file: choose another folder with --hub")
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in (*_OWN, *_OF_GIT) and not is_left_over(path)
    )
    if others:
        raise AlreadyExists(
            f"{folder} has other files ({first_few(others, 3)}): choose an empty or a new folder with --hub"
        )
    if (folder / CONFIG_FILE).exists() and not is_model_repository(folder):
        raise AlreadyExists(
            f"{folder} is not a model repository of this program: choose an empty or a new folder with --hub"
        )


def _card_before(folder: Path) -> str:
    """The card that the model in the folder has; empty without one."""
    weights = folder / WEIGHTS_FILE
    if not weights.exists():
        return ""
    try:
        return model_card(load_metadata(weights))
    except AlexNetError as error:
        raise AlreadyExists(
            f"{folder} has another {WEIGHTS_FILE} ({error}): choose another folder"
        ) from error


def _refuse_edited(folder: Path, cards: Sequence[str]) -> None:
    card = folder / CARD_FILE
    if card.exists() and card.read_bytes() not in [each.encode() for each in cards]:
        raise AlreadyExists(
            f"{card} has been edited, and a new one would replace it: rename it, and copy what you need into "
            "the new one"
        )


def model_card(of: Metadata) -> str:
    """The model card, Markdown with the front matter of the Hub.

    The line with the license is a comment: which one applies is for the publisher to decide.
    """
    info = task_info(of.config.training.loss)
    pipeline = "object-detection" if info.predicts_boxes else "image-classification"
    front = {"library_name": LIBRARY, "pipeline_tag": pipeline, "tags": [pipeline, LIBRARY, of.config.recipe]}
    classes = counted(len(of.classes), "class")
    lines = [
        "---",
        f"# license: mit   (choose from {_LICENSES}, and remove the # and this text)",
        *yaml.safe_dump(front, sort_keys=False).splitlines(),
        "---",
        "",
        f"# {of.config.recipe}, {classes}",
        "",
        *_paragraphs(_summary(of)),
        "## Use",
        "",
        "```python",
        "import alexnet",
        "",
        'predictor = alexnet.load("hf:OWNER/NAME")  # pip install "alexnet[hub]"',
        'print(predictor.predict("photo.jpg", top=5))',
        "```",
        "",
        "```bash",
        "alexnet predict photo.jpg --model hf:OWNER/NAME",
        "```",
        "",
        "## Training",
        "",
        _training(of).markdown(),
        *_errors(of.provenance, task_info(of.config.training.loss).predicts_boxes),
        "## Preprocessing",
        "",
        *_paragraphs(_preprocessing(of)),
        "## Classes",
        "",
        *_paragraphs(_classes(of)),
        "## License",
        "",
        *(f"- {printable(line)}" for line in license_lines(of.terms, None)),
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    return [text, ""]


def _summary(of: Metadata) -> str:
    kind = "detects objects" if task_info(of.config.training.loss).detects_all else "predicts the class"
    boxes = task_info(of.config.training.loss).predicts_boxes
    what = f"This model {kind}{' and a box' if boxes else ''} in a photo"
    named = first_few([printable(each.name) for each in of.classes[:6]], 5)
    unfinished = ""
    if of.provenance is not None and not of.provenance.finished:
        unfinished = " Its training is not finished."
    return f"{what}: {counted(len(of.classes), 'class')} ({named}).{unfinished}"


def _training(of: Metadata) -> Table:
    known = of.provenance
    rows = [("recipe", f"`{of.config.recipe}`")]
    if known is None:
        rows.append(("origin", "unknown"))
    elif known.imported is not None:
        imported = known.imported
        rows.append(("origin", f"`{imported.file}` of {imported.program}, SHA-256 `{imported.sha256}`"))
    else:
        rows += _of_run(of.config, known)
    return Table(("what", "value"), rows)


def _of_run(config: RunConfig, known: Provenance) -> list[tuple[str, str]]:
    begun = known.init_from
    error = None if known.training_error is None else percentage(known.training_error)
    values = {
        "training data": known.store and f"store `{known.store}`",
        "SHA-256 of the training data": known.store_digest and f"`{known.store_digest}`",
        "command": f"`{train_command(config, known)}`",
        "initialized from": begun and f"`{begun.name}`, SHA-256 `{begun.weights_sha256}`",
        "seed": known.seed,
        "epochs": known.epochs,
        "updates": known.updates,
        "training error, on augmented images": error,
        "checkpoint": known.checkpoint,
        "alexnet": known.alexnet,
    }
    return [(name, _number(value)) for name, value in values.items() if value not in (None, "")]


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def train_command(config: RunConfig, known: Provenance) -> str:
    """The command that trains such a model, with the paths of store and run left out.

    Settings are those that differ from the recipe, or none where this version has no such recipe.
    """
    words = ["alexnet", "train", config.recipe, "--store", "STORE", "--run", "RUN"]
    if known.init_from:
        source = known.init_from.name
        words += ["--init-from", PRETRAINED if source == located(Path(PRETRAINED)).name else source]
        words += ["--init-layers", ",".join(known.init_from.layers)] if known.init_from.layers else []
    try:
        apart = changes(recipes.get(config.recipe), config)
    except CommandError:
        apart = {}
    words += [f"{key}={text_of(own)}" for key, (_, own) in apart.items() if own is not None]
    return shlex.join(words)


def _errors(known: Provenance | None, predicts_boxes: bool) -> list[str]:
    if known is None or not known.errors:
        return ["## Errors", "", "The model was not evaluated before it was exported.", ""]
    table = exported_errors(known.errors)
    about = "With 95 % intervals, before the export."
    if predicts_boxes:
        about += " These are errors of the classes alone, not of the boxes."
    return ["## Errors", "", about, "", Table(table.columns, table.rows).markdown()]


def _preprocessing(of: Metadata) -> str:
    data = from_dict(DataConfig, of.preprocessing["data"])
    resized, side, crop = of.preprocessing["resized"], data.test_scale, data.input_size
    squares = {
        "crop": f"resized so that the shorter side has {side} pixels, of which the central square is used",
        "warp": f"resized to {side} x {side} pixels, which changes the aspect ratio",
        "pad": f"not resized, but centered on a black square of {side} pixels",
    }
    low, high = data.range
    normalized = {
        "mean-image": "the mean of the training images is subtracted at each pixel",
        "channel-mean": "the mean of each channel in the training images is subtracted",
        "mean-and-std": "each channel has its mean in the training images subtracted, and is divided by its "
        "standard deviation",
        "range": f"gray levels 0 to 255 become {low:g} to {high:g}",
    }
    channels = {"RGB": "RGB", "BGR": "BGR", "L": "gray"}[of.preprocessing["channels"]]
    return (
        f"Photos are turned upright and {squares[resized['resize']]} ({resized['resampling']} filter). The "
        f"input is {channels}, {crop} x {crop} pixels; {normalized[data.normalization]}. `alexnet.load` does "
        "all of this."
    )


def _classes(of: Metadata) -> str:
    names = [
        printable(each.name if each.name == each.wnid else f"{each.name} ({each.wnid})")
        for each in of.classes[:_CLASSES_LISTED]
    ]
    rest = len(of.classes) - len(names)
    return "; ".join(names) + (f"; and {rest:,} more: see `{CONFIG_FILE}`" if rest else "")
