"""The demo's traffic without end, for a deployment to look at: a few clients that rest after each call.

`python -m sidelight.demo.endless http://127.0.0.1:4000` sends until SIGTERM or SIGINT. What goes wrong in a call is for
Sidelight to tell.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

from sidelight.demo import terminable
from sidelight.demo.traffic import CallResult, plan, send_each


async def keep_sending(base_url: str, clients: int, rest: float) -> None:
    """Send until the task is cancelled; each client rests `rest` seconds after each of its calls."""

    async def pause(_: CallResult) -> None:
        await asyncio.sleep(rest)

    await send_each(base_url, plan(), clients, pause)


async def until_told(base_url: str, clients: int, rest: float) -> None:
    with terminable(), suppress(asyncio.CancelledError):
        await keep_sending(base_url, clients, rest)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sidelight.demo.endless", description="The demo's traffic, endless."
    )
    parser.add_argument("url", help="where Sidelight listens, like http://127.0.0.1:4000")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rest", type=float, default=1.0, help="seconds between two calls of a client")
    options = parser.parse_args()
    asyncio.run(until_told(options.url, options.clients, options.rest))


if __name__ == "__main__":
    main()
