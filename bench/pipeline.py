"""What one exchange costs behind the proxy, stage by stage: `python -m bench.pipeline`.

The stages of pipeline.runner, called as it calls them, in batches as large as its own: CPU of all threads, for an
ordinary chat completion and for one streamed in 64 chunks. Both are evaluated by all evaluators, journalled in a
SQLite file and encoded for OTLP. Left out: the sockets between processes and to the collector.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop

from bench import formats
from bench.machine import PROXY_CPU, described
from bench.measure import percentile
from bench.payloads import PATH, STREAM_HEAD, answer, last_chunks, request, word_chunk
from bench.report import markdown, number
from config.load import settings_from
from exporters.measure import Measure
from exporters.otlp_encoding import LOG_SCOPES, SPAN_SCOPES, encode, resource_field
from exporters.otlp_encoding import request as otlp_request
from exporters.otlp_span import Telling
from pipeline import frame
from pipeline.contracts import Processor
from pipeline.evaluate import Heartbeat, Task, evaluate
from pipeline.frame import Frame, Place
from pipeline.records import EvaluatedExchange, Exchange, LedgerEntry
from pipeline.telemetry import Telemetry
from processors import PROCESSORS
from processors.redact import Redact
from processors.sample import Sample
from sidelight.components import build_components
from sidelight.description import Description
from store.journal import Journal
from wire import decode

BATCH = 64  # as the runner reads
CHUNKS = 64  # of a streamed answer
GAP = 20_000_000  # ns between them
SETTINGS = {"proxy": {"upstreams": {"openai": {"url": "https://api.openai.com"}}}}
TAKEN_ON, FINISHED = "journal: pending", "journal: done"
EVALUATORS: Mapping[str, Processor] = {name: kind() for name, kind in PROCESSORS.items()}


def a_frame(number: int, response_head: bytes, response_body: list[bytes], marks: list[int]) -> bytes:
    """What the proxy hands over for exchange `number`."""
    head, _, body = request("127.0.0.1:8000").partition(b"\r\n\r\n")
    began, now = time.monotonic_ns(), time.time_ns()
    whole = Frame(
        started_at=now,
        began=began,
        sent_at=began + 100_000,
        first_byte_at=began + GAP,
        ended_at=began + GAP * (CHUNKS + 1),
        trace_id=os.urandom(16).hex().encode(),
        server_span_id=b"%016x" % (2 * number + 1),
        client_span_id=b"%016x" % (2 * number + 2),
        parent_span_id=b"",
        flags=1,
        tracestate=b"",
        place=Place("openai", "/", "http", "api.openai.com", 443, None),
        client_address="127.0.0.1",
        client_port=50_000,
        request_head=head.replace(b"\r\nAuthorization: Bearer sk-bench-0000000000000000", b""),
        response_head=response_head,
        request_body=[body],
        response_body=response_body,
        request_size=len(body),
        response_size=sum(map(len, response_body)),
        request_cut=False,
        response_cut=False,
        marks=[moment if index % 2 == 0 else began + moment for index, moment in enumerate(marks)],
        error_type=None,
    )
    return frame.encode(whole)


def a_whole_answer(number: int) -> bytes:
    head, _, body = answer().partition(b"\r\n\r\n")
    return a_frame(number, head, [body], [0, GAP])


def a_streamed_answer(number: int) -> bytes:
    chunks = [*(word_chunk(index) for index in range(CHUNKS)), last_chunks()]
    marks, offset = list[int](), 0
    for index, chunk in enumerate(chunks):
        marks += [offset, GAP * (index + 1)]
        offset += len(chunk)
    return a_frame(number, STREAM_HEAD.removesuffix(b"\r\n\r\n"), chunks, marks)


class Stopwatch:
    """CPU of this process, all threads, by stage; each lap in us an exchange."""

    def __init__(self) -> None:
        self.laps: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.process_time_ns()
        yield
        self.laps[stage].append((time.process_time_ns() - began) / 1000 / BATCH)

    def medians(self) -> dict[str, float]:
        return {stage: percentile(laps, 0.5) or 0.0 for stage, laps in self.laps.items()}


class Line:
    """The pipeline without its processes: a batch goes through all stages, one after the other."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.describe = Description(build_components(settings_from(SETTINGS)), b"salt")
        self.redact = Redact().redact
        self.sample = Sample().decide
        self.measure = Measure(Telemetry()).record
        self.heartbeat = Heartbeat(memoryview(bytearray(Heartbeat.SIZE)).cast("Q"))
        self.tasks = msgspec.msgpack.Decoder(list[Task])
        self.replies = msgspec.msgpack.Decoder(list[list[LedgerEntry]])
        self.resource = resource_field({"service.name": "bench"})

    async def take(self, records: Sequence[bytes], watch: Stopwatch) -> None:
        """One batch, from the hand-off's bytes to the exporter's."""
        with watch("decode"):
            captures = [frame.decode(record) for record in records]
            exchanges = [decode(capture) for capture in captures]
        with watch("describe"):
            exchanges = list(map(self.describe, captures, exchanges))
        with watch("redact"):
            exchanges = [self.redact(exchange) for exchange in exchanges]
        with watch(TAKEN_ON):
            await self.journal.add([(exchange, msgspec.msgpack.encode(exchange)) for exchange in exchanges])
        evaluated = self.judged(exchanges, watch)
        with watch("sample and measure"):
            evaluated = [self.sample(each) for each in evaluated]
            for each in evaluated:
                self.measure(each)
        with watch(FINISHED):
            await self.journal.finish(evaluated)
        with watch("encode for OTLP"):
            self.encoded(evaluated)

    def judged(self, exchanges: Sequence[Exchange], watch: Stopwatch) -> list[EvaluatedExchange]:
        """The evaluators' work, and what it costs to reach them in their process and come back."""
        with watch("to the evaluators"):
            tasks = self.tasks.decode(msgspec.msgpack.encode([Task(exchange) for exchange in exchanges]))
        with watch("evaluate"):
            entries = evaluate(EVALUATORS, tasks, self.heartbeat)
        with watch("and back"):
            entries = self.replies.decode(msgspec.msgpack.encode(entries))
        return [EvaluatedExchange(*pair) for pair in zip(exchanges, map(tuple, entries), strict=True)]

    def encoded(self, evaluated: Sequence[EvaluatedExchange]) -> int:
        """Bytes of the two requests that tell of the batch."""
        spans, logs = zip(*(encode(each, Telling()) for each in evaluated), strict=True)
        return len(otlp_request(self.resource, SPAN_SCOPES, spans)) + len(otlp_request(self.resource, LOG_SCOPES, logs))


Kinds: Mapping[str, Callable[[int], bytes]] = {"whole": a_whole_answer, "streamed": a_streamed_answer}


async def measured(seconds: float, path: Path) -> dict[str, dict[str, float]]:
    """CPU us an exchange by kind and stage; the kinds by turns, so that a drifting machine drifts for both."""
    watches = {kind: Stopwatch() for kind in Kinds}
    async with Journal(str(path)) as journal:
        line = Line(journal)
        number, ends = 0, time.monotonic() + seconds
        while time.monotonic() < ends:
            for kind, make in Kinds.items():
                records = [make(number + index) for index in range(BATCH)]
                await line.take(records, watches[kind])
                number += BATCH
    return {kind: watch.medians() for kind, watch in watches.items()}


def table(costs: Mapping[str, Mapping[str, float]]) -> str:
    stages = list(next(iter(costs.values())))
    lines = [[stage, *(number(costs[kind][stage]) for kind in costs)] for stage in stages]
    sums = {kind: sum(stages.values()) for kind, stages in costs.items()}
    lines.append(["all", *(number(total) for total in sums.values())])
    lines.append(["exchanges/s on one core", *(number(round(1e6 / total)) for total in sums.values())])
    return markdown([f"CPU us each {PATH}", *costs], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {PROXY_CPU})
    with tempfile.TemporaryDirectory(prefix="sidelight-bench-") as directory:
        costs = uvloop.run(measured(asked.seconds, Path(directory) / "bench.db"))
    print(table(costs))
    decoding = formats.measured()
    print()
    print(formats.table(decoding))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": described(), "cpu_us": costs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
