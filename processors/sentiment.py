"""Is the user content or annoyed? By a short list of words and phrases: fair in English, silent where none shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import re2

from pipeline.records import Evaluation, Exchange, question_of
from processors.prose import prose_of

CONTENT: Final = """
thanks|thank you|thx|great|perfect|awesome|excellent|wonderful|brilliant|amazing|fantastic|helpful|nice|love it|
well done|good job|good answer|that works|it works|works now|exactly what i|much better|appreciate|happy with|impressed
"""
ANNOYED: Final = """
useless|terrible|awful|horrible|frustrating|frustrated|annoying|annoyed|angry|ridiculous|stupid|nonsense|garbage|
disappointed|disappointing|unacceptable|waste of time|fed up|sick of|not what i asked|not what i meant|that's wrong|
that is wrong|this is wrong|you're wrong|you are wrong|wrong again|still wrong|still not working|still doesn't|
still does not|doesn't work|does not work|didn't work|not working|not helpful|not listening|didn't answer|
did not answer|doesn't answer|for the third time|how many times|i already told you|i already said|are you kidding|wtf
"""
NOT: Final = r"(?P<not>\b(?:not|no|never|hardly|isn't|wasn't|aren't|don't|doesn't|didn't|can't|won't)\s+(?:\w+\s+)?)?"


def phrases(words: str) -> str:
    return "|".join(re.escape(word) for word in "".join(words.split("\n")).split("|"))


MOOD: Final = re2.compile(rf"(?i){NOT}\b(?:(?P<annoyed>{phrases(ANNOYED)})|(?P<content>{phrases(CONTENT)}))\b")


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Scores the user's last message from -1 (annoyed) to 1 (content), where it shows."""

    threshold: float | None = None  # fails below this score; None: the value without a judgement

    requires: ClassVar[tuple[str, ...]] = ("question",)
    scale: ClassVar[str] = "-1 annoyed … 1 content"

    def __post_init__(self) -> None:
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from -1 to 1, or null for no judgement")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        content, annoyed = moods_of(question_of(exchange))
        if not content and not annoyed:
            return ()
        score = (content - annoyed) / (content + annoyed)
        label = None if self.threshold is None else "pass" if score >= self.threshold else "fail"
        said = f"{content} words of content, {annoyed} of annoyance"
        return (Evaluation("sentiment", round(score, 4), label, said),)


def moods_of(text: str) -> tuple[int, int]:
    """(content, annoyed) words and phrases; a negated one counts as the other."""
    content = annoyed = 0
    for match in MOOD.finditer(prose_of(text).replace("’", "'")):
        if bool(match.group("content")) != bool(match.group("not")):
            content += 1
        else:
            annoyed += 1
    return content, annoyed
