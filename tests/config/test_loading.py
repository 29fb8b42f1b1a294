"""Settings from files and from the bare environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from askonce.config import ConfigError, OpenAIUpstream, SqliteStore, default_settings, load


def test_a_file_is_loaded(tmp_path: Path) -> None:
    """UTF-8, with or without a byte-order mark; errors name the file."""
    file = tmp_path / "askonce.yaml"
    file.write_text("\ufeffupstreams: [{type: simulated, seed: '${SEED}'}]", encoding="utf-8")
    assert load(file, {"SEED": "7"}).upstreams[0].name == "simulated"
    with pytest.raises(ConfigError, match="SEED is not set") as caught:
        load(file, {})
    assert str(caught.value).startswith(f"{file}:1: ")


def test_unreadable_files_are_config_errors(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that aren't text: one sentence each."""
    with pytest.raises(ConfigError, match=r"askonce.yaml: can't be read: No such file"):
        load(tmp_path / "askonce.yaml", {})
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="can't be read: is not UTF-8 text"):
        load(tmp_path / "binary", {})


def test_without_a_file_openai_is_asked() -> None:
    """The key, the address and the place of the store come from the environment."""
    env = {"OPENAI_API_KEY": "sk-secret", "HOME": "/home/ann"}
    settings = default_settings(env)
    (upstream,) = settings.upstreams
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.api_key is not None
    assert upstream.api_key.get_secret_value() == "sk-secret"
    assert (upstream.name, upstream.base_url, upstream.models) == (
        "openai",
        "https://api.openai.com/v1",
        ("*",),
    )
    assert settings.store == SqliteStore(Path("/home/ann/.local/state/askonce/askonce.db"))
    assert settings.listen.loopback
    other = default_settings(
        env | {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1/", "XDG_STATE_HOME": "/state"}
    )
    assert isinstance(other.upstreams[0], OpenAIUpstream)
    assert other.upstreams[0].base_url == "http://127.0.0.1:8000/v1"
    assert other.store == SqliteStore(Path("/state/askonce/askonce.db"))
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({}, "environment: nothing to ask: set OPENAI_API_KEY, or write a configuration file"),
        ({"OPENAI_API_KEY": ""}, "environment: nothing to ask"),
        ({"OPENAI_API_KEY": "sk-secret"}, "environment: set HOME or XDG_STATE_HOME"),
        ({"OPENAI_API_KEY": "sk-secret", "XDG_STATE_HOME": "relative"}, "environment: set HOME"),
        (
            {"OPENAI_API_KEY": "sk-secret", "HOME": "/home/ann", "OPENAI_BASE_URL": "sk-secret"},
            "environment: OPENAI_BASE_URL: must be a URL",
        ),
        (
            {"OPENAI_API_KEY": "sk-secret\n", "HOME": "/home/ann"},
            "environment: OPENAI_API_KEY: must be printable",
        ),
    ],
)
def test_an_insufficient_environment_says_what_to_do(env: dict[str, str], sentence: str) -> None:
    """Errors name the variables, never their values."""
    with pytest.raises(ConfigError) as caught:
        default_settings(env)
    assert str(caught.value).startswith(sentence)
    assert "sk-secret" not in str(caught.value)
