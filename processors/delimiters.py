"""Context that a prompt template sets off from the rest: between tags, under a heading, after a label."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2

from processors.patterns import compiled

GROUP: Final = "context"
TAGS: Final = ("document", "documents", "context", "retrieved_context", "search_results", "sources", "passages")
HEADING: Final = r"(?:(?:retrieved|relevant) )?(?:context|documents|sources)"
NEXT: Final = r"(?:(?:user )?(?:question|query|input)|answer|helpful answer|chat history|instructions)"
KNOWN_DELIMITERS: Final = (
    *(rf"(?is)<{tag}(?:\s[^>]*)?>(?P<context>.*?)</{tag}>" for tag in TAGS),
    # LlamaIndex: a sentence, then the context between two lines of hyphens
    r"(?is)context information is below\.?\s+-{3,}\s*(?P<context>.*?)\s*-{3,}",
    # a Markdown heading, up to the next
    rf"(?is)(?:^|\n)#+ *{HEADING}:? *\n(?P<context>.*?)(?:\n#+ |\z)",
    # LangChain and many more: a label, up to the next
    rf"(?is)(?:^|\n)[ *]*{HEADING}[ *]*:[ *]*(?P<context>.*?)(?:\n[ *]*{NEXT}[ *]*:|\z)",
)
# What one of them begins with: most texts have none of it, and are read once.
POSSIBLE: Final = re2.compile(r"(?i)<(?:" + "|".join(TAGS) + r")[\s>]|context information|(?:^|\n)[#* ]*" + HEADING)


@lru_cache(maxsize=32)
def delimiters_of(patterns: tuple[str, ...], known: bool) -> tuple[Any, ...]:
    """The patterns ready for use, a user's own first; raises ValueError for one that will not do."""
    own = [compiled(f"delimiters[{number}]", pattern) for number, pattern in enumerate(patterns)]
    for pattern, delimiter in zip(patterns, own, strict=True):
        if GROUP not in delimiter.groupindex:
            raise ValueError(f"delimiters has {pattern!r}, which does not say what the context is; add (?P<context>…)")
    return (*own, *(_known_delimiters() if known else ()))


@lru_cache(maxsize=1)
def _known_delimiters() -> tuple[Any, ...]:
    return tuple(map(re2.compile, KNOWN_DELIMITERS))


def set_off(text: str, patterns: tuple[str, ...], known: bool) -> list[str]:
    """What the first delimiter that is there at all sets off, as often as it is there."""
    data = text.encode("utf-8", "surrogatepass")
    if not patterns and not (known and POSSIBLE.search(data)):
        return []
    found = (list(_contexts(delimiter, data)) for delimiter in delimiters_of(patterns, known))
    return next(filter(None, found), [])


def _contexts(delimiter: Any, data: bytes) -> Iterator[str]:
    for match in delimiter.finditer(data):
        if context := (match.group(GROUP) or b"").decode("utf-8", "replace").strip():
            yield context
