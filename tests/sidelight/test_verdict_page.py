"""The page is whole by itself, holds nothing but what was said, and says it to everybody."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, LedgerEntry
from sidelight import __version__
from sidelight.classification import Classification
from sidelight.rows import Problem
from sidelight.verdict import Judged, Verdict
from sidelight.verdict_page import SHOWN, page_of, write_page
from sidelight.verdict_table import share
from tests.support.calibrations import a_calibration
from tests.support.records import an_exchange, answer

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LOADS = {"src", "href", "action", "poster", "data", "srcset", "background", "style"}
VOID = {"meta", "rect", "line", "circle"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, texts, and whether everything is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or (tag == "rect" and self._open[-1:] == ["svg"]):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def every(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name))]


def entry(outcome: Any, score: float | None = None, said: str = "too short", name: str = "relevancy") -> LedgerEntry:
    label = outcome if outcome in ("pass", "fail") else None
    reason = "missing_input" if outcome == "skipped" else None
    evaluations = () if outcome == "skipped" else (Evaluation(name, score, label, said),)
    return LedgerEntry(name, outcome, reason, evaluations)


def verdict(*entries: LedgerEntry, file: str = "data/hr.csv", problems: tuple[Problem, ...] = ()) -> Verdict:
    exchange = an_exchange(output_messages=(answer("THE-ANSWER"),))
    judged = [Judged(number, exchange, (each,)) for number, each in enumerate(entries, start=1)]
    return Verdict(file, {"query": "Question", "response": "Reply"}, judged, problems, 0.9, "ab12")


def page(*entries: LedgerEntry, **changes: Any) -> str:
    return page_of(verdict(*entries, **changes), AT)


def shown(text: str) -> str:
    return " ".join(" ".join(Page(text).texts).split())


SOME = (entry("pass", 0.75), entry("fail", 0.25), entry("scored", 0.5), entry("skipped"))


def test_it_says_what_was_found_in_which_file_and_with_what() -> None:
    text = shown(page(*SOME, problems=(Problem(9, "it is empty"),)))
    for said in (
        "Evaluation of hr.csv",
        "02 January 2026, 03:04 UTC",
        "Failed: below 90% or broken: relevancy; 1 rows could not be read.",
        "ab12",
        "query from Question , response from Reply",
        "50% (9–91)",
        "1 pass, 1 fail, 1 scored, 1 skipped",
        "missing_input: 1",
        "2 relevancy fail 0.25 too short",
        "9 it is empty",
        f"Sidelight {__version__}",
    ):
        assert said in text


def test_nothing_is_loaded_and_the_browser_is_told_so() -> None:
    text = page(*SOME)
    seen = Page(text)
    assert {name for _, attributes in seen.elements for name in attributes} & LOADS == set()
    assert {tag for tag, _ in seen.elements} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = (value for value in seen.every("content") if "default-src" in value)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_every_picture_has_a_name_and_a_description_and_every_id_is_one() -> None:
    seen = Page(page(*SOME))
    identities = seen.every("id")
    assert len(identities) == len(set(identities))
    pictures = [attributes for tag, attributes in seen.elements if tag == "svg" and "aria-hidden" not in attributes]
    assert [picture["role"] for picture in pictures] == ["img"] * 3  # outcomes, pass rate, scores
    assert all(len((picture["aria-labelledby"] or "").split()) == 2 for picture in pictures)
    assert {name for value in seen.every("aria-labelledby") for name in value.split()} <= set(identities)


def test_the_counts_of_a_histogram_are_in_a_table_too() -> None:
    assert "0.1 to 0.2 0 0.2 to 0.3 1 0.3 to 0.4 0" in shown(page(*SOME))


def test_scores_that_are_all_the_same_are_said_and_not_drawn() -> None:
    text = page(entry("pass", 0.0), entry("pass", 0.0))
    assert "not drawn: relevancy 0." in text
    assert "<figure>" not in text


def test_neither_question_nor_answer_is_in_it() -> None:
    assert "THE-ANSWER" not in page(*SOME)


def test_of_very_many_failures_the_first_are_shown_and_the_rest_counted() -> None:
    text = page(*[entry("fail", 0.5)] * (SHOWN + 3))
    assert "3 more failed" in text
    assert text.count("too short") == SHOWN


@pytest.mark.parametrize("entries", [(), (entry("skipped"),), (entry("error"),), (entry("pass", None),)])
def test_there_is_a_page_whatever_there_is_to_say(entries: tuple[LedgerEntry, ...]) -> None:
    Page(page(*entries))


@given(said=st.text(max_size=60), column=st.text(max_size=20), name=st.text(max_size=20).map("x".__add__))
def test_whatever_was_said_stays_text(said: str, column: str, name: str) -> None:
    quiet = Page(page(entry("fail", 0.5, "quiet")))
    told = verdict(entry("fail", 0.5, f"{said}</td><script>alert(1)</script>"), file=name)
    loud = Page(page_of(Verdict(name, {column: column}, told.judged, (), 0.9, ""), AT))
    assert [tag for tag, _ in loud.elements if tag != "code"] == [tag for tag, _ in quiet.elements if tag != "code"]


def test_a_confusion_matrix_has_a_line_for_each_label() -> None:
    found = Classification(("no", "<yes>"), ((3, 1, 0), (0, 2, 1)), 2)
    seen = Page(page_of(replace(verdict(entry("pass")), classification=found), AT))
    text = " ".join(" ".join(seen.texts).split())
    assert "accuracy 71%" in text
    assert "no 3 1 0 4 1 0.75 0.857 <yes> 0 2 1 3 0.667 0.667 0.667" in text
    assert [value for value in seen.every("class") if "right" in value] == ["number right-4", "number right-4"]


def test_the_page_is_written_as_utf_8(tmp_path: Path) -> None:
    write_page(verdict(entry("fail", 0.5, "é ≠ 🙂")), tmp_path / "out.html", AT)
    assert "é ≠ 🙂" in (tmp_path / "out.html").read_text("utf-8")


def test_a_calibrated_judges_rate_is_told_as_people_would_find_it() -> None:
    entries = [entry("pass" if n < 15 else "fail", name="judge") for n in range(20)]
    judged = [Judged(number, an_exchange(), (each,)) for number, each in enumerate(entries, start=1)]
    told = Verdict("a.csv", {}, judged, (), 1.0, "0" * 64, None, {"judge": a_calibration()})
    assert told.tallies[0].corrected
    assert share(*told.tallies[0].corrected) in page_of(told, AT)
