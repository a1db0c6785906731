"""Tiny models of many kinds, made from their configurations, with the words of the shop that is searched."""

from pathlib import Path
from typing import Any

from tests.trainer.queries import WORDS, make_tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": len(WORDS) + 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
BLANK: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
ENCODERS: dict[str, dict[str, Any]] = {
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "Roberta": {},
    "XLMRoberta": {},
    "MPNet": {},
    "Electra": {"embedding_size": 16},
    "Albert": {"embedding_size": 16},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "ModernBert": {"cls_token_id": 2, "sep_token_id": 3, **BLANK},
}
DECODERS: dict[str, dict[str, Any]] = {
    "GPT2": {**BLANK, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "Llama": {**BLANK, "pad_token_id": None, "num_key_value_heads": 1},
    "OPT": {**BLANK, "ffn_dim": 64, "word_embed_proj_dim": 16},
    "GPTNeoX": BLANK,
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "Qwen3": {**BLANK, "num_key_value_heads": 1, "head_dim": 16},
}
KINDS = ENCODERS | DECODERS


def make_kind(folder: Path, kind: str, seed: int = 0) -> Path:
    """Write a model of a kind, named as transformers' classes begin, with random weights."""
    import torch
    import transformers

    torch.manual_seed(seed)
    settings = SIZES | KINDS[kind]
    if kind in ("GPT2", "DistilBert", "XLNet"):  # these name their sizes otherwise
        settings = {"vocab_size": SIZES["vocab_size"], **KINDS[kind]}
    config = getattr(transformers, f"{kind}Config")(**settings)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return make_tokenizer(folder, decoder=kind in DECODERS)
