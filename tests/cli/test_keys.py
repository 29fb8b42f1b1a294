"""`askonce keys`."""

from __future__ import annotations

import hashlib
import re

import pytest
import yaml
from click.testing import CliRunner

from askonce.cli.keys import keys
from askonce.config import loads


def test_a_new_key_comes_with_its_hash_and_a_snippet() -> None:
    """The key is printed once; the snippet goes into a configuration as it is and holds that key's hash."""
    output = CliRunner().invoke(keys, ["new", "acme"], catch_exceptions=False).output
    (key,) = re.findall(r"^ak-acme-[A-Za-z0-9_-]{43}$", output, re.MULTILINE)
    assert output.count(key) == 1
    digest = hashlib.sha256(key.encode())
    assert f"\nsha256:{digest.hexdigest()}\n" in output
    snippet = output[output.index("tenants:") :]
    assert list(yaml.safe_load(snippet)) == ["tenants"]
    settings = loads("upstreams: [{type: simulated}]\n" + snippet, "askonce.yaml", {})
    assert settings.tenants is not None
    assert settings.tenants[0].keys == (digest.digest(),)


def test_no_key_comes_twice() -> None:
    """Each is made of 256 random bits."""
    first, second = (CliRunner().invoke(keys, ["new", "acme"]).output for _ in range(2))
    assert first != second


@pytest.mark.parametrize("name", ["Acme", "", "a b", "x" * 64, "_x"])
def test_names_that_a_configuration_would_refuse_are_refused(name: str) -> None:
    """Before a key is made that couldn't be used."""
    result = CliRunner().invoke(keys, ["new", name])
    assert result.exit_code == 2
    assert "must be lower-case letters" in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--admin-key", "secret\nvalue"), "printable ASCII"),
        (("--admin-key", "secret-ключ"), "printable ASCII"),
        (("--admin-key", " "), "printable ASCII"),
        (("--admin-key", "secret", "--url", "http://[::1"), "no web address"),
        (("--admin-key", "secret", "--url", "ftp://host"), "must begin with http"),
        (("--admin-key", "secret", "--url", "http://127.0.0.1:1/ü"), "can't be asked"),
        (("--admin-key", "secret", "--url", "http://127.0.0.1:1"), "can't be asked"),
    ],
)
def test_what_can_not_be_sent_is_a_clear_error_without_the_key(options: tuple[str, ...], told: str) -> None:
    """No traceback: it would show the key."""
    result = CliRunner().invoke(keys, ["list", *options])
    assert isinstance(result.exception, SystemExit)
    assert told in result.output
    assert "secret" not in result.output
