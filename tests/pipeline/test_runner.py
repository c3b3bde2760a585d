"""The way of every capture, in order, with nothing lost when the store, the bytes or a former life fail."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pipeline import frame
from pipeline.frame import Frame, Place
from pipeline.judge_queue import Debt
from pipeline.judging import Judging
from pipeline.records import Capture, EvaluatedExchange, Exchange, LedgerEntry, Owed
from pipeline.ring import HandOffFds, HandOffReader, HandOffWriter
from pipeline.runner import MAX_LIVES, Runner, Source, Stages, set_aside, unchanged, without_content
from pipeline.telemetry import Telemetry
from processors.redact import Redact
from processors.sample import Sample
from store.judgements import Judgements
from tests.support.judges import ScriptedJudge
from tests.support.records import an_exchange, answer
from tests.support.sidecar import eventually
from wire import exchanges_of

CANARY = "canary@private.example"
PASSED = LedgerEntry("judge", "pass")


def a_frame(number: int, prompt: str = "Hello?", status: bytes = b"200 OK") -> bytes:
    """The frame of one OpenAI chat completion; `number` is in its id."""
    request = b'{"model":"gpt-4o","messages":[{"role":"user","content":"%s"}]}' % prompt.encode()
    response = (
        b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"You said %s"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}' % prompt.encode()
    )
    head = b"Content-Type: application/json\r\n\r\n"
    return frame.encode(
        Frame(
            started_at=1_700_000_000_000_000_000,
            began=10**9,
            sent_at=10**9 + 1,
            first_byte_at=10**9 + 2,
            ended_at=10**9 + 3,
            trace_id=b"%032x" % (number + 1),
            server_span_id=b"%016x" % (number + 1),
            client_span_id=b"%016x" % number,
            parent_span_id=b"",
            flags=1,
            tracestate=b"",
            place=Place("openai", "/", "http", "api.openai.com", 443, None),
            client_address="127.0.0.1",
            client_port=50_000,
            request_head=b"POST /v1/chat/completions HTTP/1.1\r\n" + head,
            response_head=b"HTTP/1.1 " + status + b"\r\n" + head,
            request_body=[request],
            response_body=[response],
            request_size=len(request),
            response_size=len(response),
            request_cut=False,
            response_cut=False,
            marks=[0, 10**9 + 2],
            error_type=None,
        )
    )


def number_of(exchange: Exchange) -> int:
    return int(exchange.id[-16:], 16)


class FakeSource:
    """A hand-off: frames put here are there to be read, and its bell rings."""

    def __init__(self) -> None:
        self.bell, self._ring = os.pipe()
        os.set_blocking(self.bell, False)
        self.frames: list[bytes] = []

    def put(self, *frames: bytes) -> None:
        self.frames += frames
        os.write(self._ring, b"\0")

    @property
    def held(self) -> int:
        return sum(map(len, self.frames))

    def hear_bell(self) -> None:
        os.read(self.bell, 4096)

    def read(self, limit: int) -> list[bytes]:
        taken, self.frames = self.frames[:limit], self.frames[limit:]
        return taken

    def done(self) -> None:
        """What was read will not be asked for again."""

    def close(self) -> None:
        os.close(self.bell)
        os.close(self._ring)


class FakeJournal:
    """Remembers what it is told; `broken` makes it a full disk, `gate` makes it slow."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.added: dict[str, bytes | None] = {}
        self.finished: list[EvaluatedExchange] = []
        self.left: list[tuple[str, int, Exchange | None]] = []
        self.abandoned: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def add(self, exchanges: Sequence[tuple[Exchange, bytes | None]]) -> None:
        self.log.append("add")
        await self.gate.wait()
        self._fail("add")
        self.added.update((exchange.id, body) for exchange, body in exchanges)

    async def finish(self, evaluated: Sequence[EvaluatedExchange]) -> None:
        self.log.append("finish")
        self._fail("finish")
        self.finished += evaluated

    async def pending(self, after: str, limit: int) -> list[tuple[str, int, Exchange | None]]:
        self._fail("pending")
        return [row for row in self.left if row[0] > after][:limit]

    async def owed(self, evaluator: str, after: int, limit: int) -> list[Debt]:
        return []

    async def debtors(self) -> dict[str, int]:
        return {}

    async def abandon(self, identity: str, evaluators: Sequence[str], reason: str) -> None:
        self.abandoned.append((identity, reason))

    def _fail(self, operation: str) -> None:
        if operation in self.broken:
            raise sqlite3.OperationalError("database or disk is full")


class FakePool:
    """Evaluates at once, or when released."""

    evaluators = ("judge", "other")

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.submitted: list[Exchange] = []
        self.on_done: Callable[[Exchange, tuple[LedgerEntry, ...]], None]

    def submit(self, exchange: Exchange) -> None:
        self.log.append("submit")
        self.submitted.append(exchange)
        self.on_done(exchange, (PASSED,))

    async def drained(self) -> None:
        self.log.append("drained")


def undescribed(capture: Capture, exchange: Exchange) -> Exchange:
    """The stage that adds nothing."""
    return exchange


class Scene:
    """A runner among fakes."""

    def __init__(self, sources: Sequence[Source] = (), **stages: Any) -> None:
        self.log: list[str] = []
        self.source, self.journal, self.pool = FakeSource(), FakeJournal(self.log), FakePool(self.log)
        self.telemetry = Telemetry()
        self.delivered: list[EvaluatedExchange] = []
        self.measured: list[EvaluatedExchange] = []
        usual = {
            "decode": self._decode,
            "describe": self._describe,
            "redact": self._redact,
            "sample": Sample().decide,
            "stored": unchanged,
        }
        self.stages = Stages(**usual | stages)
        self.runner = Runner(
            [self.source, *sources],
            self.stages,
            self.journal,
            self.telemetry,
            deliver=self.delivered.append,
            measure=self.measured.append,
        )
        self.pool.on_done = self.runner.on_done
        self.runner.pool = self.pool  # type: ignore[assignment]

    def _decode(self, capture: Capture) -> tuple[Exchange, ...]:
        self.log.append("decode")
        return exchanges_of(capture)

    def _describe(self, capture: Capture, exchange: Exchange) -> Exchange:
        self.log.append("describe")
        return undescribed(capture, exchange)

    def _redact(self, exchange: Exchange) -> Exchange:
        self.log.append("redact")
        return Redact().redact(exchange)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Scene]:
        try:
            async with self.runner:
                yield self
        finally:
            self.source.close()

    async def done(self, count: int) -> None:
        await eventually(lambda: self.telemetry.exchange_done.total() >= count)


async def test_a_capture_goes_its_way_in_order() -> None:
    async with Scene().run() as scene:
        scene.source.put(a_frame(1))
        await scene.done(1)
    assert scene.log[:6] == ["decode", "describe", "redact", "add", "submit", "finish"]
    (finished,) = scene.journal.finished
    assert (number_of(finished.exchange), finished.entries, finished.kept) == (1, (PASSED,), "ratio")
    assert scene.delivered == scene.measured == [finished]
    assert scene.runner.pending == 0


async def test_what_waits_before_the_start_is_taken_too() -> None:
    scene = Scene()
    scene.source.put(*map(a_frame, range(200)))
    async with scene.run():
        await scene.done(200)
    assert sorted(number_of(each.exchange) for each in scene.journal.finished) == list(range(200))


async def test_leaving_takes_what_the_hand_off_still_holds() -> None:
    async with Scene().run() as scene:
        scene.source.frames += map(a_frame, range(100))  # no bell was heard
    assert len(scene.journal.finished) == 100


async def test_leaving_in_the_middle_of_a_write_loses_nothing() -> None:
    scene = Scene()
    async with scene.run():
        scene.journal.gate.clear()
        scene.source.put(*map(a_frame, range(70)))
        await eventually(lambda: "add" in scene.log)
        asyncio.get_running_loop().call_later(0.05, scene.journal.gate.set)
    assert len(scene.journal.finished) == 70
    assert len(scene.journal.added) == 70
    assert scene.runner.pending == 0


class SlowJournal(FakeJournal):
    """Its `gate` holds up the end of an exchange too."""

    async def finish(self, evaluated: Sequence[EvaluatedExchange]) -> None:
        self.log.append("finish")
        await self.gate.wait()
        self.finished += evaluated


async def test_what_is_being_written_when_the_runner_ends_counts_as_done() -> None:
    scene = Scene()
    scene.runner._journal = scene.journal = SlowJournal(scene.log)
    async with scene.run():
        scene.source.put(a_frame(1))
        await eventually(lambda: "submit" in scene.log)
        scene.journal.gate.clear()
        await eventually(lambda: "finish" in scene.log)
    scene.journal.gate.set()
    await eventually(lambda: len(scene.journal.finished) == 1)
    assert (scene.runner.pending, scene.telemetry.exchange_done.total()) == (0, 1)


async def test_a_capture_stays_in_the_hand_off_until_it_is_in_the_journal() -> None:
    fds = HandOffFds.create(2**20, 2**20)
    writer, reader = HandOffWriter(fds), HandOffReader(fds)
    writer.offer(a_frame(1))
    scene = Scene(sources=[reader])
    scene.journal.gate.clear()
    async with scene.run():
        await eventually(lambda: "add" in scene.log)
        held = reader.held  # what a kill would leave to the next life
        scene.journal.gate.set()
        await scene.done(1)
    assert reader.held == 0
    fds.close()
    assert held > 0


async def test_bytes_that_nobody_can_read_are_counted_and_the_rest_goes_on() -> None:
    async with Scene().run() as scene:
        scene.source.put(b"nonsense", a_frame(1), b"", a_frame(2)[:-5])
        await scene.done(1)
    assert scene.telemetry.decode_errors.total(kind="unreadable_capture") == 3
    assert scene.telemetry.exchange_accepted.total() == 1
    assert [number_of(each.exchange) for each in scene.journal.finished] == [1]


@pytest.mark.parametrize("stage", ["decode", "redact"])
async def test_a_stage_that_fails_costs_one_capture_and_quotes_nothing(
    stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Any) -> Exchange:
        raise KeyError(CANARY)

    async with Scene(**{stage: fails}).run() as scene:
        scene.source.put(a_frame(1))
        await eventually(lambda: scene.telemetry.decode_errors.total(kind="unreadable_capture") == 1)
    assert scene.journal.added == {}
    assert "KeyError" in caplog.text
    assert CANARY not in caplog.text


async def test_a_journal_that_cannot_add_costs_durability_and_not_results(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.journal.broken = {"add"}
    async with scene.run():
        scene.source.put(a_frame(1), a_frame(2))
        await scene.done(2)
    assert len(scene.delivered) == 2
    assert scene.telemetry.journal_failed.total(operation="add") == 2
    assert "disk is full" in caplog.text


async def test_a_journal_that_cannot_finish_costs_durability_and_not_results() -> None:
    scene = Scene()
    scene.journal.broken = {"finish"}
    async with scene.run():
        scene.source.put(a_frame(1), a_frame(2))
        await scene.done(2)
    assert len(scene.delivered) == 2
    assert scene.telemetry.journal_failed.total(operation="finish") == 2
    assert scene.runner.pending == 0


async def test_debts_of_judges_that_could_not_be_written_are_errors_and_owed_no_more() -> None:
    scene = Scene()
    scene.journal.broken = {"finish"}
    judgings = {"slow": Judging("slow", ScriptedJudge(), Judgements("never opened"), scene.telemetry)}
    async with scene.runner.judges:
        await scene.runner.judges.seat(judgings)
        async with scene.run():
            scene.source.put(a_frame(1))
            await scene.done(1)
    assert scene.runner.judges.pending == {"slow": 0}
    first, late = scene.measured
    assert (first.owed, first.entries) == ((Owed("slow", 1.0),), (PASSED,))
    assert late.late
    assert [(entry.evaluator, entry.outcome, entry.reason) for entry in late.entries] == [
        ("slow", "error", "journal_failed")
    ]
    assert scene.delivered == [first]


async def test_trouble_with_every_exchange_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.journal.broken = {"add", "finish"}
    async with scene.run():
        for number in range(10):
            scene.source.put(a_frame(number))
            await scene.done(number + 1)
    assert len(caplog.records) == 1


async def test_what_a_former_life_left_pending_is_evaluated() -> None:
    scene = Scene()
    scene.journal.left = [(f"{n:032x}", 0, an_exchange(id=f"{n:032x}")) for n in range(600)]
    async with scene.run():
        await scene.done(600)
    assert {each.exchange.id for each in scene.journal.finished} == {identity for identity, _, _ in scene.journal.left}
    assert "decode" not in scene.log


async def test_what_was_journaled_and_still_is_in_the_hand_off_is_evaluated_once() -> None:
    capture = frame.decode(a_frame(1))
    scene = Scene()
    scene.journal.left = [(capture.id, 0, exchanges_of(capture)[0])]
    scene.source.frames = [a_frame(1), a_frame(2)]
    async with scene.run():
        await scene.done(2)
    assert sorted(number_of(each) for each in scene.pool.submitted) == [1, 2]


async def test_an_exchange_under_which_sidelight_died_too_often_is_set_aside() -> None:
    scene = Scene()
    scene.journal.left = [
        ("a" * 32, MAX_LIVES, an_exchange(id="a" * 32)),
        ("b" * 32, MAX_LIVES - 1, an_exchange(id="b" * 32)),
    ]
    async with scene.run():
        await scene.done(2)
    assert [exchange.id for exchange in scene.pool.submitted] == ["b" * 32]
    outcomes = {each.exchange.id: each.entries for each in scene.journal.finished}
    assert [(entry.evaluator, entry.outcome, entry.reason) for entry in outcomes["a" * 32]] == [
        ("judge", "error", "pipeline_crashed"),
        ("other", "error", "pipeline_crashed"),
    ]


async def test_a_journal_that_cannot_say_what_is_pending_does_not_stop_new_captures() -> None:
    scene = Scene()
    scene.journal.broken = {"pending"}
    async with scene.run():
        scene.source.put(a_frame(1))
        await scene.done(1)
    assert len(scene.delivered) == 1


async def test_a_pending_exchange_whose_body_cannot_be_read_does_not_stop_the_others() -> None:
    scene = Scene()
    scene.journal.left = [("a" * 32, 0, None), ("b" * 32, 0, an_exchange(id="b" * 32))]
    async with scene.run():
        await scene.done(1)
    assert [exchange.id for exchange in scene.pool.submitted] == ["b" * 32]
    assert scene.journal.abandoned == [("a" * 32, "stored_body_unreadable")]


async def test_the_rows_of_an_exchange_that_could_not_be_added_are_written_when_it_is_finished() -> None:
    scene = Scene()
    scene.journal.broken = {"add"}
    scene.pool.on_done = lambda exchange, entries: None
    async with scene.run():
        scene.source.put(a_frame(1))
        await eventually(lambda: scene.pool.submitted)
        scene.journal.broken = set()
        scene.runner.on_done(scene.pool.submitted[0], (PASSED,))
        await scene.done(1)
    assert list(scene.journal.added) == [each.exchange.id for each in scene.journal.finished]


async def test_content_is_redacted_before_the_journal_and_before_the_workers() -> None:
    async with Scene().run() as scene:
        scene.source.put(a_frame(1, prompt=f"Write to {CANARY}"))
        await scene.done(1)
    (body,) = scene.journal.added.values()
    everywhere = [body, *map(msgspec.msgpack.encode, (scene.pool.submitted, scene.journal.finished, scene.delivered))]
    assert all(each and CANARY.encode() not in each for each in everywhere)
    assert scene.pool.submitted[0].findings


async def test_a_store_without_content_gets_the_shape_and_the_workers_get_the_text() -> None:
    async with Scene(stored=without_content).run() as scene:
        scene.source.put(a_frame(1, prompt="sunflower"))
        await scene.done(1)
    (body,) = scene.journal.added.values()
    assert body
    stored = msgspec.msgpack.decode(body, type=Exchange)
    assert b"sunflower" not in body
    assert (stored.content, stored.usage.input_tokens, len(stored.output_messages)) == ("off", 9, 1)
    assert b"sunflower" in msgspec.msgpack.encode(scene.pool.submitted)


async def test_a_sampled_out_exchange_is_measured_and_journaled_and_not_delivered() -> None:
    async with Scene(sample=Sample(ratio=0.0, always=()).decide).run() as scene:
        scene.source.put(a_frame(1))
        await scene.done(1)
    assert [each.kept for each in scene.journal.finished] == ["sampled_out"]
    assert len(scene.measured) == 1
    assert scene.delivered == []


async def test_other_stages_apply_from_the_next_capture_on() -> None:
    async with Scene().run() as scene:
        scene.source.put(a_frame(1))
        await scene.done(1)
        redact = Redact(content="off").redact
        scene.runner.stages = Stages(exchanges_of, undescribed, redact, Sample().decide, unchanged)
        scene.source.put(a_frame(2))
        await scene.done(2)
    assert [exchange.content for exchange in scene.pool.submitted] == ["redacted", "off"]


def test_setting_aside_gives_every_evaluator_its_outcome() -> None:
    assert [(entry.evaluator, entry.outcome) for entry in set_aside(("a", "b"))] == [("a", "error"), ("b", "error")]


def test_without_content_no_text_is_left() -> None:
    exchange = an_exchange(
        input_messages=(answer(CANARY),),
        output_messages=(answer(CANARY),),
        tool_definitions=({"name": CANARY},),
        output_schema={CANARY: 1},
        error_message=CANARY,
    )
    assert CANARY.encode() not in msgspec.json.encode(without_content(exchange))


async def test_every_exchange_of_one_capture_goes_its_way_and_none_of_another() -> None:
    def several(capture: Capture) -> tuple[Exchange, ...]:
        (exchange,) = exchanges_of(capture)
        turns = range(0 if "?nothing" in capture.target else 3)
        return tuple(msgspec.structs.replace(exchange, id=f"{exchange.id[:-1]}{turn}", turn=turn) for turn in turns)

    async with Scene(decode=several).run() as scene:
        scene.source.put(a_frame(1).replace(b"/v1/chat/completions ", b"/v1/chat/comp?nothing "))
        scene.source.put(a_frame(2))
        await scene.done(3)
    assert [each.exchange.turn for each in scene.journal.finished] == [0, 1, 2]
    assert scene.telemetry.exchange_accepted.total() == 3
