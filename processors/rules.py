"""Rules of the user's own: what an answer, or what was asked, must and must not say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias, get_args

from pipeline.records import Evaluation, Exchange, question_of, text_of
from processors.options import check_choice
from processors.patterns import compiled

Side = Literal["output", "input"]


class Said(NamedTuple):
    """A text in the forms that rules look at."""

    plain: str
    folded: str
    encoded: bytes


Kept: TypeAlias = Callable[[Said], bool]
Rule: TypeAlias = tuple[str, Kept]  # its place among the options, and whether a text keeps it

HALF: Final = 100_000  # characters read from either end: more than any answer, for "not in it" is said of all of a text
MAX_NAMED: Final = 5  # rules in an explanation
FIRST_UNSPACED: Final = "\u2e80"  # scripts from here on set no spaces between words
TEXTS: Final = ("contains", "not_contains", "starts_with", "ends_with", "any_of")


@dataclass(frozen=True, slots=True)
class Rules:
    """Checks one side of the exchange against rules of the user's own; without any it says nothing."""

    side: Side = "output"  # each choice of the answer, or input: what the user said last
    contains: tuple[str, ...] = ()  # each of them has to be in the text
    not_contains: tuple[str, ...] = ()  # none of them may be
    matches: tuple[str, ...] = ()  # RE2 patterns; each of them has to be found
    not_matches: tuple[str, ...] = ()  # none of them may be found
    starts_with: tuple[str, ...] = ()  # with one of them
    ends_with: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()  # words or phrases, such as topics; at least one of them, whole
    min_words: int | None = None
    max_words: int | None = None
    ignore_case: bool = True  # of all but the patterns, where (?i) does

    requires: ClassVar[tuple[str, ...]] = ("content",)
    scale: ClassVar[str] = "share of rules kept"

    def __post_init__(self) -> None:
        check_choice("side", self.side, get_args(Side))
        for option in TEXTS:
            for number, text in enumerate(getattr(self, option)):
                if not text.strip():
                    raise ValueError(f"{option}[{number}] is blank, which says nothing; give a text")
        for option, words in (("min_words", self.min_words), ("max_words", self.max_words)):
            if words is not None and words < 1:
                raise ValueError(f"{option} is {words}; give a number of words, at least 1")
        if self.min_words and self.max_words and self.min_words > self.max_words:
            raise ValueError(f"min_words is {self.min_words}, above max_words; make it {self.max_words} or less")
        _rules_of(self)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        rules = _rules_of(self)
        texts = [text for each in self._texts(exchange) if (text := each.strip())] if rules else []
        if not texts:
            return ()
        said = [self._said(text) for text in texts]
        broken = [name for name, kept in rules if not all(map(kept, said))]
        score = 1 - len(broken) / len(rules)
        return (Evaluation("rules", round(score, 4), "fail" if broken else "pass", _named(broken)),)

    def _texts(self, exchange: Exchange) -> Iterator[str]:
        if self.side == "input":
            yield question_of(exchange)
        else:
            yield from (text_of((message,)) for message in exchange.output_messages)

    def _said(self, text: str) -> Said:
        text = text if len(text) <= 2 * HALF else text[:HALF] + text[-HALF:]
        return Said(text, text.casefold() if self.ignore_case else text, text.encode("utf-8", "replace"))


@lru_cache(maxsize=64)
def _rules_of(options: Rules) -> tuple[Rule, ...]:
    """The options as questions to a text; raises ValueError for a pattern that will not do."""
    fold = str.casefold if options.ignore_case else str
    return (
        *_each("contains", map(fold, options.contains), lambda word: lambda said: word in said.folded),
        *_each("not_contains", map(fold, options.not_contains), lambda word: lambda said: word not in said.folded),
        *_patterns("matches", options.matches, expected=True),
        *_patterns("not_matches", options.not_matches, expected=False),
        *_of_all("starts_with", options.starts_with, fold, lambda words: lambda said: said.folded.startswith(words)),
        *_of_all("ends_with", options.ends_with, fold, lambda words: lambda said: said.folded.endswith(words)),
        *_of_all(
            "any_of", options.any_of, fold, lambda words: lambda said: any(has_word(said.folded, w) for w in words)
        ),
        *_lengths(options.min_words, options.max_words),
    )


def _each(option: str, texts: Iterable[str], rule: Callable[[str], Kept]) -> Iterator[Rule]:
    return ((f"{option}[{number}]", rule(text)) for number, text in enumerate(texts))


def _patterns(option: str, patterns: tuple[str, ...], *, expected: bool) -> Iterator[Rule]:
    for number, pattern in enumerate(patterns):
        place = f"{option}[{number}]"
        yield place, _finds(compiled(place, pattern), expected)


def _finds(pattern: Any, expected: bool) -> Kept:
    return lambda said: (pattern.search(said.encoded) is not None) is expected


def _of_all(
    option: str, texts: tuple[str, ...], fold: Callable[[str], str], rule: Callable[[tuple[str, ...]], Kept]
) -> Iterator[Rule]:
    """Alternatives are one rule, not one each."""
    if texts:
        yield option, rule(tuple(fold(text.strip()) for text in texts))


def _lengths(least: int | None, most: int | None) -> Iterator[Rule]:
    if least is not None:
        yield "min_words", lambda said: len(said.plain.split()) >= least
    if most is not None:
        yield "max_words", lambda said: len(said.plain.split()) <= most


def has_word(text: str, word: str) -> bool:
    """Is it there as a whole word? Chinese and its neighbours write no spaces, so there a word is anywhere."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (_joined(text[start - 1 : start], word[0]) or _joined(word[-1], text[end : end + 1])):
            return True
        start = text.find(word, start + 1)
    return False


def _joined(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and max(left, right) < FIRST_UNSPACED


def _named(broken: list[str]) -> str | None:
    """By place, never by what a rule looks for: that may be the very thing nobody should read."""
    named = ", ".join(islice(broken, MAX_NAMED))
    more = len(broken) - MAX_NAMED
    return f"broken: {named}" + (f" and {more} more" if more > 0 else "") if broken else None
