"""Single values: modes, addresses, stores, URLs, headers and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from askonce.config import Address, ConfigError, MemoryStore, OpenAIUpstream, Settings, SqliteStore, loads

UPSTREAM = "upstreams: [{type: simulated}]\n"


def settings(text: str) -> Settings:
    return loads(text, "askonce.yaml", {})


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("spelling", "mode"),
    [
        ("on", "on"),
        ("off", "off"),
        ('"on"', "on"),
        ("true", "on"),
        ("shadow", "shadow"),
        ("Shadow", "shadow"),
    ],
)
def test_semantic_takes_yaml_booleans(spelling: str, mode: str) -> None:
    """A bare `on` is a boolean to YAML 1.1 and still the mode `on`."""
    assert settings(UPSTREAM + f"defaults: {{semantic: {spelling}}}").defaults.semantic == mode


@pytest.mark.parametrize(
    ("written", "address", "loopback"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80), True),
        ("localhost:0", Address("localhost", 0), True),
        ("'[::1]:8080'", Address("::1", 8080), True),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080), False),  # noqa: S104 - an address to parse
        ("'[::]:8080'", Address("::", 8080), False),
        ("gateway.internal:8080", Address("gateway.internal", 8080), False),
    ],
)
def test_addresses(written: str, address: Address, loopback: bool) -> None:  # noqa: FBT001 - an expectation
    """IPv4, IPv6 in brackets, names, and port 0 for any free one; their text can be read again."""
    found = settings(UPSTREAM + f"listen: {written}").listen
    assert found == address
    assert found.loopback is loopback
    assert str(found) == written.strip("'")


@pytest.mark.parametrize(
    "written", ["8080", ":8080", "localhost", "a:99999", "1.2.3.400:80", "'[::x]:80'", "'::1:80'"]
)
def test_other_addresses_are_refused(written: str) -> None:
    """Without host or port, with an impossible one, or IPv6 without brackets."""
    assert "listen: must be host:port" in complaint(UPSTREAM + f"listen: {written}")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/askonce/askonce.db", "/var/lib/askonce/askonce.db"),
        ("sqlite:////var/lib/askonce.db", "/var/lib/askonce.db"),
        ("sqlite:/var/lib/askonce.db", "/var/lib/askonce.db"),
        ("sqlite:askonce.db", "askonce.db"),
        ("sqlite:data/askonce.db", "data/askonce.db"),
        ("sqlite://./askonce.db", "askonce.db"),
    ],
)
def test_sqlite_paths(url: str, path: str) -> None:
    """Three slashes are an absolute path, as in the design; none, or `//./`, a relative one."""
    found = settings(UPSTREAM + f"store: {url}").store
    assert found == SqliteStore(Path(path))
    assert settings(UPSTREAM + f"store: {found}").store == found


@pytest.mark.parametrize("written", ["memory:", '"memory:"', "memory"])
def test_memory_store(written: str) -> None:
    """With and without the quotes that YAML would have."""
    assert settings(UPSTREAM + f"store: {written}\n").store == MemoryStore()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://:secret@host:6379/0", "Redis is not available in this version"),
        ("rediss://host", "Redis is not available in this version"),
        ("postgres://host", "must be memory: or sqlite:///path"),
        ("sqlite://host/x.db", "must be sqlite:///absolute/path or sqlite:relative/path"),
        ("'sqlite::memory:'", "must be memory: for a store without a file"),
        ("sqlite:~/x.db", "must not begin with ~"),
        ("sqlite:///var/lib/", "must name a file"),
        ("'sqlite:'", "must name a file"),
        ("[a]", "must be memory: or sqlite:///path"),
    ],
)
def test_other_stores_are_refused(url: str, sentence: str) -> None:
    """Each with what to write instead, and without a word of the URL."""
    found = complaint(UPSTREAM + f"store: {url}")
    assert f"store: {sentence}" in found
    assert "secret" not in found


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("api.openai.com/v1", "must be a URL"),
        ("ftp://api.openai.com", "must be a URL"),
        ("https://", "must be a URL"),
        ("http://a:b", "must be a URL"),
        ("'http://[::1/v1'", "must be a URL"),
        ("'http://a b/v1'", "must be a URL"),
        ("https://user:pass@host/v1", "must not hold a credential"),
        ("'https://host/v1?key=1'", "must not hold a query"),
        ("https://host/v1/chat/completions", "must end before the endpoint's path"),
    ],
)
def test_wrong_base_urls_are_refused(url: str, sentence: str) -> None:
    """What would fail, or leak, with the first request fails at once."""
    assert f"base_url: {sentence}" in complaint(f"upstreams: [{{name: a, base_url: {url}}}]")


def test_base_urls_end_without_a_slash() -> None:
    """So that endpoint paths can be appended."""
    upstream = settings("upstreams: [{name: a, base_url: 'http://[::1]:8000/v1/'}]").upstreams[0]
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.base_url == "http://[::1]:8000/v1"


@pytest.mark.parametrize(
    "extra", ["api_key: ''", r'api_key: "a\nb"', "headers: {a b: c}", "headers: {Host: c}"]
)
def test_unsendable_headers_are_refused(extra: str) -> None:
    """Keys and headers that would break a request's head, and those that the gateway sets itself."""
    assert "must be" in (found := complaint(f"upstreams: [{{name: a, base_url: http://a, {extra}}}]")) or (
        "sets itself" in found
    )


@pytest.mark.parametrize("key", ["sk-plain", "sha256:12", "sha256:" + "g" * 64, "1" * 64, "md5:" + "1" * 64])
def test_only_hashes_of_keys_are_taken(key: str) -> None:
    """A plain key is refused with the advice to run `askonce keys new`."""
    found = complaint(UPSTREAM + f"tenants: [{{name: acme, keys: ['{key}']}}]")
    assert "run `askonce keys new`" in found
    assert key not in found
