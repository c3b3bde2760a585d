"""A message as it comes together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Part
from wire.transcript import MAX_CITATIONS, MAX_CITED, Transcript

CALL = Part("tool_call", name="f")


def test_text_goes_on_until_something_else_comes() -> None:
    transcript = Transcript()
    for kind, piece in (("reasoning", "a"), ("reasoning", "b"), ("text", "c"), ("text", "d")):
        assert transcript.say(kind, piece)  # type: ignore[arg-type]
    transcript.add(CALL)
    transcript.say("text", "e")
    assert transcript.parts() == (
        Part("reasoning", content="ab"),
        Part("text", content="cd"),
        CALL,
        Part("text", content="e"),
    )


def test_text_may_begin_anew() -> None:
    transcript = Transcript()
    transcript.say("text", "a")
    transcript.say("text", "b", begin=True)
    assert [part.content for part in transcript.parts()] == ["a", "b"]


def test_nothing_said_is_no_part() -> None:
    transcript = Transcript()
    assert not transcript.say("text", "")
    assert not transcript.say("reasoning", None, begin=True)
    assert transcript.parts() == ()


def test_it_may_be_asked_at_any_time() -> None:
    transcript = Transcript()
    transcript.say("text", "a")
    assert transcript.parts() == transcript.parts() == (Part("text", content="a"),)


def test_citations_are_the_last_texts() -> None:
    transcript = Transcript()
    transcript.say("text", "a")
    transcript.add(CALL)
    transcript.say("text", "b")
    first, _, last = transcript.parts([{"uri": "u"}, {}])
    assert (first.citations, last.citations) == ((), ({"uri": "u"},))


def test_citations_of_nothing_are_lost() -> None:
    transcript = Transcript()
    transcript.add(CALL)
    assert transcript.parts([{"uri": "u"}]) == (CALL,)


def test_citations_are_bounded() -> None:
    transcript = Transcript()
    transcript.say("text", "a")
    (part,) = transcript.parts({"text": "x" * (MAX_CITED + 1)} for _ in range(MAX_CITATIONS + 1))
    assert len(part.citations) == MAX_CITATIONS
    assert {len(citation["text"]) for citation in part.citations} == {MAX_CITED}


@given(st.lists(st.tuples(st.sampled_from(["text", "reasoning"]), st.text(max_size=3), st.booleans())))
def test_no_piece_is_lost(pieces: list[tuple[str, str, bool]]) -> None:
    transcript = Transcript()
    for kind, piece, begin in pieces:
        transcript.say(kind, piece, begin)  # type: ignore[arg-type]
    said = "".join(part.content or "" for part in transcript.parts())
    assert said == "".join(piece for _, piece, _ in pieces)
