"""rag-pipelines: the production pipeline that keeps retrieval indexes right."""

__version__ = "0.1.0"
