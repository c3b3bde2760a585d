"""What the proxy's own Python costs, without sockets: `python -m bench.hot_path`; us, the least of several rounds.

The same objects as in a proxy process, between two transports that drop what they are given. The kernel and the event
loop come on top: `python -m bench` measures the whole.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns, perf_counter_ns

import uvloop

from bench import payloads
from bench.report import markdown, number
from config.settings import Proxy
from pipeline.ring import PAGE, RingReader, RingWriter, shared_memory
from proxy.client import ClientConnection
from proxy.server import ProxyServer
from proxy.upstream import UpstreamConnection

AUTHORITY = "127.0.0.1:4000"
ROUNDS, EACH = 30, 300
CHUNKS = 64  # of one stream
MORE_FIELDS = b"".join(b"x-field-%d: some value of ordinary length\r\n" % number for number in range(22))


class Nowhere(asyncio.Transport):
    """A transport with nobody behind it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 5000) if name == "peername" else default


class Bench:
    """One client's connection and one upstream's, and a ring that is emptied now and then."""

    def __init__(self) -> None:
        fd = shared_memory(PAGE + 4 * 2**20)
        ring = RingWriter(fd)
        self.reader = RingReader(fd)
        self.server = ProxyServer(Proxy(upstreams={"llm": {"url": "http://127.0.0.1:9"}}), ring.offer)
        self.client = ClientConnection(self.server)
        self.client.connection_made(Nowhere())
        pool = self.server.pools["llm"]
        self.upstream = UpstreamConnection(pool)
        self.upstream.connection_made(Nowhere())
        pool.put(self.upstream, None, monotonic_ns())

    def exchange(self, request: bytes, answer: list[bytes]) -> None:
        flush = self.server.outbox.flush
        self.client.data_received(request)
        flush()
        for piece in answer:
            self.upstream.data_received(piece)
            flush()

    async def drain(self) -> None:
        for _ in self.reader.read(1 << 30):
            pass
        self.reader.done()
        await asyncio.sleep(0)  # the calls that were put off

    async def least(self, request: bytes, answer: list[bytes], each: int = EACH) -> float:
        """us for one exchange."""
        best = float("inf")
        for _ in range(ROUNDS):
            began = perf_counter_ns()
            for _ in range(each):
                self.exchange(request, answer)
            best = min(best, (perf_counter_ns() - began) / each / 1000)
            await self.drain()
        return best


def stream(chunks: int) -> list[bytes]:
    return [payloads.STREAM_HEAD, *(payloads.word_chunk(index) for index in range(chunks)), payloads.last_chunks()]


def with_more_fields(answer: bytes) -> bytes:
    """As many as a provider behind a content network sends."""
    return answer.replace(b"Content-Length:", MORE_FIELDS + b"Content-Length:", 1)


async def main() -> None:
    bench = Bench()
    asking, asking_stream = payloads.request(AUTHORITY), payloads.request(AUTHORITY, stream="64/20")
    traced = asking.replace(b"Accept:", b"traceparent: 00-%032x-%016x-01\r\nAccept:" % (7, 7))
    whole = [payloads.answer()]
    one, many = [await bench.least(asking_stream, stream(chunks), EACH // 10) for chunks in (0, CHUNKS)]
    costs = {
        "whole answer": await bench.least(asking, whole),
        "whole answer, 25 fields in its head": await bench.least(asking, [with_more_fields(whole[0])]),
        "whole answer, the caller's traceparent": await bench.least(traced, whole),
        "streamed answer without its chunks": one,
        "each chunk": (many - one) / CHUNKS,
    }
    print(markdown(["the proxy's own work", "us"], [[name, number(cost)] for name, cost in costs.items()]))


if __name__ == "__main__":
    uvloop.run(main())
