"""Every situation a user can meet, as one exception class each; each message names the thing and the next step."""

from __future__ import annotations

import errno
from enum import IntEnum

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""`errno` of a disk or a quota that is used up."""


class ExitCode(IntEnum):
    """Process exit codes of `tireg`; scripts may rely on them."""

    DONE = 0
    """The command did what was asked."""
    FAILED = 1
    """Something went wrong that none of the codes below describes."""
    USAGE = 2
    """Wrong usage, or input that cannot be used (a bad picture, a bad option)."""
    NOT_FOUND = 3
    """A concept, version, run, base model or file does not exist."""
    CONFLICT = 4
    """It exists already, belongs to another base model, or changed under us."""
    NETWORK = 5
    """The Hub or the network failed, or is switched off."""
    DAMAGED = 6
    """Data in the registry or in a file is damaged."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or a signal; what was done so far is kept."""


class TiregError(Exception):
    """Base of all errors that a front end shows as one line.

    Args:
        message: what happened, to which thing. No trailing full stop is needed.
        hint: the next step, usually a command; shown after the message.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(TiregError):
    """An option, a name or a file from the user cannot be used."""

    exit_code = ExitCode.USAGE


class InvalidReference(InvalidInput):
    """`name@version` is not written in a form that can name anything."""


class InvalidPlaceholder(InvalidInput):
    """A placeholder token breaks the rules of `tiregistry.placeholders`."""


class InvalidImage(InvalidInput):
    """A picture cannot be read, is too large, or is no picture at all."""


class InvalidPrompt(InvalidInput):
    """A prompt cannot be parsed, or does not fit the token window."""


class InvalidConfig(InvalidInput):
    """A training or generation setting is out of range, or contradicts another."""


class UnreadableEmbedding(InvalidInput):
    """A file holds no embedding that can be used, or asks for something unsafe."""


class DamagedEmbedding(UnreadableEmbedding):
    """A file breaks the rules of its own format, or asks to run code: it is not what an embedding file may be."""


class NotFound(TiregError):
    """Base of everything that was named but does not exist."""

    exit_code = ExitCode.NOT_FOUND


class ConceptNotFound(NotFound):
    """No concept has this name."""


class VersionNotFound(NotFound):
    """The concept exists, this version or alias of it does not."""


class RunNotFound(NotFound):
    """No training run has this id."""


class BaseModelNotFound(NotFound):
    """No base model is known by this name, or its files are gone."""


class FileMissing(NotFound):
    """A path given by the user does not exist."""


class Conflict(TiregError):
    """Base of everything that clashes with what is already there.

    Args:
        message: what happened.
        hint: the next step.
        theirs: what is in the way, in words; where both sides are known, front ends give each a line of its own.
        ours: what it was to make way for, in words.
    """

    exit_code = ExitCode.CONFLICT

    def __init__(self, message: str, hint: str = "", theirs: str = "", ours: str = "") -> None:
        super().__init__(f"{message}. There: {theirs}. Here: {ours}" if theirs and ours else message, hint)
        self.summary, self.theirs, self.ours = message, theirs, ours


class AlreadyExists(Conflict):
    """A name, alias or file is taken."""


class PlaceholderTaken(Conflict):
    """The placeholder token is a vocabulary word, or another concept's."""


class WrongBaseModel(Conflict):
    """A word was learned on a base model other than the one at hand."""


class Busy(Conflict):
    """Another process holds the thing (a lock, a device, the registry)."""


class ChangedMeanwhile(Conflict):
    """A text is not what it was when it was read: someone else has written to it since.

    Args:
        message: what was changed.
        hint: the next step.
        now: the text as it is now.
    """

    def __init__(self, message: str, hint: str = "", *, now: str) -> None:
        super().__init__(message, hint)
        self.now = now


class HubError(TiregError):
    """The Hub or the network failed."""

    exit_code = ExitCode.NETWORK


class Damaged(TiregError):
    """Stored data does not match its digest, or cannot be read."""

    exit_code = ExitCode.DAMAGED


class NewerRegistry(Damaged):
    """The registry was written by a newer tiregistry; it is left untouched."""


class RegistryReadOnly(TiregError):
    """The registry's folder cannot be written."""


class DiskFull(TiregError):
    """No space is left where the registry or the output lives.

    Args:
        message: where.
        kept: what became of the work, said after it; who knows more than the one that raised it says that instead.

    Attributes:
        where: the message without what was kept.
    """

    def __init__(self, message: str, hint: str = "free some space and try again", *, kept: str = "") -> None:
        super().__init__(f"{message}; {kept}" if kept else message, hint)
        self.where = message


class TrainingDiverged(TiregError):
    """Training produced NaN or infinite values; the last good state is kept."""


class DeviceError(TiregError):
    """The device is missing, or ran out of memory."""


class Interrupted(TiregError):
    """The user stopped the work; what was done so far is kept."""

    exit_code = ExitCode.INTERRUPTED


def interruption_in(error: BaseException) -> BaseException | None:
    """The exception of a signal that another one was made from, if any.

    Python 3.11 wraps whatever is raised amid the making of a class, as while a library is imported, in a RuntimeError.
    """
    cause: BaseException | None = error
    seen: set[int] = set()  # a chain may lead back to itself
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt | SystemExit):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__
    return None
