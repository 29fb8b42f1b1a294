"""deploy/examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from askonce.config import OpenAIUpstream, load, warnings

EXAMPLES = sorted((Path(__file__).parents[2] / "deploy" / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    """The three that the documentation names are there."""
    assert {"llama-cpp.yaml", "openai.yaml", "vllm.yaml"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_without_warnings(path: Path) -> None:
    """With nothing but an API key in the environment, and reachable from this machine alone."""
    settings = load(path, {"OPENAI_API_KEY": "sk-x"})
    assert isinstance(settings.upstreams[0], OpenAIUpstream)
    assert settings.listen.loopback
    assert warnings(settings) == []
