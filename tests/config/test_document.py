"""YAML with lines and environment variables."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from askonce.config.document import read_document
from askonce.config.problems import ConfigError


def data(text: str, env: dict[str, str] | None = None) -> Any:
    document = read_document(text, "askonce.yaml", env or {})
    assert document.problems == []
    return document.data


def complaint(text: str, env: dict[str, str] | None = None) -> str:
    try:
        document = read_document(text, "askonce.yaml", env or {})
    except ConfigError as error:
        return str(error)
    return str(ConfigError("askonce.yaml", document.problems))


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("on", True),
        ("Off", False),
        ("true", True),
        ('"on"', "on"),
        ("'1'", "1"),
        ("12", 12),
        ("-3", -3),
        ("0123", 123),
        ("0.25", 0.25),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ('""', ""),
        ("1%", "1%"),
        ("1d", "1d"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:00", "12:30:00"),
        ("0x10", "0x10"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("9" * 5000, "9" * 5000),
        (".inf", ".inf"),
    ],
)
def test_plain_scalars_mean_what_they_look_like(scalar: str, value: object) -> None:
    """No dates, octal or base-60 numbers; switches are booleans unless quoted."""
    found = data(f"key: {scalar}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_an_empty_text_is_an_empty_mapping() -> None:
    """A file of comments is a configuration that says nothing."""
    assert data("") == {}
    assert data("# nothing\n") == {}


def test_keys_are_always_text() -> None:
    """A key `on` or `1` isn't a boolean or a number."""
    assert data("on: 1\n2: two") == {"on": 1, "2": "two"}


def test_aliases_are_followed() -> None:
    """An anchor's value may be used again."""
    assert data("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_memory_needs_no_quotes() -> None:
    """`store: memory:` isn't YAML, but what everybody writes; lines stay where they are."""
    document = read_document("store: memory:  # forgets\nlisten: x:1\n", "askonce.yaml", {})
    assert document.data == {"store": "memory:", "listen": "x:1"}
    assert document.lines[("listen",)] == 2


@pytest.mark.parametrize(
    ("value", "env", "filled"),
    [
        ("${KEY}", {"KEY": "secret"}, "secret"),
        ("a-${KEY}-b-${KEY}", {"KEY": "x"}, "a-x-b-x"),
        ("${KEY:-fallback}", {}, "fallback"),
        ("${KEY:-fallback}", {"KEY": ""}, "fallback"),
        ("${KEY:-fallback}", {"KEY": "set"}, "set"),
        ("${KEY:-}", {}, ""),
        ("${KEY}", {"KEY": ""}, ""),
        ("${KEY}", {"KEY": "12"}, "12"),
        ("${KEY}", {"KEY": "${OTHER}"}, "${OTHER}"),
        ("${URL:-http://127.0.0.1:8000/v1}", {}, "http://127.0.0.1:8000/v1"),
        ("$${KEY}", {}, "${KEY}"),
        ("$KEY {KEY}", {"KEY": "x"}, "$KEY {KEY}"),
    ],
)
def test_variables_are_filled_in(value: str, env: dict[str, str], filled: str) -> None:
    """Everywhere in a text, once, as the shell does it; the outcome is text and isn't read as YAML again."""
    assert data(f"key: {value}", env) == {"key": filled}
    assert data(f"key: '{value}'", env) == {"key": filled}


def test_variables_in_keys_are_left_alone() -> None:
    """Only values are filled in."""
    assert data('"${KEY}": 1', {"KEY": "x"}) == {"${KEY}": 1}


def test_unset_variables_are_named_with_their_lines() -> None:
    """All of them at once, with the way out."""
    text = "a: 1\nb:\n  c: ${FIRST}\n  d:\n    - ${SECOND}${THIRD}\n"
    assert complaint(text).splitlines() == [
        "askonce.yaml:3: b.c: the environment variable FIRST is not set; set it or write ${FIRST:-default}",
        "askonce.yaml:5: b.d[0]: the environment variable SECOND is not set; set it or write ${SECOND:-default}",
        "askonce.yaml:5: b.d[0]: the environment variable THIRD is not set; set it or write ${THIRD:-default}",
    ]


@pytest.mark.parametrize("value", ["${}", "${1}", "${A B}", "${A", "x${A:-${B}}", "${A-b}"])
def test_malformed_variables_are_refused(value: str) -> None:
    """What looks like a variable but isn't one doesn't pass silently."""
    assert complaint(f"k: '{value}'") == (
        "askonce.yaml:1: k: must be ${NAME} or ${NAME:-default}; write $${ for a literal ${"
    )


def test_keys_given_twice_are_refused() -> None:
    """Plain YAML would let the second win."""
    assert complaint("a: 1\nb: {c: 1}\na: 2\n") == "askonce.yaml:3: a: given twice, first in line 1"


@pytest.mark.parametrize(
    ("text", "complaint_text"),
    [
        ("a: !ENV x", "askonce.yaml:1: a: tags (!…) are not supported"),
        ("a: !!python/object:os.system x", "askonce.yaml:1: a: tags (!…) are not supported"),
        ("\n? [1]\n: 2", "askonce.yaml:2: a key must be plain text"),
        ("a: &x [*x]", "askonce.yaml:1: a[0]: an alias (*…) inside of what it stands for"),
    ],
)
def test_unusual_yaml_is_refused(text: str, complaint_text: str) -> None:
    """What the configuration has no use for is an error at its line."""
    assert complaint(text) == complaint_text


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3, "not valid YAML"),
        ("a: 1\nlisten: [::1]:8080\n", 2, "text that begins with [ or { needs quotes"),
        ("a: 1\nname: [a] b\n", 2, "text that begins with [ or { needs quotes"),
        ("a: b: c\n", 1, "text with a colon before a space or at its end needs quotes"),
        ("a:\n\tb: 1\n", 2, "indent with spaces"),
        ("a: 1\n\x00", 2, "special characters are not allowed"),
        ("a: 1\n---\nb: 1\n", 2, "but found another document"),
        ("[" * 5000, 1, "nested too deeply"),
    ],
)
def test_broken_yaml_is_located(text: str, line: int, hint: str) -> None:
    """The line at which YAML ends to be YAML, and a hint where the cause is a usual one."""
    found = complaint(text)
    assert found.startswith(f"askonce.yaml:{line}: ")
    assert hint in found


keys = st.text("abcdefgh", min_size=1, max_size=4)
trees = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(keys, trees, min_size=1, max_size=4))
def test_data_is_what_was_written_and_lines_are_where_it_is(tree: dict[str, Any]) -> None:
    """Block style puts every key on a line of its own: that is the line that is remembered."""
    text = yaml.safe_dump(tree, default_flow_style=False, sort_keys=False)
    document = read_document(text, "askonce.yaml", {})
    assert document.data == tree
    for path, line in document.lines.items():
        if path and isinstance(path[-1], str):
            assert f"{path[-1]}:" in text.splitlines()[line - 1]


@given(st.text() | st.text("ab:-[]{}&*!|>'\"#%@`\n\t $0,?"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail otherwise than with a ConfigError."""
    try:
        read_document(text, "askonce.yaml", {})
    except ConfigError as error:
        assert str(error).startswith("askonce.yaml:")  # noqa: PT017 - either way is right
