"""What a text says in the writer's own words: code, addresses and quotations left out, then cut into sentences."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 20_000  # of a longer text the beginning is read
FENCED: Final = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
INLINE: Final = re.compile(r"`[^`\n]*`")
# Each with what must be there for it: most texts hold few of these, and looking for one sign is nearly free. A
# quotation never reaches over another opening mark, so that a text full of these is read once.
LEFT_OUT: Final = (
    ("://", re.compile(r"[hH][tT]{2}[pP][sS]?://\S+")),
    ("www.", re.compile(r"\bwww\.\S+")),
    (">", re.compile(r"^[ \t]{0,8}>[^\n]*$", re.MULTILINE)),
    ("|", re.compile(r"^[ \t]{0,8}\|[^\n]*$", re.MULTILINE)),  # the rows of a table are no sentences
    ('"', re.compile(r'"[^"\n]{0,500}"')),
    ("„", re.compile(r"„[^„“”\n]{0,500}[“”]")),
    ("“", re.compile(r"“[^“”\n]{0,500}”")),
    ("«", re.compile(r"«[^«»\n]{0,500}»")),
    ("「", re.compile(r"「[^「」\n]{0,500}」")),
)
# One set of signs first, then what each of them needs after it: so the signs are looked for many times faster.
SENTENCE_END: Final = re.compile(r"[.!?…\n。！？](?:(?<=\n)\n*|(?<=[。！？])\s*|['’)*_\]]{0,4}\s+(?![a-z]))")
LETTER: Final = re.compile(r"[^\W\d_]")


def prose_of(text: str) -> str:
    """The beginning of the text without code, addresses, tables and quotations; linear."""
    text = without_code(text[:MAX_CHARACTERS])
    for sign, pattern in LEFT_OUT:
        if sign in text:
            text = pattern.sub(" ", text)
    return text


def without_code(text: str) -> str:
    """The text without what stands between code marks."""
    if "```" in text or "~~~" in text:
        text = FENCED.sub("\n", text)
    return INLINE.sub(" ", text) if "`" in text else text


def sentences_of(prose: str) -> list[str]:
    """The sentences, list items and headings that have any letter."""
    return [sentence for sentence in SENTENCE_END.split(prose) if LETTER.search(sentence)]
