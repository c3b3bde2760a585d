"""How many tokens a text probably has: a regression over kinds of characters, fitted anew to each model that is seen.

The prior was fitted by `python -m bench.tokens`, which also measures the error. Every model whose provider reports
counts refines its own copy, because tokenizers differ most where the prior is weakest (docs/decisions/0013).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Features: TypeAlias = NDArray[np.float64]

KINDS: Final = ("letters", "words", "digits", "lines", "signs", "marked", "ideographs", "others")
LETTER, WORD, DIGIT, LINE, SIGN, MARKED, IDEOGRAPH, OTHER, NOTHING = range(9)
FRAMING: Final = ("messages", "requests")  # what chat adds around the texts
# Tokens for one of each kind and framing; 2026-11-20, o200k_base and cl100k_base in equal parts.
PRIOR: Final = np.array([0.147, 0.514, 0.843, 0.738, 0.412, 0.893, 0.978, 0.351, 4.0, 3.0])
TRUST: Final = np.array([0.5] * len(KINDS) + [1.0, 5.0])  # how far a model may be from the prior, relative to it
NOISE: Final = 0.1  # relative scatter of a count around the fit
FADING: Final = 0.98  # weight of what was learned, at each further observation
FARTHEST: Final = 6.0  # a count this many times its estimate is no count of this text


def _table() -> NDArray[np.uint8]:
    """UTF-16 code unit → kind. The first unit of a pair stands for the character, the second for nothing."""
    table = np.full(1 << 16, OTHER, np.uint8)
    table[:0x80] = SIGN
    table[0] = NOTHING
    table[ord(" ")] = NOTHING
    table[ord("\n")] = LINE
    table[ord("0") : ord("9") + 1] = DIGIT
    table[ord("A") : ord("Z") + 1] = table[ord("a") : ord("z") + 1] = LETTER
    table[0x00C0:0x0250] = table[0x1E00:0x1F00] = MARKED  # Latin letters with marks
    table[0x2E80:0xA000] = IDEOGRAPH  # with kana
    table[0xAC00:0xD7B0] = IDEOGRAPH  # Hangul
    table[0xF900:0xFB00] = IDEOGRAPH
    table[0xFF00:0xFFF0] = IDEOGRAPH
    table[0xDC00:0xE000] = NOTHING
    return table


TABLE: Final = _table()
SEPARATOR: Final = "\0"


def features_of(texts: Iterable[str], messages: int = 0, requests: int = 0) -> Features:
    """How much of each kind the texts have, and the framing around them."""
    units = np.frombuffer(SEPARATOR.join(texts).encode("utf-16-le", "surrogatepass"), np.uint16)
    kinds = TABLE[units]
    counts = np.bincount(kinds, minlength=NOTHING + 1)
    word = (kinds == LETTER) | (kinds == MARKED) | (kinds == OTHER)
    counts[WORD] = np.count_nonzero(word[1:] > word[:-1]) + int(word[:1].any())
    return np.append(counts[:NOTHING], (messages, requests)).astype(np.float64)


class Regression:
    """What is known of one model's tokenizer: the prior, and what its provider has counted since."""

    __slots__ = ("_coefficients", "_moment", "_precision", "observations")

    def __init__(self) -> None:
        self.observations = 0
        self._precision = np.zeros((len(PRIOR), len(PRIOR)))  # of what was observed alone
        self._moment = np.zeros(len(PRIOR))
        self._coefficients: Features | None = PRIOR

    def estimate(self, features: Features) -> int:
        """Tokens, at least one for anything; never farther from the prior than a real count could be."""
        if not features.any():
            return 0
        prior = float(features @ PRIOR)
        fitted = float(features @ self._solved())
        return max(1, round(min(max(fitted, prior / FARTHEST), prior * FARTHEST)))

    def learn(self, features: Features, tokens: int) -> None:
        """Take in a count of a text with these features; what cannot be a count of it is ignored."""
        prior = float(features @ PRIOR)
        if not prior / FARTHEST < tokens < prior * FARTHEST:
            return
        surprise = abs(log(tokens / self.estimate(features)))
        weight = min(1.0, 3 * NOISE / surprise) if surprise else 1.0  # Huber's: the odd one counts less
        scaled = features / (tokens * NOISE)
        self._precision = FADING * self._precision + weight * np.outer(scaled, scaled)
        self._moment = FADING * self._moment + weight * scaled / NOISE
        self._coefficients = None
        self.observations += 1

    def _solved(self) -> Features:
        if self._coefficients is None:
            certainty = (PRIOR * TRUST) ** -2.0
            self._coefficients = np.linalg.solve(self._precision + np.diag(certainty), self._moment + certainty * PRIOR)
        return self._coefficients
