"""Assertions of the shared suite explain themselves like those of a test file."""

import pytest

pytest.register_assert_rewrite("stores.conformance")
