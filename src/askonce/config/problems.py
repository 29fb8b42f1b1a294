"""What is wrong with a configuration, said in its own words: path, line and what to do.

No sentence repeats a value of the file: a key in the wrong place must not end up in a log.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, get_args, get_origin

from askonce.config.section import Section, yaml_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["ConfigError", "Path", "Problem", "find_problems", "sections_of", "unknown_key"]

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of the file."""

_SENTENCES: Final = {
    "missing": "required, but missing",
    "string_type": "must be text; put it in quotes",
    "string_pattern_mismatch": "must be lower-case letters, digits, - and _ (at most 63, a letter or digit first)",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_short": "must have at least one item",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "dict_type": "must be a mapping (key: value)",
    "tuple_type": "must be a list",
    "path_type": "must be a path",
    "value_error": "{error}",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `line` counts from 1 and is None where there is no file."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        where = _dotted(self.path)
        return f"{where}: {self.message}" if where else self.message


class ConfigError(Exception):
    """A configuration that can't be used, with everything that is wrong with it.

    Attributes:
        source_name: The file, or what stands for it.
        problems: At least one, in the order of their lines.
    """

    def __init__(self, source_name: str, problems: Sequence[Problem]) -> None:
        self.source_name = source_name
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__(
            "\n".join(
                f"{source_name}{'' if problem.line is None else f':{problem.line}'}: {problem}"
                for problem in self.problems
            )
        )


def _dotted(path: Path) -> str:
    """`upstreams[0].aliases."gpt-4.1"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_*-]+", part)
            text += ("." if text else "") + (part if plain else f'"{part}"')
    return text


def find_problems(error: ValidationError, root: type[Section], lines: Mapping[Path, int]) -> list[Problem]:
    """Everything that pydantic found, in our words and with lines.

    Args:
        error: What the validation of `root` raised.
        root: The model of the whole configuration.
        lines: First line of the entry at every path; empty where there is no file.
    """
    found: list[tuple[Path, str]] = []
    short: list[tuple[Path, str]] = []
    for details in error.errors(include_url=False, include_input=False):
        path = _path(details)
        if details["type"] == "violations":
            found += [((*path, *inner), text) for inner, text in details["ctx"]["all"]]
        else:
            (short if details["type"] == "too_short" else found).append(
                (path, _sentence(details, path, root))
            )
    # Pydantic counts good items alone: a list is too short only if none of its items was complained of.
    found += [(path, text) for path, text in short if all(path != other[: len(path)] for other, _ in found)]
    return [Problem(path, _line(path, lines), message) for path, message in found]


def _path(details: ErrorDetails) -> Path:
    """Where the error is in the file: pydantic's location without its own marks."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    if path[:1] == ("upstreams",) and len(path) > 2:  # noqa: PLR2004 - upstreams, position, type
        return (*path[:2], *path[3:])
    return (*path, "type") if details["type"] == "upstream_type" else path


def _line(path: Path, lines: Mapping[Path, int]) -> int | None:
    """The line of a path, or of the nearest mapping around it where the path itself isn't in the file."""
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _sentence(details: ErrorDetails, path: Path, root: type[Section]) -> str:
    if details["type"] == "extra_forbidden":
        return unknown_key(str(path[-1]), _valid_keys(root, path[:-1]))
    if details["type"] in _SENTENCES:
        return _SENTENCES[details["type"]].format(**details.get("ctx", {}))
    return details["msg"]


def unknown_key(key: str, valid: Sequence[str]) -> str:
    """The sentence about a key that a mapping doesn't have."""
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    if near:
        return f'unknown key; did you mean "{near[0]}"?'
    return f"unknown key; valid keys: {', '.join(valid)}"


def _valid_keys(root: type[Section], path: Path) -> list[str]:
    """The keys of the mapping at `path`."""
    keys = {yaml_key(name): None for section in _walk(root, path) for name in section.model_fields}
    return list(keys)


def _walk(annotation: Any, path: Path) -> list[type[Section]]:
    """The models that the mapping at `path` may be of, beginning at the type `annotation`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict or origin is tuple:
        return _walk(arguments[1 if origin is dict else 0], path[1:])
    if origin is Annotated:
        return _walk(arguments[0], path)
    if not isinstance(annotation, type):
        return [section for option in arguments for section in _walk(option, path)]
    if not issubclass(annotation, Section) or not path:
        return [annotation] if issubclass(annotation, Section) else []
    fields = {yaml_key(name): field.annotation for name, field in annotation.model_fields.items()}
    return _walk(fields.get(str(path[0]), NoneType), path[1:])


def sections_of(annotation: Any) -> list[type[Section]]:
    """The models of the mappings in a type, whatever lists and maps they are in."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for option in get_args(annotation) for section in sections_of(option)]
