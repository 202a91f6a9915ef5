"""The query service: FastAPI over `retrieval`; it imports neither Dagster nor parsers."""
