"""What a record costs at a border between processes: `python -m bench.records`.

One decoded chat completion, as it goes to the journal and to an evaluator process, encoded and read back three ways: as
the msgspec Struct it is, and as frozen dataclasses of the same fields through orjson and through pickle. Decoding means
getting the record back with the types it had, so the JSON way builds each dataclass anew from the parsed object.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import timeit
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import orjson

from bench.machine import described
from bench.pipeline import a_whole_answer
from bench.report import markdown
from pipeline import frame
from pipeline.records import Exchange
from wire import decode

CALLS = 5000
REPEATS = 7

Way = tuple[Callable[[], Any], Callable[[], Any]]  # encode, decode


def twin(struct: type) -> type:
    """A frozen dataclass with the fields of a Struct, and twins for the Structs in them."""
    name = f"{struct.__name__}Twin"
    if name not in globals():
        made = dataclasses.make_dataclass(name, get_type_hints(struct), frozen=True, slots=True)
        made.__module__ = __name__  # where pickle looks for it
        globals()[name] = made
    kind: type = globals()[name]
    return kind


def copied(value: Any) -> Any:
    """The value with twins in place of Structs."""
    if isinstance(value, msgspec.Struct):
        return twin(type(value))(*(copied(getattr(value, name)) for name in value.__struct_fields__))
    return tuple(map(copied, value)) if isinstance(value, tuple) else value


def builder(annotation: Any) -> Callable[[Any], Any] | None:
    """How JSON becomes what the annotation says; None where it already is."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return dataclass_builder(annotation)
    if get_origin(annotation) is tuple:
        make = builder(get_args(annotation)[0])
        return (lambda values: tuple(map(make, values))) if make else tuple
    return None


def dataclass_builder(struct: type) -> Callable[[dict[str, Any]], Any]:
    kind = twin(struct)
    parts = [(name, make) for name, hint in get_type_hints(struct).items() if (make := builder(hint))]

    def build(values: dict[str, Any]) -> Any:
        for name, make in parts:
            values[name] = make(values[name])
        return kind(**values)

    return build


def ways(exchange: Exchange) -> dict[str, Way]:
    """How it may be done, each as a pair of calls without arguments."""
    mirror = copied(exchange)
    decoder, build = msgspec.msgpack.Decoder(Exchange), dataclass_builder(Exchange)
    packed, text, pickled = msgspec.msgpack.encode(exchange), orjson.dumps(mirror), pickle.dumps(mirror, 5)
    assert decoder.decode(packed) == exchange
    assert build(orjson.loads(text)) == mirror == pickle.loads(pickled)
    return {
        "msgspec Struct, msgpack": (lambda: msgspec.msgpack.encode(exchange), lambda: decoder.decode(packed)),
        "frozen dataclass, orjson": (lambda: orjson.dumps(mirror), lambda: build(orjson.loads(text))),
        "frozen dataclass, pickle": (lambda: pickle.dumps(mirror, 5), lambda: pickle.loads(pickled)),
    }


def microseconds(call: Callable[[], Any]) -> float:
    """The best of some repeats: what the call costs when nothing disturbs it."""
    return min(timeit.repeat(call, number=CALLS, repeat=REPEATS)) / CALLS * 1e6


def main() -> None:
    exchange = decode(frame.decode(a_whole_answer(1)))
    lines = [
        [name, f"{microseconds(encode):.2f}", f"{microseconds(decode_again):.2f}", str(len(encode()))]
        for name, (encode, decode_again) in ways(exchange).items()
    ]
    print(markdown(["us each", "encode", "decode", "bytes"], lines))
    print(json.dumps(described()))


if __name__ == "__main__":
    main()
