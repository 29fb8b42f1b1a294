"""From a file, a text or the bare environment to `Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from askonce.config.document import read_document
from askonce.config.forms import SqliteStore
from askonce.config.problems import ConfigError, Problem, find_problems
from askonce.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["default_settings", "load", "loads"]


def load(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings in a file. `env` fills in `${NAME}`. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or "unreadable"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    else:
        return loads(text, str(path), env)
    raise ConfigError(str(path), [Problem((), None, f"can't be read: {reason}")])


def loads(text: str, source_name: str, env: Mapping[str, str]) -> Settings:
    """The settings in a YAML text; `source_name` stands for the file in errors. Raises ConfigError."""
    document = read_document(text, source_name, env)
    checked = _validate(document.data, document.lines)
    if isinstance(checked, Settings) and not document.problems:
        return checked
    problems = list(document.problems)
    if not isinstance(checked, Settings):
        # What a broken value makes of its surroundings is no news.
        broken = [problem.path for problem in problems]
        problems += [
            problem for problem in checked if not any(problem.path[: len(path)] == path for path in broken)
        ]
    raise ConfigError(source_name, problems)


def _validate(data: Any, lines: Mapping[tuple[str | int, ...], int]) -> Settings | list[Problem]:
    """The settings, or what is wrong with them.

    Problems are returned and not raised so that pydantic's own error, which holds the values, is in no
    traceback.
    """
    try:
        return Settings.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        return find_problems(error, Settings, lines)


def default_settings(env: Mapping[str, str]) -> Settings:
    """The settings without a file: OpenAI (or OPENAI_BASE_URL) with OPENAI_API_KEY, and a store that lasts.

    Answers are kept in `askonce/askonce.db` below XDG_STATE_HOME or `~/.local/state`. Raises ConfigError.
    """
    key = env.get("OPENAI_API_KEY")
    if not key:
        advice = (
            "nothing to ask: set OPENAI_API_KEY, or write a configuration file and pass it with "
            "`askonce serve -c FILE`; `askonce demo` shows the gateway without either"
        )
        raise ConfigError("environment", [Problem((), None, advice)])
    upstream = {
        "name": "openai",
        "base_url": env.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",
        "api_key": key,
    }
    checked = _validate({"upstreams": [upstream], "store": SqliteStore(_state_file(env))}, {})
    if isinstance(checked, Settings):
        return checked
    names = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY"}
    problems = [
        Problem((names.get(str(problem.path[-1]), "?"),), None, problem.message) for problem in checked
    ]
    raise ConfigError("environment", problems)


def _state_file(env: Mapping[str, str]) -> Path:
    state = Path(env.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # which the XDG specification says to ignore
        if not env.get("HOME"):
            raise ConfigError(
                "environment", [Problem((), None, "set HOME or XDG_STATE_HOME: the store is kept there")]
            )
        state = Path(env["HOME"]) / ".local" / "state"
    return state / "askonce" / "askonce.db"
