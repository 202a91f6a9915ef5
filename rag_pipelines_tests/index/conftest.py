"""The conformance suites are modules without `test_` in their name: pytest has to be told of their asserts."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "rag_pipelines_tests.index.conformance_reading", "rag_pipelines_tests.index.conformance_writing"
)
