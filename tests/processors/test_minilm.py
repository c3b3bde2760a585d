"""The arithmetic on small and random weights; tests/backends/test_minilm.py asks the real model."""

from __future__ import annotations

import hashlib
import json
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import minilm
from processors.embeddings import ModelUnusable
from processors.minilm import (
    AT_ONCE,
    HEADS,
    VOCABULARY,
    WEIGHTS,
    WIDTH,
    MiniLM,
    attended,
    batches,
    gelu,
    verified,
    weights_of,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "world", "##s", "red", "green", "blue"]
SHAPES = {
    "attention.self.query": (WIDTH, WIDTH),
    "attention.self.key": (WIDTH, WIDTH),
    "attention.self.value": (WIDTH, WIDTH),
    "attention.output.dense": (WIDTH, WIDTH),
    "intermediate.dense": (4 * WIDTH, WIDTH),
    "output.dense": (WIDTH, 4 * WIDTH),
}
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


def random_weights() -> dict[str, np.ndarray]:
    """Of a model with one layer."""
    chance = np.random.default_rng(7)
    weights = {
        "embeddings.word_embeddings.weight": chance.normal(size=(len(WORDS), WIDTH)),
        "embeddings.position_embeddings.weight": chance.normal(size=(128, WIDTH)),
        "embeddings.token_type_embeddings.weight": chance.normal(size=(2, WIDTH)),
        "embeddings.LayerNorm.weight": np.ones(WIDTH),
        "embeddings.LayerNorm.bias": np.zeros(WIDTH),
    }
    for name, shape in SHAPES.items():
        weights[f"encoder.layer.0.{name}.weight"] = chance.normal(size=shape, scale=0.05)
        weights[f"encoder.layer.0.{name}.bias"] = chance.normal(size=shape[0], scale=0.05)
    for name in NORMS:
        weights[f"encoder.layer.0.{name}.weight"] = chance.normal(size=WIDTH, loc=1, scale=0.1)
        weights[f"encoder.layer.0.{name}.bias"] = chance.normal(size=WIDTH, scale=0.1)
    return {name: each.astype("<f4") for name, each in weights.items()}


def safetensors(weights: dict[str, np.ndarray]) -> bytes:
    head, body = {"__metadata__": {"format": "pt"}}, b""
    for name, each in weights.items():
        head[name] = {"dtype": "F32", "shape": each.shape, "data_offsets": [len(body), len(body) + each.nbytes]}  # type: ignore[dict-item]
        body += each.tobytes()
    data = json.dumps(head).encode()
    data += b" " * (-len(data) % 8)
    return len(data).to_bytes(8, "little") + data + body


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with one layer of random weights."""
    files = {WEIGHTS: safetensors(random_weights()), VOCABULARY: "\n".join(WORDS).encode()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(minilm, "LAYERS", 1)
    monkeypatch.setattr(minilm, "SHA256", {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    return tmp_path


def by_the_book(pieces: list[int]) -> np.ndarray:
    """The same of one text, written down as the formulas are, in double precision."""
    weights = {name: each.astype(float) for name, each in random_weights().items()}

    def linear(state: np.ndarray, name: str) -> np.ndarray:
        return state @ weights[f"encoder.layer.0.{name}.weight"].T + weights[f"encoder.layer.0.{name}.bias"]

    def normal(state: np.ndarray, name: str) -> np.ndarray:
        scaled = (state - state.mean(1, keepdims=True)) / np.sqrt(state.var(1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    words, places, kind = (
        weights[f"embeddings.{each}_embeddings.weight"] for each in ("word", "position", "token_type")
    )
    state = normal(words[pieces] + places[: len(pieces)] + kind[0], "embeddings.LayerNorm")
    query, key, value = (linear(state, f"attention.self.{each}") for each in ("query", "key", "value"))
    heads = []
    for start in range(0, WIDTH, size := WIDTH // HEADS):
        part = slice(start, start + size)
        scores = np.exp(query[:, part] @ key[:, part].T / sqrt(size))
        heads.append(scores / scores.sum(1, keepdims=True) @ value[:, part])
    heard = linear(np.concatenate(heads, axis=1), "attention.output.dense")
    state = normal(heard + state, "encoder.layer.0.attention.output.LayerNorm")
    inner = linear(state, "intermediate.dense")
    inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / sqrt(2)))
    state = normal(linear(inner, "output.dense") + state, "encoder.layer.0.output.LayerNorm")
    mean = state.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def test_vectors_are_what_the_formulas_say(folder: Path) -> None:
    texts = ["hello worlds", "red", "green blue red hello", ""]
    vectors = MiniLM(folder).vectors(texts)
    for text, vector in zip(texts, vectors, strict=True):
        pieces = MiniLM(folder)._word_pieces.encode(text, 128)
        assert float(by_the_book(pieces) @ vector) == pytest.approx(1, abs=1e-4), text
        assert float(vector @ vector) == pytest.approx(1, abs=1e-4)


def test_a_text_has_its_vector_whatever_it_is_read_with_and_is_read_once(folder: Path) -> None:
    model = MiniLM(folder)
    alone = model.vectors(["hello world"])[0]
    again = model.vectors(["red " * 90, "hello world", "hello world", "blue"])
    assert np.array_equal(again[1], alone)
    assert np.array_equal(again[2], alone)
    assert np.allclose(MiniLM(folder).vectors(["red " * 90, "hello world"])[1], alone, atol=1e-5)


def test_what_is_remembered_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "REMEMBERED", 2)
    model = MiniLM(folder)
    assert model.vectors(["red", "green", "blue", "red"]).shape == (4, WIDTH)
    model.vectors(["green"])
    assert list(model._remembered) == ["blue", "green"]


def test_no_texts_have_no_vectors(folder: Path) -> None:
    assert MiniLM(folder).vectors([]).shape == (0, WIDTH)


@given(st.lists(st.integers(2, 128), max_size=60))
def test_batches_hold_every_text_once_in_order_and_few_enough_pieces(lengths: list[int]) -> None:
    texts = [[0] * length for length in lengths]
    groups = list(batches(texts))
    assert [number for group in groups for number in group] == list(range(len(texts)))
    assert all(sum(lengths[number] for number in group) <= AT_ONCE for group in groups)


def test_gelu_is_near_the_exact_one() -> None:
    points = np.linspace(-6, 6, 200, dtype=np.float32)
    exact = [0.5 * x * (1 + erf(x / sqrt(2))) for x in points.tolist()]
    assert np.abs(gelu(points) - exact).max() < 1e-3


def test_attention_to_one_piece_is_that_piece() -> None:
    value = np.arange(WIDTH, dtype=np.float32)[None]
    assert np.allclose(attended(value, value, value), value)


@pytest.mark.parametrize("content", [b"", b"something else", None])
def test_a_file_that_is_another_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelUnusable, match=WEIGHTS):
        verified(tmp_path, WEIGHTS)


def test_weights_are_read_as_they_were_written(folder: Path) -> None:
    read, written = weights_of(verified(folder, WEIGHTS)), random_weights()
    assert read.keys() == written.keys()
    assert all(np.array_equal(read[name], written[name]) for name in written)
