"""Passages -> an answer whose sentences cite them, checked sentence by sentence, by a language model or without one."""
