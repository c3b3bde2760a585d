"""Proof that an answer passed unchanged: a digest of what came from the upstream, one of what left for the client.

The first is taken where the bytes are read, the second where they are handed to the client's socket; everything the
proxy does to an answer lies between. They are compared once, when the answer is whole and has been written.
"""

from __future__ import annotations

from xxhash import xxh3_64


class Witness:
    """Both digests of one answer, its head as the client gets it included."""

    __slots__ = ("_came", "_left", "came", "left", "lost")

    def __init__(self) -> None:
        self._came = xxh3_64()
        self._left = xxh3_64()
        self.came = self._came.update  # bytes that the client is to get
        self.left = self._left.update  # bytes that it was sent
        self.lost = False  # the client went before they could be sent

    @property
    def agrees(self) -> bool:
        """Is what left what came?"""
        return self._came.digest() == self._left.digest()
