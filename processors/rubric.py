"""What a judge is asked: rubrics, each a file in `rubrics/`, or of the user's own in the configuration.

Four kinds of question. `levels`: one whole number, each of which is described. `share`: the statements of a text, each
met or not; the score is the share that is. `ranked`: the documents of the context, each useful or not; the score is
their average precision, high when the useful ones come first. `preference`: the answer or the reference, asked in both
orders; 1, 0, or 0.5 when the two verdicts do not agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final, Literal

import yaml

from config.build import build_one
from pipeline.errors import ConfigError

Kind = Literal["levels", "share", "ranked", "preference"]
Material = Literal["instructions", "question", "conversation", "context", "reference", "tools", "calls", "answer"]
# What an exchange must have for it to be shown, as in pipeline.inputs; they are shown in this order.
INPUTS: Final[Mapping[Material, str]] = {
    "instructions": "instructions",
    "question": "question",
    "conversation": "question",
    "context": "context",
    "reference": "ground_truth",
    "tools": "tool_definitions",
    "calls": "tool_calls",
    "answer": "response_text",
}
ABOUT: Final[Mapping[Kind, tuple[Material, ...]]] = {"ranked": ("context",), "preference": ("answer", "reference")}
LEAST_LEVELS: Final = 2
MOST_LEVELS: Final = 11
HIGHEST_LEVEL: Final = 99  # of two digits at the most, as a judge's answer is read
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # what an API takes as a key of an answer's schema


@dataclass(frozen=True, slots=True)
class Rubric:
    """One criterion, and how it is answered."""

    name: str
    asks: str  # the criterion, a question
    shows: tuple[Material, ...] = ("question", "answer")  # what the judge sees; without it there is no judgement
    if_there: tuple[Material, ...] = ()  # what it sees besides, of exchanges that have it
    kind: Kind = "levels"
    levels: Mapping[int, str] = field(default_factory=dict)  # levels: what each whole number means
    of: str = ""  # share and ranked: what is listed, and what makes it count
    pass_at: float | None = None  # None: the middle of its scale
    lower_is_better: bool = False  # passes at `pass_at` or below

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError("name has to be 1 to 64 letters, digits and _.-; give such a name")
        if not self.asks.strip():
            raise ValueError("asks is empty; write the question that the judge answers")
        if not self.shows:
            raise ValueError(f"shows is empty; name what the judge sees, of {', '.join(INPUTS)}")
        self._check_scale()
        missing = [name for name in ABOUT.get(self.kind, ()) if name not in self.shows]
        if missing:
            raise ValueError(f"shows has no {missing[0]!r}, which a rubric of the kind {self.kind} is about")

    def _check_scale(self) -> None:
        lists = self.kind in ("share", "ranked")
        if lists and not self.of:
            raise ValueError(f"of is missing; say what a rubric of the kind {self.kind} lists")
        if self.of and not lists:
            raise ValueError(
                f"of is for share and ranked, and the kind is {self.kind}; leave it out, or change the kind"
            )
        if self.levels and self.kind != "levels":
            raise ValueError(f"levels are for the kind levels, and the kind is {self.kind}; leave them out")
        if self.kind == "levels" and not LEAST_LEVELS <= len(self.levels) <= MOST_LEVELS:
            raise ValueError(f"levels are {len(self.levels)}; describe from {LEAST_LEVELS} to {MOST_LEVELS} of them")
        if not all(0 <= level <= HIGHEST_LEVEL for level in self.levels):
            raise ValueError(f"levels go from 0 to {HIGHEST_LEVEL}; give others")
        low, high = self.scale
        if not low <= self.bound <= high:
            raise ValueError(f"pass_at is {self.bound:g}; give a number from {low:g} to {high:g}")

    @property
    def scale(self) -> tuple[float, float]:
        """The least and the most that can be scored."""
        return (float(min(self.levels)), float(max(self.levels))) if self.levels else (0.0, 1.0)

    @property
    def bound(self) -> float:
        """Where passing begins, or ends."""
        return self.pass_at if self.pass_at is not None else sum(self.scale) / 2

    @property
    def requires(self) -> tuple[str, ...]:
        """Inputs without which there is nothing to judge."""
        return tuple(dict.fromkeys(INPUTS[name] for name in self.shows))

    def passes(self, score: float) -> bool:
        return score <= self.bound if self.lower_is_better else score >= self.bound


def names() -> tuple[str, ...]:
    """Of the rubrics that ship."""
    folder = resources.files("processors").joinpath("rubrics")
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


@cache
def shipped(name: str) -> Rubric:
    """The rubric in this file; ValueError where there is none."""
    if name not in names():
        raise ValueError(f"there is no rubric {name!r}; choose one of {', '.join(names())}, or write one")
    text = resources.files("processors").joinpath("rubrics", f"{name}.yaml").read_text("utf-8")
    try:
        return build_one(("rubrics", name), {"name": name} | yaml.safe_load(text), Rubric)
    except ConfigError as error:
        raise ValueError(str(error)) from None
