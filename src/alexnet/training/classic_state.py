"""Where the fitting of a classic pipeline stands, and what of it lies in `RUN/features`.

`state.json` says which stage of which channel is going on; `channelN.safetensors` is what a channel has
learned, `channelN.npy` its photos' vectors (`channelN-centres` with product quantisation), `channelN-sgd` its
classifiers in training. All of it can be made again, and is removed when the run is done.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alexnet.errors import CommandError, DataError
from alexnet.files import replacing, write_json
from alexnet.runs.folder import RunFolder

Stage = Literal["learn", "encode", "classify"]


@dataclass
class Standing:
    """How far it is; times in seconds over all resumes."""

    store_digest: str
    channel: int = 0
    """The one at work, from 0; as many as there are when all are done."""
    stage: Stage = "learn"
    images: int = 0
    """Photos encoded by this channel."""
    passes: int = 0
    """Of the classifiers over the photos, the most of any channel."""
    seconds: float = 0.0


@dataclass
class Workplace:
    """The folder, and the clock."""

    folder: Path
    standing: Standing
    _since: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, run: RunFolder, store_digest: str, resume: bool) -> Workplace:
        """A new one, or with `resume` the one there is.

        CommandError where that is of another store, DataError where something of it is damaged or missing.
        """
        folder = run.path / "features"
        file = folder / "state.json"
        if not (resume and file.is_file()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            return cls(folder, Standing(store_digest))
        try:
            standing = Standing(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise DataError(f"{file} is damaged ({error}): delete {folder} to begin again") from error
        if standing.store_digest != store_digest:
            raise CommandError(
                f"{run.path} was fitted to another store: give that one, or another --run folder"
            )
        place = cls(folder, standing)
        for path in place._needed():
            if not path.is_file():
                raise DataError(f"{path} is missing: delete {folder} to begin again")
        return place

    @property
    def name(self) -> str:
        """Of the channel at work, from 1."""
        return f"channel{self.standing.channel + 1}"

    @property
    def vectors(self) -> Path:
        """The channel's vectors."""
        return self.folder / f"{self.name}.npy"

    def save(self) -> None:
        """Writes where it stands."""
        now = time.monotonic()
        self.standing.seconds += now - self._since
        self._since = now
        write_json(self.folder / "state.json", asdict(self.standing))

    def next_stage(self, stage: Stage) -> None:
        """The channel goes on with that stage."""
        self.standing.stage, self.standing.images = stage, 0 if stage == "encode" else self.standing.images
        self.save()

    def next_channel(self) -> None:
        """This channel is done: its vectors go, what it has learned stays."""
        done = [self.vectors, self._tensors("-sgd"), self._tensors("-centres")]
        self.standing.channel, self.standing.stage, self.standing.images = (
            self.standing.channel + 1,
            "learn",
            0,
        )
        self.save()
        for path in done:  # killed before, it finds them again
            path.unlink(missing_ok=True)

    def keep(self, tensors: dict[str, Tensor], what: Literal["", "-sgd", "-centres"] = "") -> None:
        """Writes tensors of the channel at work, in place of those there were."""
        with replacing(self._tensors(what)) as unfinished:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, unfinished
            )

    def kept(
        self, what: Literal["", "-sgd", "-centres"] = "", channel: int | None = None
    ) -> dict[str, Tensor]:
        """What `keep` wrote, on the CPU; empty where it wrote nothing. DataError where it is damaged."""
        path = self._tensors(what, channel)
        try:
            return load_file(path) if path.is_file() else {}
        except SafetensorError as error:
            raise DataError(f"{path} is damaged ({error}): delete {self.folder} to begin again") from error

    def remove(self) -> None:
        """All of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _needed(self) -> list[Path]:
        """What must lie there where it stands: all that channels have learned, and the vectors at work."""
        learned = self.standing.channel + (self.standing.stage != "learn")
        written = self.standing.images > 0 or self.standing.stage == "classify"
        return [self._tensors("", number) for number in range(learned)] + [self.vectors] * written

    def _tensors(self, what: str, channel: int | None = None) -> Path:
        name = self.name if channel is None else f"channel{channel + 1}"
        return self.folder / f"{name}{what}.safetensors"
