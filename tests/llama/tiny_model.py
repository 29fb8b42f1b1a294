"""A language model small enough to make on the spot: right in form, random in content.

Its words are picked from a vocabulary of pronounceable ones. It never ends by itself: the end token's logit is below that of
every word, so that an answer has exactly as many tokens as were asked for, or the context allows.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CONTEXT_TOKENS", "write_model"]

CONTEXT_TOKENS: Final = 65_536
"""What the model claims to be trained for."""
_WIDTH: Final = 64
_INNER: Final = 128
_LAYERS: Final = 2
_HEADS: Final = 4
_SPECIAL: Final = ("<unk>", "<s>", "</s>")
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write_model(path: Path) -> None:
    """Writes a Llama of two layers (GGUF, 32-bit floats, about a megabyte), the same every time."""
    words = ["▁" + "".join(parts) for parts in product("bdfgklmnprstv", "aeiou", "lnrst")]
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    tokens = [*_SPECIAL, *bytes_, *words]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2]
    kinds += [*[gguf.TokenType.BYTE] * len(bytes_), *[gguf.TokenType.NORMAL] * len(words)]
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
    for name, tensor in _tensors(len(tokens), len(tokens) - len(words)).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)


def _tensors(vocabulary: int, unspoken: int) -> dict[str, Any]:
    """Random weights; those of the first `unspoken` tokens' logits are zero, and words' share a direction above that."""
    random = np.random.default_rng(20)

    def weights(rows: int, columns: int) -> Any:
        return (random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    ones = np.ones(_WIDTH, np.float32)
    output = weights(vocabulary, _WIDTH)
    output[:unspoken] = 0
    tensors = {"token_embd.weight": weights(vocabulary, _WIDTH), "output_norm.weight": ones}
    tensors["output.weight"] = output
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        tensors[block + "attn_norm.weight"] = tensors[block + "ffn_norm.weight"] = ones
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{block}{part}.weight"] = weights(_WIDTH, _WIDTH)
        for part in ("ffn_gate", "ffn_up"):
            tensors[f"{block}{part}.weight"] = weights(_INNER, _WIDTH)
        tensors[block + "ffn_down.weight"] = weights(_WIDTH, _INNER)
    return tensors
