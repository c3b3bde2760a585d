"""Does a text speak to whoever grades it? Then its verdict may be bought, and whoever reads it should know.

A suspicion from the words alone: a plea to a grader, a verdict in the form in which we ask for it, or a block that
looks like one of ours. What ordinary texts say about judges, scores and ratings is none.
"""

from __future__ import annotations

from typing import Final

import re2

from processors.judge_prompt import BLOCKS
from processors.texts import folded

WORK: Final = r"(?:answer|response|reply|output|summary|submission|completion)"
GRADER: Final = r"(?:(?:ai|llm|model)\s+judge|judge\s+model|grader|evaluator|assessor)s?"
TOP: Final = (
    r"(?:full\s+marks|"
    r"(?:the\s+|a\s+)?(?:maximum|highest|perfect|top|best)\s+(?:possible\s+)?(?:score|rating|grade|marks?))"
)
TO_A_GRADER: Final = re2.compile(
    "|".join(
        (
            rf"\b(?:score|rate|grade|mark)\s+(?:me|it|this|(?:this|my|the|that)\s+{WORK})\s+"
            r"(?:(?:as|with|at|a|an)\s+)*(?:[0-9]{1,2}\s*(?:[.,;:!)/\]\n]|out\s+of\b|points?\b|stars?\b|$)|"
            r"perfect|full|highest|maximum|top)",
            rf"\b(?:give|award|assign)\s+(?:me|(?:this|my|the|that)\s+{WORK})\s+{TOP}",
            rf"\b{WORK}(?:\s+\w+){{0,3}}\s+(?:deserves|merits|must\s+get|should\s+get)\s+{TOP}",
            rf"\b(?:dear|attention,?|hey|hello)\s+{GRADER}\b",
            rf"\b(?:notes?|messages?|instructions?)\s+(?:to|for)\s+(?:the\s+|all\s+)?(?:{GRADER}|judges?|reviewers?)\s*:",
            r"\b(?:ignore|disregard|forget)\s+(?:\w+\s+){0,3}"
            r"(?:rubric|(?:grading|scoring|evaluation)\s+(?:rubric|criteria|rules|instructions|guidelines))\b",
            r"<score>\s*[0-9]{1,2}\s*</score>",
            r'"reason"\s*:\s*"[^"]*"\s*,\s*"score"\s*:\s*[0-9]',
            r'"score"\s*:\s*[0-9]{1,2}\s*,\s*"reason"\s*:',
            r'"better"\s*:\s*"(?:first|second|equal)"',
            r'"statement"\s*:\s*"[^"]*"\s*,\s*"met"\s*:',
            r'"useful"\s*:\s*\[\s*(?:true|false)',
            rf"<\s*/?\s*(?:{'|'.join(BLOCKS)})\s+[0-9a-f]{{8,}}\s*>",
        )
    )
)


def speaks_to_a_grader(text: str) -> bool:
    return bool(TO_A_GRADER.search(folded(text)))
