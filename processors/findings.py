"""Judging what redaction found: which side, how many, of which kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, get_args

from pipeline.records import Evaluation
from processors.options import check_choice

Side = Literal["output", "input", "both", "new"]  # new: kinds in the output that the input has not


def check_findings(side: str, threshold: int) -> None:
    """Refuse options that make no sense, naming the option and the remedy."""
    check_choice("side", side, get_args(Side))
    if threshold < 1:
        raise ValueError(f"threshold is {threshold}; give the number of findings that fails, at least 1")


def counted(findings: Mapping[str, Mapping[str, int]], side: Side) -> Counter[str]:
    """Kind → occurrences on that side."""
    found = {name: Counter(findings.get(name, {})) for name in ("input", "output")}
    if side == "both":
        return found["input"] + found["output"]
    if side == "new":
        return Counter({kind: count for kind, count in found["output"].items() if kind not in found["input"]})
    return found[side]


def judged(name: str, counts: Mapping[str, int], threshold: int) -> Evaluation:
    """The evaluation of that name: how many, and of which kinds."""
    total = sum(counts.values())
    explanation = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    return Evaluation(name, float(total), "fail" if total >= threshold else "pass", explanation or None)
