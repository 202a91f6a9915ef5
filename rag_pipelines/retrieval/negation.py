"""Words that deny, by analyzer language: a question that denies is seldom answered by a sentence that does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORD = re.compile(r"n['’]t\b|\w+")
_DENIALS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "not no never none nobody nothing neither nor without cannot except n't n’t",
        "german": "nicht kein keine keinen keinem keiner keines nie niemals niemand nichts weder ohne außer",
        "spanish": "no nunca jamás nadie nada ningún ninguna ninguno sin excepto salvo ni",
        "french": "ne n pas jamais aucun aucune rien sans sauf ni",
        "italian": "non mai nessun nessuno nessuna niente nulla senza tranne né",
        "dutch": "niet geen nooit niemand niets zonder behalve",
        "portuguese": "não nunca jamais ninguém nada nenhum nenhuma sem exceto nem",
    }.items()
}


def denies(text: str, language: str) -> bool:
    """Whether one of the language's denying words occurs; never for a language without a list."""
    words = _DENIALS.get(language)
    if words is None:
        return False
    lowered = re.sub(r"n['’]t\b", " n't", text.lower())
    return any(word in words for word in _WORD.findall(lowered))
