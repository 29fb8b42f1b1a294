"""Answers that somebody did write: a file of questions and what to say to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_answers"]


def read_answers(path: Path) -> dict[str, str]:
    """Reads JSON Lines of `{"question": …, "answer": …}` or `{"questions": […], "answer": …}`.

    Raises:
        OSError: the file can't be read.
        ValueError: a line is neither; the message names it.
    """
    answers: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        questions, answer = _entry(line, number)
        answers.update(dict.fromkeys(questions, answer))
    return answers


def _entry(line: bytes, number: int) -> tuple[list[str], str]:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ValueError(f"line {number} is not JSON") from None
    if isinstance(entry, dict):
        answer = entry.get("answer")
        questions = entry["questions"] if "questions" in entry else [entry.get("question")]
        if isinstance(answer, str) and isinstance(questions, list) and _are_texts(questions):
            return questions, answer
    raise ValueError(f'line {number} needs "question" (a text) or "questions" (texts), and "answer" (a text)')


def _are_texts(values: list[object]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)
