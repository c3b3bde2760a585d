"""What every exporter may be told about its queue and its retries, and what it does when told nothing."""

from __future__ import annotations

from typing import Any

import pytest

from config.delivery import RetryOnFailure, SendingQueue, delivery_options, own_options
from pipeline.delivery import Retry
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("durable", "storage", "max_elapsed_time"), [(True, True, 0.0), (False, False, 300.0)], ids=["durable", "not"]
)
def test_an_exporter_told_nothing_does_as_it_is_made_for(durable: bool, storage: bool, max_elapsed_time: float) -> None:
    for options in (None, {}, {"endpoint": "x"}, {"sending_queue": None, "retry_on_failure": None}):
        built = delivery_options("otlp", options, durable)
        assert (built.durable, built.retry.max_elapsed_time) == (storage, max_elapsed_time)
        assert built.sending_queue == SendingQueue(storage=storage)
        assert built.retry_on_failure == RetryOnFailure()


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_told_holds(durable: bool) -> None:
    queue = {"queue_size": 7, "storage": not durable, "max_size": "1MiB", "max_age": "1h"}
    retry = {"initial_interval": "200ms", "max_elapsed_time": "1m"}
    built = delivery_options("otlp", {"sending_queue": queue, "retry_on_failure": retry}, durable)
    assert built.sending_queue == SendingQueue(7, not durable, 2**20, 3600.0)
    assert built.retry == Retry(initial_interval=0.2, max_elapsed_time=60.0)


@pytest.mark.parametrize(
    ("section", "options", "place"),
    [
        ("sending_queue", {"queue_size": 0}, "exporters.otlp/a.sending_queue.queue_size: "),
        ("sending_queue", {"queue": 5}, "exporters.otlp/a.sending_queue.queue: unknown option; "),
        ("sending_queue", {"max_size": "big"}, "exporters.otlp/a.sending_queue.max_size: "),
        ("sending_queue", {"max_age": 0}, "exporters.otlp/a.sending_queue.max_age: "),
        ("sending_queue", True, "exporters.otlp/a.sending_queue: must be a mapping of options"),
        ("retry_on_failure", {"multiplier": 0.5}, "exporters.otlp/a.retry_on_failure.multiplier: "),
        ("retry_on_failure", {"randomization_factor": 2}, "exporters.otlp/a.retry_on_failure.randomization_factor: "),
        ("retry_on_failure", {"initial_interval": "0s"}, "exporters.otlp/a.retry_on_failure.initial_interval: "),
        ("retry_on_failure", {"max_elapsed_time": "-1s"}, "exporters.otlp/a.retry_on_failure.max_elapsed_time: "),
    ],
)
def test_a_wrong_option_is_told_with_its_place(section: str, options: Any, place: str) -> None:
    with pytest.raises(ConfigError) as told:
        delivery_options("otlp/a", {section: options}, True)
    (problem,) = told.value.problems
    assert problem.startswith(place)


def test_all_problems_are_told_at_once() -> None:
    wrong = {"sending_queue": {"queue_size": 0}, "retry_on_failure": {"multiplier": 0}}
    with pytest.raises(ConfigError) as told:
        delivery_options("otlp", wrong, True)
    assert len(told.value.problems) == 2


def test_an_exporters_own_options_are_the_others() -> None:
    assert own_options({"endpoint": "x", "sending_queue": {}, "retry_on_failure": {}}) == {"endpoint": "x"}
    assert own_options(None) is None
    assert own_options("nonsense") == "nonsense"
