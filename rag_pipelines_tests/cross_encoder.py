"""A reranking model that needs no download: it knows nothing, and scores alike each time."""

from __future__ import annotations

from pathlib import Path

from rag_pipelines.embedding.models import resolve


def made_cross_encoder(folder: Path) -> Path:
    """A random one-layer BERT with one output and the bundled tokenizer, saved in the folder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.5,
    )
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(str(resolve("bundled:all-MiniLM-L6-v2").path)).save_pretrained(folder)
    assert CrossEncoder(str(folder), device="cpu").num_labels == 1
    return folder
