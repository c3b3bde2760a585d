"""Writes a tiny language model with random weights that llama-server loads: `tiny_model.py FILE`; needs numpy and gguf.

It speaks nonsense, the same nonsense every time: what is tested is everything around the words.
"""

from __future__ import annotations

import random
import sys
from itertools import product

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 4096
SEED = 7
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def words(chance: random.Random) -> list[str]:
    """Pronounceable words, some with letters of two, three and four bytes."""
    syllables = ["".join(each) for each in product("bdfgklmnprst", "aeiouäß")]
    made = {"▁" + "".join(chance.choices(syllables, k=chance.randint(1, 3))) for _ in range(400)}
    return [*sorted(made), "▁日本", "▁🚲", ".", ",", "▁"]


def vocabulary() -> tuple[list[str], list[TokenType]]:
    """Control tokens, every byte, every ASCII character, and words."""
    special = ["<unk>", "<s>", "</s>"]
    each_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    ascii_characters = [chr(code) for code in range(33, 127)]
    normal = list(dict.fromkeys(ascii_characters + words(random.Random(SEED))))
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    kinds += [TokenType.BYTE] * len(each_byte) + [TokenType.NORMAL] * len(normal)
    return special + each_byte + normal, kinds


def describe(writer: GGUFWriter) -> int:
    """Write the architecture and the tokenizer; the size of the vocabulary."""
    tokens, kinds = vocabulary()
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    longest_first = [len(token) * float(kind == TokenType.NORMAL) for token, kind in zip(tokens, kinds, strict=True)]
    writer.add_token_scores(longest_first)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHATML)
    return len(tokens)


def add_weights(writer: GGUFWriter, size: int) -> None:
    """Random tensors of the llama architecture; the tokens before the words are never likely."""
    chance = np.random.default_rng(SEED)

    def tensor(*shape: int) -> np.ndarray:
        return chance.normal(0, 1 / shape[-1] ** 0.5, shape).astype(np.float32)

    output = tensor(size, WIDTH) * 8
    output[: size - len(words(random.Random(SEED)))] *= 0.1
    writer.add_tensor("token_embd.weight", tensor(size, WIDTH) * 8)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", tensor(WIDTH, WIDTH))
        for name, shape in (("gate", (INNER, WIDTH)), ("up", (INNER, WIDTH)), ("down", (WIDTH, INNER))):
            writer.add_tensor(f"blk.{layer}.ffn_{name}.weight", tensor(*shape))


def main(path: str) -> None:
    writer = GGUFWriter(path, "llama")
    add_weights(writer, describe(writer))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
