"""An OTLP/HTTP destination that takes everything and only counts: `python -m bench.sink --port N`.

GET /count answers what came so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter

import uvloop

from bench.http1 import Server

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
COUNTS = Counter[str]()


class Sink(Server):
    """Counts posts and bytes by path."""

    def answer(self, request: bytes) -> None:
        method, path, _ = request.split(b" ", 2)
        if method == b"GET":
            body = json.dumps(COUNTS).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        COUNTS[f"{path.decode()} posts"] += 1
        COUNTS[f"{path.decode()} bytes"] += len(request)
        self.transport.write(TAKEN)


async def serve(port: int) -> None:
    """Listens on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sink", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
