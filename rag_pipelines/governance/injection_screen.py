"""Rules, the organisation's own among them, and a model where one is configured, as one judge of passages."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipelines.config.injection import InjectionClassifier, InjectionConfig
from rag_pipelines.core.errors import ConfigError, EmbeddingError
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.governance.injection import HIDDEN_WEIGHTS, MIXED, Classifier, Detector, Flag
from rag_pipelines.governance.injection_rules import RULES, Rule

BATCH = 16
"""Passages that a classifier reads at once."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Judges passages. `least` and `weight` are of the classifier, where there is one."""

    detector: Detector
    classifier: Classifier | None = None
    least: float = 0.5
    weight: float = 0.9

    @property
    def fingerprint(self) -> str:
        """Changes with whatever changes a flag."""
        model = self.classifier
        asked = [model.fingerprint, self.least, self.weight] if model is not None else None
        return fingerprint("screen", 1, [self.detector.fingerprint, asked])

    def flags(self, texts: Sequence[str], *, short: bool = False) -> list[Flag | None]:
        """For each text why it is suspect; `short` ones are titles, which the classifier is not asked about."""
        if self.classifier is None or short or not texts:
            return self.detector.flags(texts)
        return self.detector.flags(texts, [self._sign(score) for score in self.classifier.score(texts)])

    def _sign(self, probability: float) -> Mapping[str, float]:
        return {"classifier": probability * self.weight} if probability >= self.least else {}


def open_screen(config: InjectionConfig) -> Screen | None:
    """What the policy asks for; None where nothing is judged. Loads no model. Raises ConfigError."""
    if not config.judges:
        return None
    known = {rule.name for rule in RULES} | set(HIDDEN_WEIGHTS) | {MIXED}
    for name in config.disabled:
        if name not in known:
            raise ConfigError(
                f"policy.yaml: injection.disabled names no built-in rule {name!r}; there are {', '.join(sorted(known))}"
            )
    own = [Rule(rule.name, rule.weight, rule.pattern, "words") for rule in config.rules]
    for rule in own:
        if rule.name in known or rule.name == "classifier":
            raise ConfigError(
                f"policy.yaml: injection.rules uses {rule.name!r}, the name of a built-in rule; rename it"
            )
    detector = Detector((*RULES, *own), frozenset(config.disabled))
    if config.classifier is None:
        return Screen(detector)
    model = config.classifier
    return Screen(detector, TextClassifier(model), model.least, model.weight)


class TextClassifier:
    """A sequence classifier of transformers, loaded on first use, from safetensors only and without remote code.

    `fingerprint` is of the name and, for a folder, of the weights' size and the settings: another model under the
    same name on the hub is not noticed.
    """

    def __init__(self, config: InjectionClassifier) -> None:
        self._config = config
        self._loaded: Any = None
        self._lock = threading.Lock()
        self.fingerprint = fingerprint(
            "classifier", 1, [config.model, config.label, _mark(Path(config.model))]
        )

    def score(self, texts: Sequence[str]) -> list[float]:
        """The model's probability of its label; longer texts are judged by their beginning, rounded to 3 digits."""
        import torch

        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            tokenizer, model, column = self._loaded
            scores: list[float] = []
            for start in range(0, len(texts), BATCH):
                batch = list(texts[start : start + BATCH])
                inputs = tokenizer(batch, padding=True, truncation=True, max_length=512, return_tensors="pt")
                with torch.inference_mode():
                    found = torch.softmax(model(**inputs).logits.float(), dim=-1)[:, column]
                scores += [round(value, 3) for value in found.tolist()]
        return scores

    def _load(self) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        name = self._config.model
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model = AutoModelForSequenceClassification.from_pretrained(
                name, trust_remote_code=False, use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise EmbeddingError(
                f"classifier {name} cannot be loaded ({error}); name a text-classification model with safetensors "
                "weights, or its folder, in policy.yaml: injection.classifier.model"
            ) from error
        labels = {str(label): int(number) for number, label in model.config.id2label.items()}
        if self._config.label not in labels:
            raise EmbeddingError(
                f"classifier {name} has no label {self._config.label!r}, only {', '.join(sorted(labels))}; set "
                "injection.classifier.label in policy.yaml"
            )
        return tokenizer, model.eval(), labels[self._config.label]


def _mark(folder: Path) -> list[Any]:
    """Of a local model: its settings, and name, size and time of its weights."""
    if not folder.is_dir():
        return []
    settings = folder / "config.json"
    weights = sorted(folder.glob("*.safetensors"))
    told = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in weights]
    return [settings.read_text(encoding="utf-8") if settings.exists() else None, told]
