"""Does the code in the answer parse? Only the syntax is looked at; nothing is run."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import orjson

from pipeline.records import Evaluation, Exchange, text_of
from processors.options import check_share

MAX_CHARACTERS: Final = 20_000  # of one block; a longer one is not parsed
MAX_BLOCKS: Final = 50
BLOCK: Final = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*([\w+.-]*)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)[ \t]*$", re.M | re.S)
PROMPT: Final = re.compile(r"^\s*(?:>>> |In \[\d+\]: )", re.M)  # a session, half of which is what the machine said
SHELL_LINE: Final = re.compile(r"^[ \t]*[%!].*$", re.M)  # of a notebook
DOTS: Final = re.compile(r"^\s*\.\.\.\s*$", re.M)  # "and so on": no JSON, and nobody takes it for that


def parse_python(code: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        ast.parse(SHELL_LINE.sub("", textwrap.dedent(code)))


PARSERS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "python": ("Python", parse_python),
    "py": ("Python", parse_python),
    "python3": ("Python", parse_python),
    "json": ("JSON", orjson.loads),
    "toml": ("TOML", tomllib.loads),
}


@dataclass(frozen=True, slots=True)
class CodeSyntax:
    """Scores the share of the answer's fenced blocks of Python, JSON and TOML that parse."""

    threshold: float = 1.0  # fails when a smaller share parses

    requires: ClassVar[tuple[str, ...]] = ("response_text", "whole_response")
    scale: ClassVar[str] = "share of blocks that parse"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        blocks = blocks_of(text_of(exchange.output_messages))
        if not blocks:
            return ()
        broken = [language for language, code in blocks if not parses(language, code)]
        share = 1 - len(broken) / len(blocks)
        said = f"{len(broken)} of {len(blocks)} blocks do not parse: {PARSERS[broken[0]][0]}" if broken else None
        return (Evaluation("code_syntax", round(share, 4), "pass" if share >= self.threshold else "fail", said),)


def blocks_of(text: str) -> list[tuple[str, str]]:
    """(language, code) of each finished block that can be judged: neither a session nor one with things left out."""
    if "```" not in text and "~~~" not in text:
        return []
    found = ((match[1].lower(), match[2]) for match in BLOCK.finditer(text))
    judged = [
        (language, code)
        for language, code in found
        if language in PARSERS and len(code) <= MAX_CHARACTERS and not PROMPT.search(code)
    ]
    return [each for each in judged if each[0] != "json" or not DOTS.search(each[1])][:MAX_BLOCKS]


def parses(language: str, code: str) -> bool:
    try:
        PARSERS[language][1](code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the parser's own limits are the last two
        return False
    return True
