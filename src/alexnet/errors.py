"""Exceptions, one per exit code. A message is one line: what was found, what was expected, what to type.

Each is also the exception of Python with the same meaning, so that `except ValueError` or `except
FileNotFoundError` catches it.
"""


class AlexNetError(Exception):
    """Any error this package raises on purpose; the command line prints it without a traceback."""

    exit_code = 1

    def __init__(self, what: str = "", hint: str = ""):
        """`what` describes what was found and expected; `hint`, if any, is what to type next. The message has
        both.
        """
        super().__init__(f"{what}: {hint}" if hint else what)
        self.what, self.hint = what, hint


class WorkError(AlexNetError, RuntimeError):
    """The work failed: a full disk, a non-finite loss, ..."""

    exit_code = 1


class Diverged(WorkError):  # noqa: N818 - what happened, as the field says it
    """Training produced NaN or Inf; the last checkpoint is from before it.

    The argument describes what was found; what to type next is added to the message.
    """

    @property
    def found(self) -> str:
        """What was found, without what to type next."""
        return super().__str__()

    def __str__(self) -> str:
        return (
            f"{self.found}; the last checkpoint, if any, was saved before this: type the "
            "same command with --resume and a lower optimizer.lr, or optimizer.gradient_clip=1"
        )


class CommandError(AlexNetError, ValueError):
    """The command is wrong: unknown recipe, key or file, incompatible settings."""

    exit_code = 2


class NotFound(CommandError, FileNotFoundError):  # noqa: N818 - as in FileNotFoundError
    """There is no such photo, run, model file or source."""


class AlreadyExists(CommandError, FileExistsError):  # noqa: N818 - as in FileExistsError
    """There is something else in the place where a run, a store or a file is to be written."""


class MissingPackage(CommandError, ImportError):  # noqa: N818 - as in ImportError
    """An optional package is not installed; the message has the command that installs it."""


class Busy(CommandError):  # noqa: N818 - the command is right, but too early
    """Another process is using the directory."""


class DataError(AlexNetError, ValueError):
    """The data is bad; the message lists the problems."""

    exit_code = 3


class Stopped(AlexNetError):  # noqa: N818 - not an error: the work was saved
    """Stopped by a signal or a time limit, after saving; `--resume` continues."""

    exit_code = 75

    def __init__(self, what: str, timed_out: bool = False):
        """`timed_out` is whether a time limit was the reason, and no signal."""
        super().__init__(what)
        self.timed_out = timed_out


class Interrupted(AlexNetError):  # noqa: N818 - not an error: a person wants it
    """Stopped by Ctrl-C where nothing was saved to resume from."""

    exit_code = 130
