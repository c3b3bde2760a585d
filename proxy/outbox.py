"""What is to be written, gathered over one turn of the loop and sent at its end.

A write to a peer on this host wakes the peer. Written one by one, between the work on one event and the next, each
write finds its peer asleep again: a fifth of this process's time under load went into waking. At the end of the turn
one wake-up serves them all
(docs/decisions/0004-writes-leave-at-the-end-of-the-turn.md). Nothing waits longer than the turn
takes, and a turn with one event sends at once after it.
"""

from __future__ import annotations

import asyncio

from xxhash import xxh3_64_intdigest

from proxy.witness import Witness


class Outbox:
    """Keeps order; a close that is asked for here comes after the writes that were asked for before it."""

    __slots__ = ("_loop", "_pending", "_whole", "compared", "mismatched")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # The third: the witness of an answer in pieces, the digest of one that is whole, None of what is no answer.
        self._pending: list[tuple[asyncio.Transport, bytes | None, Witness | int | None]] = []
        self._whole: list[Witness] = []  # of answers whose last bytes may still be pending
        self.compared = 0  # whole answers
        self.mismatched = 0  # of which left otherwise than they came

    def write(self, transport: asyncio.Transport, data: bytes | None, witness: Witness | None = None) -> None:
        """Send `data` at the end of this turn, before this witness; None closes."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append((transport, data, witness))

    def write_whole(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Send a whole answer at the end of this turn; what leaves then is compared with what it is now."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append((transport, answer, xxh3_64_intdigest(answer)))

    def close(self, transport: asyncio.Transport) -> None:
        """Close once everything asked for before has been handed to the socket."""
        self.write(transport, None)

    def conclude(self, witness: Witness) -> None:
        """An answer is whole: once all of it is sent, what left is compared with what came."""
        self._whole.append(witness)
        if not self._pending:
            self.flush()

    def flush(self) -> None:
        """Send now; for what must come after it."""
        pending, self._pending = self._pending, []
        for transport, data, witness in pending:
            if data is None:
                transport.close()
            elif not transport.is_closing():
                transport.write(data)
                if witness is None:
                    pass
                elif witness.__class__ is int:
                    self.compared += 1
                    self.mismatched += xxh3_64_intdigest(data) != witness
                else:
                    witness.left(data)  # type: ignore[union-attr]
            elif isinstance(witness, Witness):
                witness.lost = True
        if self._whole:
            whole, self._whole = self._whole, []
            for witness in whole:
                if not witness.lost:
                    self.compared += 1
                    self.mismatched += witness.came_digest() != witness.left_digest()
