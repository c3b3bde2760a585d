"""Where messages end on a spliced connection, by their frames' lengths alone, and when a part of it ends."""

from __future__ import annotations

import struct
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.splice import OLD, QUIET, FrameWalker, Splice
from proxy.tee import Budget, Tee

TEXT, CONTINUATION, PING = 1, 0, 9


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = False, reserved: int = 0) -> bytes:
    """One frame as RFC 6455 §5.2 draws it."""
    first = (0x80 if fin else 0) | reserved | opcode
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 2**16:
        head = bytes([first, mask | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, mask | 127]) + struct.pack(">Q", size)
    return head + (b"\1\2\3\4" if masked else b"") + payload


def message(payloads: list[bytes], masked: bool, ping: bool) -> bytes:
    """A message in so many frames, with a ping between them."""
    frames = [
        frame(CONTINUATION if n else TEXT, payload, fin=n == len(payloads) - 1, masked=masked)
        for n, payload in enumerate(payloads)
    ]
    return (frame(PING, b"?", masked=masked) if ping else b"").join(frames)


SIZES = st.sampled_from([0, 1, 5, 125, 126, 127, 300, 65535, 65536])
MESSAGES = st.lists(
    st.builds(message, st.lists(SIZES.map(bytes), min_size=1, max_size=3), st.booleans(), st.booleans()), max_size=3
)


@given(MESSAGES, st.lists(st.integers(0, 200_000), max_size=8))
def test_a_message_ends_where_its_last_frame_does_however_the_bytes_come(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    ends, position = {0}, 0
    for part in parts:
        position += len(part)
        ends.add(position)
    walker, start = FrameWalker(), 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        walker.feed(data[start:cut])
        start = cut
        # Between two frames of a message with a ping in between is never an end.
        assert walker.between_messages == (cut in ends)


def test_byte_by_byte_every_end_is_seen_and_no_other() -> None:
    data = message([b"a", b"", b"ccc"], masked=True, ping=True) + frame(TEXT, bytes(130)) + frame(PING, b"")
    walker = FrameWalker()
    ends = []
    for position, byte in enumerate(data, 1):
        walker.feed(bytes([byte]))
        if walker.between_messages:
            ends.append(position)
    assert ends == [len(data) - 134 - 2, len(data) - 2, len(data)]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x", reserved=0x10), frame(TEXT, b"x", reserved=0x20), frame(3, b"x"), frame(11, b"x"),
        b"\x81\x7f" + b"\xff" * 8,
    ],
    ids=["reserved bit", "other reserved bit", "opcode 3", "opcode 11", "endless"],
)  # fmt: skip
def test_what_are_no_frames_never_ends_a_message(data: bytes) -> None:
    walker = FrameWalker()
    walker.feed(data)
    walker.feed(frame(TEXT, b"sound"))
    assert (walker.sound, walker.between_messages) == (False, False)


def tees(*sizes: int) -> tuple[Tee, Tee]:
    made = Tee(1000, Budget(10_000)), Tee(1000, Budget(10_000))
    for tee, size in zip(made, sizes, strict=True):
        tee.add(bytes(size))
    return made


def test_a_part_is_full_at_half_its_bound_between_messages_of_both_sides() -> None:
    splice = Splice(True, 1000, 0)
    assert not splice.is_full(*tees(499, 499))
    assert splice.is_full(*tees(500, 0))
    splice.feed(splice.upstream, frame(TEXT, b"begun", fin=False))
    assert not splice.is_full(*tees(900, 900))
    splice.feed(splice.upstream, frame(CONTINUATION, b"ended"))
    assert splice.is_full(*tees(0, 500))


def test_a_part_that_cannot_be_read_by_itself_is_the_only_one() -> None:
    splice = Splice(False, 1000, 0)
    assert not splice.is_full(*tees(1000, 1000))
    assert not splice.is_old(*tees(10, 10), 0, OLD + QUIET + 1)


def test_a_part_is_old_when_it_has_lasted_and_both_sides_are_quiet() -> None:
    splice = Splice(True, 1000, 0)
    now = OLD + 1
    assert splice.is_old(*tees(1, 0), now - QUIET - 1, now)
    assert not splice.is_old(*tees(1, 0), now - QUIET, now)
    assert not splice.is_old(*tees(0, 0), 0, now)
    assert not splice.is_old(*tees(1, 0), 0, OLD)


def test_parts_are_counted_and_begin_empty() -> None:
    splice = Splice(True, 1000, 0)
    request, response = splice.next_part(1000, Budget(10), 77)
    assert (splice.part, splice.part_began, request.size, response.size) == (1, 77, 0, 0)


def test_a_great_many_small_frames_in_one_read_take_no_longer_than_the_turn_of_a_loop() -> None:
    data = frame(PING, b"", masked=True) * 40_000
    walker, began = FrameWalker(), perf_counter()
    walker.feed(data)
    assert walker.between_messages
    assert perf_counter() - began < 0.15
