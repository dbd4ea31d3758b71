"""Exceptions, one per exit code. A message is one line: what was found, what was expected, what to type."""


class AlexNetError(Exception):
    """Any error this package raises on purpose; the command line prints it without a traceback."""

    exit_code = 1

    def __init__(self, what: str = "", hint: str = ""):
        """`what` describes what was found and expected; `hint`, if any, is what to type next. The message has
        both.
        """
        super().__init__(f"{what}: {hint}" if hint else what)
        self.what, self.hint = what, hint


class WorkError(AlexNetError):
    """The work failed: a full disk, a non-finite loss, ..."""

    exit_code = 1


class Diverged(WorkError):  # noqa: N818 - what happened, as the field says it
    """Training produced NaN or Inf; the last checkpoint is from before it.

    The argument describes what was found; what to type next is added to the message.
    """

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; the last checkpoint, if there is one yet, is from before it: "
            "--resume with a lower optimizer.lr, or with optimizer.gradient_clip=1"
        )


class CommandError(AlexNetError):
    """The command is wrong: unknown recipe, key or file, incompatible settings."""

    exit_code = 2


class Busy(CommandError):  # noqa: N818 - the command is right, but too early
    """Another process is using the directory."""


class DataError(AlexNetError):
    """The data is bad; the message lists the problems."""

    exit_code = 3


class Stopped(AlexNetError):  # noqa: N818 - not an error: the work was saved
    """Stopped by a signal or a time limit, after saving; `--resume` continues."""

    exit_code = 75
