"""What is remembered of heads that were read, so that the next one of the same shape need not be read again.

A request's, by its client's connection: an SDK sends the same head again and again; only the digits of Content-Length
and the caller's trace change. An answer's, by its upstream: the names of its fields are the same again and again; most
values mean nothing to the proxy.

Rule 1: what is recalled is what reading would give. A head that differs in anything but these holes is read anew.
Rule 2: what fills a hole is checked as strictly as reading checks it.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.framing import NO_BODY, Chunked, Counted, Framing
from proxy.headers import FRAMING, HOP, KINDS
from proxy.heads import MAX_LENGTH_DIGITS, RequestHead, ResponseHead
from proxy.routing import Match
from proxy.trace_context import Trace, continued_trace, new_trace

LONGEST: Final = 4096  # bytes of a head worth remembering: every connection has its memory
PARENT: Final = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*"
COUNTDOWN: Final = re.compile(rb"max=\d+")  # of a Keep-Alive field: one less in each answer
MOST_SHAPES: Final = 8  # of the answers of one upstream
MOST_SEEN: Final = 64  # shapes that are not remembered yet
SEEN_OFTEN: Final = 4  # times before a shape is compiled, which takes much longer than reading

Recalled = tuple[RequestHead, Framing, Trace, bytes]  # the last: the head that the upstream gets


class Template:
    """Bytes with one or two holes."""

    __slots__ = ("after", "before", "between")

    def __init__(self, raw: bytes, holes: list[tuple[int, int]]) -> None:
        (start, end), (second, second_end) = sorted(holes)[0], sorted(holes)[-1]
        self.before, self.after = raw[:start], raw[second_end:]
        self.between = raw[end:second] if len(holes) > 1 else None

    def inside(self, raw: bytes) -> bytes | None:
        """From the first hole to the end of the last, where `raw` is the same around them."""
        if raw.startswith(self.before) and raw.endswith(self.after):
            return raw[len(self.before) : len(raw) - len(self.after)]
        return None

    def filled(self, first: bytes, second: bytes) -> bytes:
        """With these in the holes."""
        if self.between is None:
            return self.before + first + self.after
        return self.before + first + self.between + second + self.after


class Remembered:
    """A request's head with holes for its length and its caller's trace, and the upstream's head likewise."""

    __slots__ = ("_head", "_length_first", "_read", "_sent", "_sent_length_first", "_told", "_tracestate", "match")

    def __init__(self, head: RequestHead, match: Match, sent: bytes, trace: Trace) -> None:
        self.match = match
        self._head = head
        self._tracestate = trace.tracestate
        self._told = match.origin.settings.trace_context  # whose trace the upstream is told
        length = next(value for name, value in head.fields if name == head.length_name).rstrip(b" \t")
        name, parent = b"traceparent", b""
        if trace.parent_span_id:
            name, parent = next(field for field in head.trace_fields if field[0].lower() == name)
            parent = parent.strip(b" \t")
        told = {"participate": trace.traceparent(), "passthrough": parent, "none": b""}[self._told]
        in_head = [place_of(head.raw, head.length_name, length)]
        in_sent = [place_of(sent, head.length_name, length)]
        if parent:
            in_head.append(place_of(head.raw, name, parent))
        if told and b"\r\n" + name + b":" in sent:
            in_sent.append(place_of(sent, name, told))
        self._read, self._length_first = Template(head.raw, in_head), in_head[0] == min(in_head)
        self._sent, self._sent_length_first = Template(sent, in_sent), in_sent[0] == min(in_sent)

    def recall(self, raw: bytes) -> Recalled | None:
        """What reading `raw` would give; None when it is another head."""
        inside = self._read.inside(raw)
        if inside is None:
            return None
        between = self._read.between
        if between is None:
            digits, parent, trace = inside, b"", new_trace()
        else:
            if self._length_first:
                end = len(inside) - PARENT
                parent, digits = inside[end:], inside[: end - len(between)]
                same = inside.endswith(between, 0, end)
            else:
                parent, digits = inside[:PARENT], inside[PARENT + len(between) :]
                same = inside.startswith(between, PARENT)
            continued = continued_trace(parent, self._tracestate) if same else None
            if continued is None:
                return None
            trace = continued
        if not digits.isdigit() or len(digits) > MAX_LENGTH_DIGITS:
            return None
        told = trace.traceparent() if self._told == "participate" else parent
        sent = self._sent.filled(digits, told) if self._sent_length_first else self._sent.filled(told, digits)
        length = int(digits)
        return self._head, Counted(length) if length else NO_BODY, trace, sent


def place_of(raw: bytes, name: bytes, value: bytes) -> tuple[int, int]:
    """Where the value of the first field of this name stands."""
    start = raw.index(value, raw.index(b"\r\n" + name + b":") + len(name) + 3)
    return start, start + len(value)


def asks_to_upgrade(head: RequestHead) -> bool:
    """Whether it may depends on its length."""
    return head.upgrades or any(name.lower() == b"upgrade" for name in head.hop_names)


def remember(head: RequestHead, match: Match, sent: bytes, trace: Trace) -> Remembered | None:
    """What to remember of a head that was read; None for one that says something new each time."""
    if not head.length_name or len(head.raw) > LONGEST or asks_to_upgrade(head):
        return None
    if head.trace_fields and not tells_one_trace(head, trace):
        return None
    return Remembered(head, match, sent, trace)


def tells_one_trace(head: RequestHead, trace: Trace) -> bool:
    """Is there a traceparent, valid and of the version whose length is known?"""
    parents = [value.strip(b" \t") for name, value in head.trace_fields if name.lower() == b"traceparent"]
    return bool(trace.parent_span_id) and len(parents[0]) == PARENT


class HeadShape:
    """A response head with holes for every value that says nothing to the proxy, and for its length."""

    __slots__ = ("_head", "_match")

    def __init__(self, head: ResponseHead) -> None:
        self._head = head
        lines = [re.escape(head.raw[: head.raw.index(b"\r\n")])]
        for line in head.raw[:-4].split(b"\r\n")[1:]:
            name = line.partition(b":")[0]
            if name.lower() == b"content-length":
                lines.append(re.escape(name) + rb":[\t ]*(\d{1,%d})[\t ]*" % MAX_LENGTH_DIGITS)
            elif KINDS[name] & (FRAMING | HOP):
                lines.append(COUNTDOWN.sub(rb"max=\\d+", re.escape(line)))
            else:
                lines.append(re.escape(name + b":") + VALUE)
        self._match = re.compile(b"\r\n".join(lines) + b"\r\n\r\n").fullmatch

    def recall(self, raw: bytes) -> tuple[ResponseHead, Framing] | None:
        """What reading `raw` would give; None when its shape is another."""
        match = self._match(raw)
        if match is None:
            return None
        return self._head, Counted(int(match[1])) if match.re.groups else Chunked()


class HeadShapes:
    """Those of one upstream's answers, the one that came last first."""

    __slots__ = ("_seen", "_shapes")

    def __init__(self) -> None:
        self._shapes: list[HeadShape] = []
        self._seen: dict[tuple[bytes, ...], int] = {}

    def recall(self, raw: bytes) -> tuple[ResponseHead, Framing] | None:
        """What reading `raw`, the head of an answer that may have a body, would give, where that is known."""
        shapes = self._shapes
        for index, shape in enumerate(shapes):
            if recalled := shape.recall(raw):
                if index:
                    shapes.insert(0, shapes.pop(index))
                return recalled
        return None

    def learn(self, head: ResponseHead) -> None:
        """A head that had to be read; it is remembered once its shape has come often enough."""
        plain = isinstance(head.framing, Counted | Chunked) and len(head.raw) <= LONGEST
        if not plain or len(self._shapes) >= MOST_SHAPES:
            return
        key = (head.raw[: head.raw.index(b"\r\n")], *(name for name, _ in head.fields))
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        if seen >= SEEN_OFTEN:
            self._shapes.insert(0, HeadShape(head))
            del self._seen[key]
        elif len(self._seen) > MOST_SEEN:
            self._seen.clear()
