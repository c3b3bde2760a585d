"""How evaluator processes are started; the same for live traffic and for files."""

from __future__ import annotations

import asyncio

from config.settings import Settings
from pipeline.workers import Spawn
from sidelight.components import evaluators_among
from sidelight.process import start_child


def spawner(settings: Settings, *, in_the_gaps: bool = True) -> Spawn:
    """An evaluator process builds the evaluators itself, from their options; `in_the_gaps` it lets others go first."""
    processors = evaluators_among(settings.processors)
    max_memory = settings.evaluation.max_memory

    async def spawn(channel: int, heartbeat: int) -> asyncio.subprocess.Process:
        setup = {
            "in_the_gaps": in_the_gaps,
            "processors": processors,
            "max_memory": max_memory,
            "channel": channel,
            "heartbeat": heartbeat,
        }
        return await start_child("evaluator", setup, (channel, heartbeat), stop_with_stdin=False)

    return spawn
