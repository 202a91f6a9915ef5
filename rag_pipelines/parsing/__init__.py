"""Bytes to ParsedDocument, by media type, inside the sandbox."""
