"""Which session an answer belongs to: a bounded memory of keys, by the times of the exchanges and no clock."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from processors.history import History

SECOND: Final = 1_000_000_000


class Session:
    """A conversation that goes on."""

    __slots__ = ("id", "seen_at")

    def __init__(self, identity: str, seen_at: int) -> None:
        self.id = identity
        self.seen_at = seen_at  # ns since the epoch: its last answer ended


class Sessions:
    """Keys of answers → their sessions. The keys least recently used go first; a session is over after `window`."""

    def __init__(self, window: float, limit: int) -> None:
        """Window in seconds between an answer and the request that follows; limit in keys."""
        self._window = int(window * SECOND)
        self._limit = limit
        self._by_key: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: bytes, at: int) -> Session | None:
        """The session that goes on with a request at this time, if it is not over."""
        session = self._by_key.get(key)
        return session if session is not None and at - session.seen_at <= self._window else None

    def continued(self, history: History, identity: str, started_at: int, ended_at: int) -> Session:
        """The session of this conversation: found by the longest part of it that is known, else a new one of that id.

        The same request again belongs to it only where it brought no answer before, as when a client tries again.
        """
        keys = (history.asked, *reversed(history.turns))
        found = (session for key in keys if (session := self.find(key, started_at)))
        session = next(found, None) or Session(identity, ended_at)
        for key in (*history.turns[-1:], *history.answers):
            self.remember(key, session, ended_at)
        if history.asked not in history.answers and history.asked not in history.turns:
            self._by_key.pop(history.asked, None)
        return session

    def remember(self, key: bytes, session: Session, at: int) -> None:
        """From now on this key is the session's, whose last answer ended at this time."""
        session.seen_at = max(session.seen_at, at)
        self._by_key[key] = session
        self._by_key.move_to_end(key)
        self._forget(at)

    def _forget(self, at: int) -> None:
        """What is over, and what is too much."""
        while self._by_key:
            oldest = next(iter(self._by_key))
            if len(self._by_key) <= self._limit and self.find(oldest, at) is not None:
                return
            del self._by_key[oldest]
