"""YAML text as plain data that remembers its lines, with environment variables filled in.

Plain scalars are read as YAML 1.1 reads booleans and YAML 1.2 reads numbers: no dates, no octal or
base-60 numbers, so that `2024-01-01`, `0123` and `12:30:00` stay what they look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from askonce.config.problems import ConfigError, Path, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Document", "read_document"]

Scalar: TypeAlias = str | int | float | bool | None

_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str"))
_BARE_MEMORY: Final = re.compile(r"^(store:[ \t]+)memory:(?=[ \t]*(?:#.*)?\r?$)", re.MULTILINE)
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{).)*))?", re.DOTALL)
_HINTS: Final = {
    "expected <block end>": " (text that begins with [ or { needs quotes)",
    "expected the node content": " (text that begins with [ or { needs quotes)",
    "mapping values are not allowed here": " (text with a colon before a space or at its end needs quotes)",
    "found character '\\t' that cannot start any token": " (indent with spaces)",
}


@dataclass(slots=True)
class Document:
    """A configuration file's contents.

    Attributes:
        data: Plain dicts, lists and scalars; None where there was a problem.
        lines: First line (counted from 1) of the entry at every path.
        problems: What is wrong with the document as YAML, doubled keys and unset variables included.
    """

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_document(text: str, source_name: str, env: Mapping[str, str]) -> Document:
    """Reads YAML; an empty text is an empty mapping.

    `${NAME}` and `${NAME:-default}` in string values are replaced from `env` (`$${` stands for `${`); the
    default also counts where the variable is empty. Raises ConfigError where the text isn't YAML at all.
    """
    reader = _Reader(env)
    try:
        # To YAML, the colon in `store: memory:` begins a second mapping; nobody means that.
        node = yaml.compose(_BARE_MEMORY.sub(r'\1"memory:"', text), Loader=yaml.BaseLoader)
        reader.document.data = {} if node is None else reader.value(node, ())
    except yaml.YAMLError as error:
        problem = _syntax_problem(error, text)
    except RecursionError:
        problem = Problem((), 1, "is nested too deeply")
    else:
        reader.document.lines[()] = 1
        return reader.document
    raise ConfigError(source_name, [problem])


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    """Where YAML ends to be YAML. The text itself isn't shown: it may hold a key."""
    line = text.count("\n") + 1
    reason = "unreadable"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else line
        reason = error.problem or reason
        reason += _HINTS.get(reason.partition(",")[0], "")
    elif isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        reason = error.reason
    return Problem((), line, f"not valid YAML: {reason}")


def _plain_scalar(text: str) -> Scalar:
    """What an unquoted scalar stands for."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Reader:
    """Turns nodes into data; gathers lines and problems on the way."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._open: set[int] = set()
        self.document = Document()

    def _report(self, path: Path, node: yaml.Node, message: str) -> None:
        self.document.problems.append(Problem(path, node.start_mark.line + 1, message))

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The data of a node, None where there is a problem with it."""
        if node.tag not in _TAGS:
            self._report(path, node, "tags (!…) are not supported")
            return None
        if id(node) in self._open:
            self._report(path, node, "an alias (*…) inside of what it stands for")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(path, key_node, "a key must be plain text")
                continue
            key = str(key_node.value)
            inner = (*path, key)
            if key in found:
                first = self.document.lines[inner]
                self._report(inner, key_node, f"given twice, first in line {first}")
                continue
            self.document.lines[inner] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, inner)
        return found

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        found = []
        for index, item in enumerate(node.value):
            self.document.lines[(*path, index)] = item.start_mark.line + 1
            found.append(self.value(item, (*path, index)))
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> Scalar:
        text = str(node.value)
        if "${" not in text:
            plain = isinstance(node, yaml.ScalarNode) and node.style is None
            return _plain_scalar(text) if plain else text
        problems: list[str] = []
        filled = _VARIABLE.sub(lambda match: self._variable(match, problems), text)
        for message in problems:
            self._report(path, node, message)
        return None if problems else filled

    def _variable(self, match: re.Match[str], problems: list[str]) -> str:
        """The text that a `${…}` stands for; adds a sentence to `problems` where there is none."""
        if match["inside"] is None:
            return "${"
        parts = _INSIDE.fullmatch(match["inside"])
        if parts is None or not match["end"]:
            problems.append("must be ${NAME} or ${NAME:-default}; write $${ for a literal ${")
            return ""
        name, default = parts[1], parts[2]
        found = self._env.get(name)
        if default is not None:
            return found or str(default)
        if found is None:
            problems.append(
                f"the environment variable {name} is not set; set it or write ${{{name}:-default}}"
            )
            return ""
        return found
