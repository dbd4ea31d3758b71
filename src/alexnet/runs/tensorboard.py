"""TensorBoard's event file of a run, written in this process: a full disk is an error of the line written.

tensorboardX's own writer has a thread for it, which ends with a traceback when the disk is full; the training
would then wait for it for ever.
"""

from __future__ import annotations

import importlib
import os
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alexnet.errors import WorkError

_SECONDS_UNSYNCED = 10
_VERSION = "brain.Event:2"


class EventFile:
    """Appends scalars to a new event file in a folder. WorkError if the disk is full, at any call."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """From `purge_step` on, if given, TensorBoard hides the events of earlier files."""
        from tensorboardX.record_writer import RecordWriter

        self._events: Any = importlib.import_module("tensorboardX.proto.event_pb2")
        self._path = folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._synced = time.monotonic()
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._records: Any = RecordWriter(str(self._path))
            self._write(file_version=_VERSION)
            if purge_step is not None:
                started = self._events.SessionLog(status=self._events.SessionLog.START)
                self._write(step=purge_step, session_log=started)

    def write(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Writes the numbers among `values` as `event/name`; every ten seconds all are synced."""
        from tensorboardX.summary import scalar

        with self._writing():
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._write(step=step, summary=scalar(f"{event}/{name}", value))
            if time.monotonic() - self._synced >= _SECONDS_UNSYNCED:
                self._records.flush()
                self._synced = time.monotonic()

    def close(self) -> None:
        """Writes what is left."""
        with self._writing():
            self._records.close()

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise WorkError(f"cannot write {self._path} ({error.strerror}): free some space") from error

    def _write(self, **values: Any) -> None:
        self._records.write(self._events.Event(wall_time=time.time(), **values).SerializeToString())
