"""The conformance suite is a module without `test_` in its name: pytest has to be told of its asserts."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("rag_pipelines_tests.index.conformance")
