"""Values and pure functions that everything else stands on; no I/O here."""
