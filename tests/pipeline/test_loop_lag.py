from __future__ import annotations

import asyncio
import time

from pipeline.loop_lag import LoopLag


async def test_what_holds_the_loop_up_is_seen() -> None:
    lag = LoopLag()
    lag.start()
    looked = asyncio.get_running_loop().create_future()

    def hold_up() -> None:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        asyncio.get_running_loop().call_later(0.2, looked.set_result, None)

    asyncio.get_running_loop().call_soon(hold_up)
    await looked
    assert lag.worst >= 0.15  # it should have looked after 0.1 s and could after 0.3 s


def test_before_it_starts_nothing_was_late() -> None:
    assert LoopLag().worst == 0
