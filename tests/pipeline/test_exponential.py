"""Against the SDK's own mapping and aggregation, and by the definition of a bucket."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.exponent_mapping import ExponentMapping
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping

from pipeline.exponential import MAX_SCALE, MAX_SIZE, Exponential, bucket_of

VALUES = st.floats(1e-9, 1e9) | st.integers(1, 10**9).map(float) | st.integers(-60, 60).map(lambda n: 2.0**n)


def recorded(*values: float) -> Exponential:
    exponential = Exponential()
    for value in values:
        exponential.record(value)
    return exponential


@given(VALUES, st.integers(1, MAX_SCALE))
def test_fine_buckets_are_the_sdks(value: float, scale: int) -> None:
    theirs = LogarithmMapping(scale).map_to_index(value)
    assert abs(bucket_of(value, scale) - theirs) <= 1  # both round near a bound, as the specification allows
    if math.frexp(value)[0] == 0.5:
        assert bucket_of(value, scale) == theirs


@given(VALUES, st.integers(-10, 0))
def test_coarse_buckets_are_the_sdks(value: float, scale: int) -> None:
    assert bucket_of(value, scale) == ExponentMapping(scale).map_to_index(value)


@given(st.lists(VALUES | st.just(0.0), max_size=200))
def test_every_measurement_is_in_a_bucket_that_holds_it(values: list[float]) -> None:
    buckets = recorded(*values).buckets()
    assert buckets.zero_count == values.count(0.0)
    assert sum(buckets.counts) == len(values) - buckets.zero_count
    assert len(buckets.counts) <= MAX_SIZE
    expected: dict[int, int] = {}
    for value in filter(None, values):
        index = bucket_of(value, buckets.scale)
        expected[index] = expected.get(index, 0) + 1
    told = {index: count for index, count in enumerate(buckets.counts, buckets.offset) if count}
    coarse = buckets.scale < MAX_SCALE
    assert told == expected or (coarse and sum(told.values()) == sum(expected.values()))
    for index, count in enumerate(buckets.counts, buckets.offset):
        if count:
            low, high = bounds(index, buckets.scale)
            assert any(low * (1 - 1e-9) <= value <= high * (1 + 1e-9) for value in values)


def bounds(index: int, scale: int) -> tuple[float, float]:
    return 2.0 ** (index / 2.0**scale), 2.0 ** ((index + 1) / 2.0**scale)


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_no_finer_scale_would_have_room(values: list[float]) -> None:
    buckets = recorded(*values).buckets()
    if buckets.scale < MAX_SCALE:
        finer = [bucket_of(value, buckets.scale + 1) for value in values]
        assert max(finer) - min(finer) >= MAX_SIZE - 1  # rounding at a bound may take one away


@given(st.lists(VALUES | st.just(0.0), max_size=60), st.lists(VALUES | st.just(0.0), max_size=60))
def test_what_was_gained_and_what_was_before_are_all(before: list[float], since: list[float]) -> None:
    exponential = recorded(*before)
    old = exponential.buckets()
    for value in since:
        exponential.record(value)
    gained = exponential.buckets().less(old)
    assert gained.zero_count == since.count(0.0)
    assert sum(gained.counts) == len(since) - gained.zero_count
    assert min(gained.counts, default=0) >= 0


@pytest.mark.parametrize(("value", "index"), [(1.0, -1), (2.0, 0), (1.5, 0), (0.5, -2), (3.0, 1), (4.0, 1)])
def test_an_upper_bound_belongs_to_its_bucket(value: float, index: int) -> None:
    assert bucket_of(value, 0) == index
