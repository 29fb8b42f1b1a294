"""The packaged sample and the traffic made of it."""

from __future__ import annotations

import importlib.resources
import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.cli.sample import PlannedRequest, Sample, load_sample, normalised, traffic
from askonce.upstreams.simulated.answers import read_answers

_SEEDS = range(5)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_sample()


def _rows() -> list[dict[str, Any]]:
    text = importlib.resources.files("askonce.data").joinpath("support.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _repeats(plan: list[PlannedRequest], after_s: float = 1.5) -> int:
    """Requests whose very question was first asked at least `after_s` before."""
    first: dict[str, float] = {}
    return sum(one.at_s - first.setdefault(one.question, one.at_s) >= after_s for one in plan)


def _waves(plan: list[PlannedRequest], within_s: float = 0.004) -> Counter[tuple[str, float]]:
    """Sizes of the runs of one question whose requests all come within `within_s` of the first."""
    began: dict[str, float] = {}
    sizes: Counter[tuple[str, float]] = Counter()
    for one in plan:
        if one.at_s - began.get(one.question, -1.0) > within_s:
            began[one.question] = one.at_s
        sizes[one.question, began[one.question]] += 1
    return sizes


def test_every_line_has_the_agreed_fields() -> None:
    """Each line is a JSON object with texts that are neither empty nor padded, and nothing beside the fields."""
    for row in _rows():
        assert {"intent", "answer", "questions"} <= row.keys() <= {"intent", "group", "answer", "questions"}
        texts = [row["intent"], row["answer"], row.get("group", "-"), *row["questions"]]
        assert all(isinstance(text, str) and text and text == text.strip() for text in texts), row["intent"]


def test_the_sample_has_the_size_that_the_demo_needs(sample: Sample) -> None:
    """About 70 intents, 5 to 9 wordings each, none shorter than 4 words or longer than 25."""
    assert len(sample.intents) >= 70
    for intent in sample.intents:
        assert 5 <= len(intent.questions) <= 9, intent.name
        assert all(4 <= len(question.split()) <= 25 for question in intent.questions), intent.name
        assert 60 <= len(intent.answer) <= 400, intent.name


def test_look_alikes_are_plenty(sample: Sample) -> None:
    """At least 25 groups of at least two intents, so that wrong answers are within easy reach."""
    groups = Counter(intent.group for intent in sample.intents if intent.group)
    assert len(groups) >= 25
    assert min(groups.values()) >= 2


def test_the_truth_is_unambiguous(sample: Sample) -> None:
    """No question, answer or name stands under two intents, not even in another case or spacing."""
    rows = _rows()
    questions = [normalised(question) for row in rows for question in row["questions"]]
    assert len(set(questions)) == len(questions) == len(sample.by_question)
    assert len({normalised(row["answer"]) for row in rows}) == len(rows) == len(sample.by_answer)
    assert len({row["intent"] for row in rows}) == len(rows) == len(sample.answers)


def test_questions_lead_to_their_intents(sample: Sample) -> None:
    """The indexes agree with the intents, whatever a question's case and white space."""
    for intent in sample.intents:
        assert sample.by_answer[intent.answer] == intent.name
        for question in intent.questions:
            assert sample.intent_of(question) == intent.name
            assert sample.intent_of(f"  {question.upper()}\n") == intent.name
    assert sample.intent_of("What is the meaning of life?") is None


def test_only_its_own_answer_is_right(sample: Sample) -> None:
    """White space around an answer is forgiven; another intent's answer, a part of it or none is wrong."""
    answer = sample.answers["dark-mode-on"]
    assert sample.is_right("dark-mode-on", f" {answer}\n")
    assert not sample.is_right("dark-mode-off", answer)
    assert not sample.is_right("dark-mode-on", answer[:-1])
    assert not sample.is_right("dark-mode-on", "")


def test_an_intent_that_is_not_there_is_an_error(sample: Sample) -> None:
    """A misspelt intent must not count as a wrong hit."""
    with pytest.raises(KeyError):
        sample.is_right("dark-mode", "")


def test_the_demo_s_suggested_question_is_in_the_sample(sample: Sample) -> None:
    """`askonce demo` invites its reader to send it."""
    assert sample.intent_of("How do I turn on dark mode?") == "dark-mode-on"


def test_the_simulated_upstream_reads_the_same_truth(sample: Sample) -> None:
    """Its answer to each question is the one that the sample takes for right."""
    with importlib.resources.as_file(
        importlib.resources.files("askonce.data").joinpath("support.jsonl")
    ) as path:
        answers = read_answers(path)
    assert all(sample.is_right(name, answers[one]) for one in answers if (name := sample.intent_of(one)))
    assert len(answers) == len(sample.by_question)


def test_the_same_seed_gives_the_same_traffic(sample: Sample) -> None:
    """A plan can be played again; another seed gives another one."""
    assert traffic(sample, 7, 300) == traffic(load_sample(), 7, 300)
    assert traffic(sample, 7, 300) != traffic(sample, 8, 300)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(), requests=st.integers(min_value=0, max_value=800))
def test_any_plan_is_whole_ordered_and_true(seed: int, requests: int) -> None:
    """Exactly as many requests as asked for, in order of time, each with the intent of its question."""
    sample = load_sample()
    plan = traffic(sample, seed, requests)
    assert len(plan) == requests
    assert all(one.at_s <= other.at_s for one, other in pairwise(plan))
    assert all(0.0 <= one.at_s < 12.1 for one in plan)
    assert all(sample.intent_of(one.question) in {one.intent, None} for one in plan)


@pytest.mark.parametrize("seed", _SEEDS)
def test_the_mix_is_as_promised(sample: Sample, seed: int) -> None:
    """Shares of repeats, streams and waves of 600 requests lie in their ranges."""
    plan = traffic(sample, seed, 600)
    assert 0.28 <= _repeats(plan) / 600 <= 0.42
    assert 0.33 <= sum(one.stream for one in plan) / 600 <= 0.47
    sizes = list(_waves(plan).values())
    assert max(sizes) <= 12
    assert sum(size > 1 for size in sizes) >= 8
    assert 0.10 <= sum(size - 1 for size in sizes) / 600 <= 0.36
    assert 11.9 <= plan[-1].at_s <= 12.1


@pytest.mark.parametrize("seed", _SEEDS)
def test_some_questions_are_far_more_popular(sample: Sample, seed: int) -> None:
    """A tenth of the intents gets over a fifth of the requests."""
    plan = traffic(sample, seed, 600)
    assert sum(count for _, count in Counter(one.intent for one in plan).most_common(7)) >= 0.2 * len(plan)


@pytest.mark.parametrize("seed", _SEEDS)
def test_popular_questions_have_popular_opposites(sample: Sample, seed: int) -> None:
    """In the groups that are asked about most, a wave counted once, no member is rare."""
    arrivals = Counter(sample.intent_of(question) for question, _ in _waves(traffic(sample, seed, 600)))
    members = defaultdict(list)
    for intent in sample.intents:
        if intent.group:
            members[intent.group].append(arrivals[intent.name])
    busiest = sorted(members.values(), key=lambda counts: sum(counts) / len(counts))[-5:]
    assert all(min(counts) >= 0.25 * max(counts) for counts in busiest), busiest


def test_waves_mix_streams_with_whole_answers(sample: Sample) -> None:
    """Identical requests at the same moment come in both kinds, so that they can share one upstream call."""
    plan = traffic(sample, 0, 600)
    kinds = defaultdict(set)
    for one in plan:
        kinds[one.question].add(one.stream)
    waves = [question for (question, _), size in _waves(plan).items() if size >= 4]
    assert any(kinds[question] == {True, False} for question in waves)


@pytest.mark.parametrize("seed", _SEEDS)
def test_some_repeat_a_question_as_another_person_types_it(sample: Sample, seed: int) -> None:
    """A tenth or so of the plan isn't in the sample to the letter, but has a sample question's words in it."""
    plan = traffic(sample, seed, 600)
    retyped = [one for one in plan if sample.intent_of(one.question) is None]
    assert 0.05 <= len(retyped) / len(plan) <= 0.25
    wordings = {
        one.name: [normalised(text).rstrip("?.! ") for text in one.questions] for one in sample.intents
    }
    for one in retyped:
        said = normalised(one.question)
        assert any(text.removesuffix(" please") in said for text in wordings[one.intent])


def test_arrivals_come_in_bursts(sample: Sample) -> None:
    """The gaps between arrivals vary more than those of a steady Poisson process would."""
    starts = sorted(at_s for _, at_s in _waves(traffic(sample, 0, 600)))
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance > 1.2 * mean**2


def test_long_plans_take_longer_and_go_on_with_repeats(sample: Sample) -> None:
    """Beyond 1,200 requests the rate stays at 100 a second, and nearly every wording gets asked."""
    plan = traffic(sample, 0, 3_000)
    asked = sample.by_question.keys() & {normalised(one.question) for one in plan}
    assert len(asked) >= 0.95 * len(sample.by_question)
    assert 29.9 <= plan[-1].at_s <= 30.1
