"""Proof that nobody is told anything of what they may not read."""
