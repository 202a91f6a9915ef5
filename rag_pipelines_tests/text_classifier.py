"""A text-classification model that needs no download: it knows nothing, and judges alike each time."""

from __future__ import annotations

from pathlib import Path

from rag_pipelines.embedding.models import resolve


def made_text_classifier(folder: Path) -> Path:
    """A random one-layer BERT with the labels SAFE and INJECTION and the bundled tokenizer, saved in the folder."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.5,
        id2label={0: "SAFE", 1: "INJECTION"},
        label2id={"SAFE": 0, "INJECTION": 1},
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(str(resolve("bundled:all-MiniLM-L6-v2").path)).save_pretrained(folder)
    return folder
