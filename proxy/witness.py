"""Proof that an answer passed unchanged: a digest of what came from the upstream, one of what left for the client.

The first is taken where the bytes are read, the second where they are handed to the client's socket; everything the
proxy does to an answer lies between. They are compared once, when the answer is whole and has been written. An answer
that comes in one piece needs no witness: the digest of that piece goes with it (`Outbox.write_whole`).
"""

from __future__ import annotations

from xxhash import xxh3_64


class Witness:
    """Both digests of one answer in several pieces, its head as the client gets it included."""

    __slots__ = ("came", "came_digest", "left", "left_digest", "lost")

    def __init__(self) -> None:
        came, left = xxh3_64(), xxh3_64()
        self.came, self.came_digest = came.update, came.digest  # bytes that the client is to get
        self.left, self.left_digest = left.update, left.digest  # bytes that it was sent
        self.lost = False  # the client went before they could be sent
