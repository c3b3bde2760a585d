"""A fast upstream on loopback: a fixed JSON answer, or a stream of chunks when the request asks for one.

`python -m bench.upstream --port N [--cert FILE --key FILE]`. The header x-bench-stream (chunks/gap in ms) asks for
a stream; gap 0 is one chunk each turn of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl

import uvloop

from bench.http1 import Server
from bench.payloads import STREAM_HEAD, STREAM_HEADER, answer, last_chunks, word_chunk

WANTED = re.compile(STREAM_HEADER.encode() + rb": *(\d+)/(\d+)")
ANSWER = answer()


class Upstream(Server):
    """Answers at once; streams keep their schedule from the first chunk on."""

    def answer(self, request: bytes) -> None:
        if wanted := WANTED.search(request):
            self.transport.write(STREAM_HEAD)
            self.stream(0, int(wanted[1]), int(wanted[2]) / 1000, asyncio.get_running_loop().time())
        else:
            self.transport.write(ANSWER)

    def stream(self, index: int, chunks: int, gap: float, started: float) -> None:
        if self.transport.is_closing():
            return
        if index == chunks:
            self.transport.write(last_chunks())
            return
        self.transport.write(word_chunk(index))
        due = started + (index + 1) * gap
        asyncio.get_running_loop().call_at(due, self.stream, index + 1, chunks, gap, started)


async def serve(port: int, tls: ssl.SSLContext | None) -> None:
    """Listens on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, ssl=tls, backlog=2048)
    await server.serve_forever()


def server_tls(cert: str, key: str) -> ssl.SSLContext:
    """A server context with this certificate (PEM files)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", help="PEM; with --key: serve https")
    parser.add_argument("--key")
    options = parser.parse_args()
    uvloop.run(serve(options.port, server_tls(options.cert, options.key) if options.cert else None))


if __name__ == "__main__":
    main()
