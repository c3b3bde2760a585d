"""Errors whose type is the decision: fix the config, try again later, or give up."""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration is wrong: where, what, and how to mend it, one line each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Retryable(Exception):
    """The destination may accept the same batch later; `after` seconds if it said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Permanent(Exception):
    """The destination will never accept this batch, or `lost` exchanges of it: count them as lost and go on."""

    def __init__(self, message: str, lost: int | None = None) -> None:
        super().__init__(message)
        self.lost = lost  # None: all


class PartialSuccess(Exception):
    """The destination took the batch but refused `rejected` items; never sent again."""

    def __init__(self, message: str, rejected: int) -> None:
        super().__init__(message)
        self.rejected = rejected
