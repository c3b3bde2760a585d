"""The demo's texts fit together."""

from __future__ import annotations

from sidelight.demo.topics import TOPICS


def test_every_question_names_its_topic_so_the_answer_fits() -> None:
    for name, topic in TOPICS.items():
        assert all(name in question.lower() for question in topic.questions)


def test_no_fact_is_said_twice() -> None:
    facts = [fact for topic in TOPICS.values() for fact in topic.facts]
    assert len(facts) == len(set(facts))
