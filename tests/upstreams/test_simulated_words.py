"""Where the simulated upstream's words come from: answer files, tokens, JSON that fits a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import UpstreamFailure
from askonce.upstreams.simulated import read_answers
from askonce.upstreams.simulated.dice import Dice
from askonce.upstreams.simulated.schema import instance
from askonce.upstreams.simulated.text import limit, tokenise

if TYPE_CHECKING:
    from pathlib import Path

    from upstreams.asking import Json


class TestAnswersFile:
    def test_both_forms_of_a_line_are_read(self, tmp_path: Path) -> None:
        """One question or several per line; empty lines are skipped."""
        path = tmp_path / "answers.jsonl"
        path.write_text('{"question": "a", "answer": "1"}\n\n{"questions": ["b", "c"], "answer": "2"}\n')
        assert read_answers(path) == {"a": "1", "b": "2", "c": "2"}

    @pytest.mark.parametrize("line", ["{", "[]", '{"question": "a"}', '{"questions": [], "answer": "1"}'])
    def test_a_bad_line_is_named(self, tmp_path: Path, line: str) -> None:
        """The error says which line."""
        path = tmp_path / "answers.jsonl"
        path.write_text(f'{{"question": "a", "answer": "1"}}\n{line}\n')
        with pytest.raises(ValueError, match="line 2"):
            read_answers(path)


class TestWords:
    @given(st.text())
    def test_tokens_join_to_the_text(self, text: str) -> None:
        """No character is lost or added by tokenising."""
        assert "".join(tokenise(text)) == text

    @given(st.text(min_size=1), st.integers(1, 50), st.none() | st.integers(1, 50))
    def test_a_length_is_met_exactly(self, text: str, length: int, bound: int | None) -> None:
        """A directed length is met whatever the text, up to the request's bound."""
        piece = limit(text, (), bound, length)
        assert len(piece.tokens) == min(length, bound or length)
        assert piece.finish_reason == ("length" if bound is not None and bound < length else "stop")

    @given(st.integers())
    def test_a_recursive_schema_comes_to_an_end(self, seed: int) -> None:
        """A tree of nodes is finite, and each node has what it needs."""
        node = {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 5},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "next"],
        }
        made = instance({"$ref": "#/$defs/node", "$defs": {"node": node}}, Dice(seed))
        assert set(made) == {"name", "children", "next"}
        assert len(made["name"]) <= 5

    @given(st.integers(), st.integers(-50, 50), st.integers(0, 50))
    def test_numbers_lie_in_range(self, seed: int, low: int, width: int) -> None:
        """Integers and numbers heed both bounds, also where only one value is left."""
        for kind in ("integer", "number"):
            made = instance({"type": kind, "minimum": low, "maximum": low + width}, Dice(seed))
            assert low <= made <= low + width

    @pytest.mark.parametrize("schema", [{"type": "object", "required": 5}, {"enum": 3}, {"anyOf": {"a": 1}}])
    def test_a_schema_that_is_none_is_refused(self, schema: Json) -> None:
        """Nonsense is an invalid request, not a crash."""
        with pytest.raises(UpstreamFailure, match="schema"):
            instance(schema, Dice(0))
