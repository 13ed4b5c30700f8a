"""The errors that a user can mend; each message is one line: what is wrong, then what to do."""


class DarknetError(Exception):
    """Base of all errors of this package that are about the user's files, options or data."""


class CfgError(DarknetError):
    """A cfg file that cannot be read as a network."""


class WeightsError(DarknetError):
    """A weights file that is damaged or belongs to another network."""


class CorpusError(DarknetError):
    """A text that cannot be trained on or scored."""


class TrainingError(DarknetError):
    """A run that cannot start or continue."""


class DarknetWarning(UserWarning):
    """Something in the user's files that is ignored or replaced."""


class CfgWarning(DarknetWarning):
    """A part of a cfg that has no effect."""


class CostWarning(CfgWarning):
    """A [cost] after a [softmax], whose loss alone counts in exact training.

    In the C program's arithmetic the cost counts.
    """


def counted(number: int, noun: str) -> str:
    """Like `1 file` or `2 files`, for messages."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
