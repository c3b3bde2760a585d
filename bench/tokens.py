"""Fits the prior of the token estimate and measures its error by kind of text: `python -m bench.tokens FOLDER`.

FOLDER holds tiktoken's encoding files, named as it names them in its cache; a litellm wheel has them in
`litellm/litellm_core_utils/tokenizers`. The texts are this repository's and the standard library's documentation and
code, JSON made up here, and the sentences of bench/languages.py; every other one is kept from the fit and measured on.
"""

from __future__ import annotations

import json
import os
import pydoc
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.languages import LANGUAGES
from processors.token_estimate import KINDS, PRIOR, Features, Regression, features_of

ROOT = Path(__file__).parents[1]
ENCODINGS = ("o200k_base", "cl100k_base")
DOCUMENTED = (
    "argparse",
    "asyncio",
    "decimal",
    "difflib",
    "email",
    "logging",
    "random",
    "sqlite3",
    "tarfile",
    "zipfile",
)
PIECE = 600  # characters of the longer texts
MOST_USED = {"prose": 8.0, "English": 8.0, "code": 8.0, "JSON": 4.0}  # weight in the fit; the rest have 1
CALIBRATED_ON = 20  # texts a model is learned from, in the column `calibrated`


def main(folder: str) -> None:
    counters = list(encoders(folder))
    texts = {name: samples for name, samples in all_texts().items() if len(samples) > 1}
    show("coefficient", "fitted", "shipped")
    fitted = fit(texts, counters)
    for name, new, old in zip(KINDS, fitted, PRIOR, strict=False):
        show(name, f"{new:.3f}", f"{old:.3f}")
    print()
    show("mean error, %", "len/4", "fitted", "shipped", "calibrated", "texts")
    for name, samples in texts.items():
        show(name, *(f"{100 * error:.1f}" for error in errors(samples, counters, fitted)), str(len(samples[1::2])))
    print()
    timings(texts["prose"], counters)


def show(*cells: str) -> None:
    print(f"{cells[0]:<16}", *(f"{cell:>10}" for cell in cells[1:]))


def encoders(folder: str) -> Iterator[Callable[[str], int]]:
    """Text → tokens, by each encoding."""
    os.environ["TIKTOKEN_CACHE_DIR"] = folder
    import tiktoken

    for name in ENCODINGS:
        encoding = tiktoken.get_encoding(name)
        yield lambda text, encoding=encoding: len(encoding.encode_ordinary(text))  # type: ignore[misc]


def all_texts() -> dict[str, list[str]]:
    """Kind of text → texts of a sentence or a few hundred characters."""
    documentation = "\n".join(pydoc.plain(pydoc.getdoc(__import__(name))) for name in DOCUMENTED)
    markdown = "\n".join(path.read_text() for path in sorted(ROOT.glob("docs/**/*.md")))
    code = "\n".join(path.read_text() for path in sorted(ROOT.glob("pipeline/*.py")))
    return {
        "prose": pieces(documentation + "\n" + re.sub(r"\|.*\n", "", markdown)),
        "code": pieces(code),
        "JSON": [made_up_json(random.Random(seed)) for seed in range(60)],
        **{name: list(sentences) + paired(sentences) for name, sentences in LANGUAGES.items()},
    }


def pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text) - PIECE, PIECE)][:80]


def paired(sentences: tuple[str, ...]) -> list[str]:
    return [" ".join(pair) for pair in zip(sentences, sentences[2:], strict=False)]


def made_up_json(chance: random.Random) -> str:
    """An object as tools return it: ids, amounts, times, flags, nested lists."""
    words = ["order", "status", "customer", "total", "currency", "shipped", "address", "city", "note"]
    item = {
        "sku": f"{chance.choice('ABCDEF')}-{chance.randrange(10**6)}",
        "price": chance.randrange(10**5) / 100,
        "ok": True,
    }
    record = {chance.choice(words): chance.choice([chance.random(), chance.randrange(10**9), None, "a few words here"])}
    record |= {"id": f"{chance.getrandbits(128):032x}", "created_at": f"2026-11-{chance.randrange(10, 30)}T12:00:00Z"}
    return json.dumps({**record, "items": [item] * chance.randrange(1, 5)}, indent=chance.choice([None, 2]))


def fit(texts: dict[str, list[str]], counters: list[Callable[[str], int]]) -> Features:
    """Least relative squares over every other text, each kind of text by its weight; no coefficient below 0."""
    rows, weights = [], []
    for name, samples in texts.items():
        for text in samples[::2]:
            for count in counters:
                rows.append(features_of([text])[: len(KINDS)] / count(text))
                weights.append((MOST_USED.get(name, 1.0) / len(samples)) ** 0.5)
    matrix, weight = np.array(rows), np.array(weights)
    used = list(range(len(KINDS)))
    while True:
        solution = np.linalg.lstsq(matrix[:, used] * weight[:, None], weight, rcond=None)[0]
        if (solution >= 0).all():
            break
        used.pop(int(np.argmin(solution)))
    fitted = np.zeros(len(KINDS))
    fitted[used] = solution
    return fitted


def errors(samples: list[str], counters: list[Callable[[str], int]], fitted: Features) -> Iterator[float]:
    """Mean relative error on the other texts: of len/4, of the fit, of what ships, and of that after calibration."""
    truth = [(text, count(text)) for text in samples[1::2] for count in counters]
    shipped = Regression()
    yield mean([abs(len(text) / 4 / tokens - 1) for text, tokens in truth])
    yield mean([abs(float(features_of([text])[: len(KINDS)] @ fitted) / tokens - 1) for text, tokens in truth])
    yield mean([abs(shipped.estimate(features_of([text])) / tokens - 1) for text, tokens in truth])
    yield mean([calibrated_error(samples, count) for count in counters])


def calibrated_error(samples: list[str], count: Callable[[str], int]) -> float:
    """After a model that counts like this was learned from every other text, again and again."""
    regression, seen = Regression(), samples[::2]
    for number in range(CALIBRATED_ON):
        text = seen[number % len(seen)]
        regression.learn(features_of([text]), count(text))
    return mean([abs(regression.estimate(features_of([text])) / count(text) - 1) for text in samples[1::2]])


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def timings(samples: list[str], counters: list[Callable[[str], int]]) -> None:
    text = "".join(samples)
    regression = Regression()
    show("us for 1 KB", f"{per_kilobyte(lambda: features_of([text]), text):.1f}", "features of a long text")
    one = text[:1024]
    show("us for 1 KB", f"{per_kilobyte(lambda: regression.estimate(features_of([one])), one):.1f}", "estimate")
    features = features_of([one])
    show("us for one", f"{microseconds(lambda: regression.learn(features, 250)):.1f}", "learn")
    show("us for 1 KB", f"{per_kilobyte(lambda: counters[0](text), text):.1f}", ENCODINGS[0])


def per_kilobyte(work: Callable[[], object], text: str) -> float:
    return microseconds(work) * 1024 / len(text)


def microseconds(work: Callable[[], object], rounds: int = 100) -> float:
    work()
    began = perf_counter()
    for _ in range(rounds):
        work()
    return (perf_counter() - began) / rounds * 1e6


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.tokens FOLDER")
    main(sys.argv[1])
