"""How sure does the answer sound? The share of its sentences that hedge, in English and German.

How sure the model was is another question: the probabilities of its tokens are not in an exchange, and few APIs tell
them, so only what is said in words is heard here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import re2

from pipeline.records import Evaluation, Exchange, text_of
from processors.language import MIN_ASKED, MIN_WORDS, language_of
from processors.options import check_share
from processors.prose import prose_of, sentences_of

# Doubt about what is said. "Usually" is no doubt, nor is the "may" of a permission or of the month.
ENGLISH: Final = (
    r"maybe|perhaps|possibly|probably|presumably|supposedly|apparently|arguably|conceivably|(?:un)?likely|might"
    r"|(?-i:may) (?:be|have|not|also|well|or|still|even|vary|depend|differ|need|seem|no longer)"
    r"|could (?:be|have been|also be|mean|indicate|suggest)|seems?|appears? (?:to|that|as)|it appears|suggests? that"
    r"|i(?:'d| would)? (?:think|believe|guess|suppose|assume|suspect|imagine|say)|i(?:'m| am) (?:guessing|assuming)"
    r"|in my (?:opinion|view)|as far as i (?:know|can tell)|to (?:the best of )?my knowledge"
    r"|if i (?:remember|recall)(?: it)? correctly|i (?:could|may|might) be (?:wrong|mistaken)"
    r"|not (?:\w+ly |100 ?% |too |so |quite )?(?:sure|certain|clear)|unsure|uncertain|unclear|hard to (?:say|tell)"
    r"|(?:it|that) (?:all )?depends|it(?:'s| is) (?:\w+ly )?possible|there(?:'s| is) a (?:good |small )?chance"
    r"|more or less|roughly|approximately|somewhat|sort of|tends? to"
)
GERMAN: Final = (
    r"vielleicht|möglicherweise|womöglich|eventuell|wahrscheinlich|vermutlich|mutmaßlich|anscheinend|scheinbar|offenbar"
    r"|angeblich|unter umständen|könnten?|dürften?|mag sein|es scheint|scheint|scheinen|möglich, dass"
    r"|ich (?:glaube|denke|vermute|schätze|meine|nehme an)|(?:glaube|denke|vermute|schätze) ich"
    r"|meines (?:wissens|erachtens)"
    r"|soweit ich (?:weiß|sehe)|meiner meinung nach|wenn ich mich (?:recht|richtig) erinnere|ich könnte mich irren"
    r"|nicht (?:ganz |völlig |hundertprozentig |so )?(?:sicher|klar|gewiss)|unsicher|unklar|ungewiss|schwer zu sagen"
    r"|kommt (?:ganz )?darauf an|mehr oder weniger|ungefähr|in etwa|tendenziell"
)
HEDGES: Final = {
    "en": re2.compile(rf"(?i)(?:^|[^\pL])(?:{ENGLISH})(?:$|[^\pL])"),
    "de": re2.compile(rf"(?i)(?:^|[^\pL])(?:{GERMAN})(?:$|[^\pL])"),
}


@dataclass(frozen=True, slots=True)
class Confidence:
    """Scores from 0 to 1 how much of an English or German answer hedges."""

    max_hedging: float | None = None  # fails above; None: no judgement

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "share of sentences that hedge"

    def __post_init__(self) -> None:
        if self.max_hedging is not None:
            check_share("max_hedging", self.max_hedging)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        prose = prose_of(text_of(exchange.output_messages))
        hedges, sentences = HEDGES.get(_language(prose) or ""), sentences_of(prose)
        if hedges is None or not sentences:
            return ()
        plain = (sentence.replace("’", "'").encode("utf-8", "replace") for sentence in sentences)
        hedging = sum(hedges.search(sentence) is not None for sentence in plain)
        return (self._judged(hedging / len(sentences), f"{hedging} of {len(sentences)} sentences"),)

    def _judged(self, share: float, explanation: str) -> Evaluation:
        label = None if self.max_hedging is None else "fail" if share > self.max_hedging else "pass"
        return Evaluation("confidence.hedging", round(share, 4), label, explanation)


def _language(prose: str) -> str | None:
    """Short answers hedge, too; a wrong guess costs little here, since it finds no phrase."""
    return language_of(prose) or (language_of(prose, MIN_ASKED) if len(prose.split()) < MIN_WORDS else None)
