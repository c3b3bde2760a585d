"""What a PromQL expression is about: the metrics and the labels that it names."""

from __future__ import annotations

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}


def metrics_in(expression: str) -> set[str]:
    """Every name that is neither a label, nor a function, nor a word of the language."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\boffset\s+\w+", " ", bare)
    functions = set(re.findall(rf"({NAME})\s*\(", bare))
    aggregations = {"sum", "min", "max", "avg", "count"}
    return set(re.findall(rf"(?<![\w.$])({NAME})", bare)) - functions - aggregations - WORDS


def labels_in(expression: str) -> set[str]:
    """Every label that is matched, grouped by or joined on."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    matched = re.findall(rf"({NAME})\s*(?:=~|!~|!=|=)", " ".join(re.findall(r"\{[^}]*\}", bare)))
    lists = re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", bare)
    return {*matched, *(name for each in lists for name in re.findall(NAME, each))}
