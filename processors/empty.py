"""Is there an answer at all, and was it filled in? Blank answers, and placeholders that nobody replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson
import re2

from pipeline.records import Evaluation, Exchange, Message, question_of, text_of
from processors.context import READS
from processors.prose import MAX_CHARACTERS, prose_of

DECLINED: Final = frozenset(("refusal", "content_filter"))  # what is then missing is the refusal's doing
INVISIBLE: Final = " \t\r\n\v\f\xa0\u3000\u200b\u200c\u200d\u2060\ufeff"
SILENT: Final = frozenset(("text", "reasoning"))  # every other part is something to show, or to do
NO_TEXT: Final = "no text"

OWNERS: Final = "insert|enter|your|ihr(?:en?|em)?|deine?n?|votre|tu|su|seu|sua|il tuo|la tua|uw|jouw|twoj[ae]|ваш[ае]?"
NOUNS: Final = (
    r"(?:(?:first|last|full|company|business|recipient|client|customer|candidate|employer|sender|manager|hiring|product"
    r"|project|event|job|phone|today)(?:['’]s)? )*"
    r"(?:name|date|company|address|phone|phone number|e-?mail|email address|title|position|signature|datum|firma|nom"
    r"|nombre|nome|имя)"
)
# A brace after a letter, a backslash or another brace is mathematics, code or a path, and no variable of a template.
PLACEHOLDERS: Final = (
    ("template variable", r"(?:^|[^\w\\}^_$/{])\{\{ {0,2}[#/]?[A-Za-z_][\w. -]{0,60}(?:\|[^{}\n]{0,60})?\}\}"),
    ("template variable", r"(?:^|[\s(>,;*])\{[A-Za-z_]\w{1,40}(?: \w{1,40}){0,3}\}(?:[^\w{^_]|$)"),
    ("text to insert", r"(?i)<\s?(?:insert|enter)\b[^<>\n]{1,80}>"),
    ("unfilled blank", rf"(?i)\[(?:(?:{OWNERS}) [^\[\]\n]{{1,60}}|{NOUNS})\](?:[^(\[:\w]|$)"),
    ("filler text", r"(?i)\blorem ipsum\b"),
    ("note to do", r"(?:^|[\s(*#/-])(?:TODO|FIXME): ?\S"),
)
ABOUT_PLACEHOLDERS: Final = re2.compile(
    r"(?i)\b(?:templates?|templating|placeholders?|lorem|boilerplate|fill[- ]in|blanks?|to-?dos?|jinja|mustache"
    r"|handlebars|f-strings?|vorlagen?|platzhalter|plantillas?|gabarits?|sjabloon|szablon|шаблон\w*)\b|模板|テンプレート"
)


def _signs(patterns: tuple[str, ...]) -> Any:
    signs = re2.Set.SearchSet()
    for pattern in patterns:
        signs.Add(pattern)
    signs.Compile()
    return signs


SIGNS: Final = _signs(tuple(pattern for _, pattern in PLACEHOLDERS))


@dataclass(frozen=True, slots=True)
class Empty:
    """Finds answers that say nothing, and those with placeholders that nobody filled in."""

    placeholders: bool = True  # look for placeholders, too

    requires: ClassVar[tuple[str, ...]] = ("content", "success", "whole_response")
    scale: ClassVar[str] = "share of choices that say nothing"

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        if not _should_say_something(exchange):
            return ()
        choices = [each for each in exchange.output_messages if each.finish_reason not in DECLINED]
        if exchange.output_messages and not choices:
            return ()
        look = self.placeholders and not _speaks_of_placeholders(question_of(exchange))
        problems = [_problem(choice, look) for choice in choices] or [NO_TEXT]
        share = 1 - problems.count(None) / len(problems)
        kinds = ", ".join(sorted({problem for problem in problems if problem}))
        return (Evaluation("empty", round(share, 4), "fail" if kinds else "pass", kinds or None),)


def _should_say_something(exchange: Exchange) -> bool:
    """Embeddings have no text, and of an answer that broke off or could not be read nothing is known."""
    status = exchange.http.status
    return exchange.operation in READS and exchange.complete and not exchange.decode_error and (status or 500) < 400


def _problem(choice: Message, look: bool) -> str | None:
    text = text_of((choice,))
    if not text.strip(INVISIBLE):
        return NO_TEXT if all(part.type in SILENT for part in choice.parts) else None
    return placeholder_in(text) if look else None


def placeholder_in(text: str) -> str | None:
    """The kind of the first placeholder that the text's prose holds; none in code, quotations and JSON."""
    if "[" not in text and "{" not in text and "<" not in text and "lorem" not in text.lower() and ": " not in text:
        return None
    if _is_json(text):
        return None
    found = SIGNS.Match(prose_of(text).encode("utf-8", "replace"))
    return PLACEHOLDERS[min(found)][0] if found else None


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _speaks_of_placeholders(question: str) -> bool:
    """A template that was asked for has placeholders, and so has what is said about one."""
    data = question[:MAX_CHARACTERS].encode("utf-8", "replace")
    return bool(ABOUT_PLACEHOLDERS.search(data) or SIGNS.Match(data))
