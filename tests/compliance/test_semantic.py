"""The semantic tier through the front door: what shares an answer in other words, and what must not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import CallCounter, Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
upstreams: [{{name: p, base_url: "{upstream}"}}]
store: sqlite://{folder}/askonce.db
features: {{shadow: {{semantic: shadow}}, apart: {{semantic: "off"}}, single: {{max_turns: 1}}}}
defaults: {{semantic: "on", error_budget: 30%}}
"""
LOOKALIKES = [
    ("How do I turn dark mode on?", "How do I turn dark mode off?"),
    ("Can I get a refund within 14 days?", "Can I get a refund within 40 days?"),
    ("What is the capital of Australia?", "What is the capital of Austria?"),
    ("Move data from my phone to my laptop", "Move data from my laptop to my phone"),
    ("Which port does HTTPS use, 443?", "Which port does HTTPS use, 8443?"),
    ("Translate to French: good morning", "Translate to French: good night"),
    ("Classify the sentiment: I love this router", "Classify the sentiment: I hate this router"),
    ("Does the plan include support?", "Does the plan not include support?"),
    ("convert from python to R", "convert from R to python"),
    ("How do I cancel my trial?", "How do I cancel my subscription?"),
]


def ready(server: Server) -> bool:
    state: str = server.json("/healthz")["semantic"]["state"]
    return state == "ready"


@pytest.fixture(scope="module")
def semantic(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    """A gateway whose semantic tier is on, loaded."""
    folder = tmp_path_factory.mktemp("semantic")
    with gateway(folder, CONFIG.format(upstream=provider.base_url, folder=folder)) as server:
        until(lambda: ready(server), "the embedder is ready")
        yield server


def connect(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def ask(client: openai.OpenAI, *texts: str, system: str = "Be brief.", **fields: Any) -> Any:
    """The raw response to a conversation of user messages with canned answers between."""
    messages: Any = [{"role": "system", "content": system}]
    for text in texts[:-1]:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "I see."}]
    messages.append({"role": "user", "content": texts[-1]})
    return client.chat.completions.with_raw_response.create(model="sim-small", messages=messages, **fields)


def test_a_paraphrase_shares_the_answer(semantic: Server, calls: CallCounter) -> None:
    """Other words, same answer: one call; the hit says how sure it is, and its repetition needs no embedding."""
    with connect(semantic, "sk-paraphrase") as client:
        first = ask(client, "How do I reset my password?")
        other = ask(client, "how can I reset my password")
        assert other.headers["x-askonce-outcome"] == "semantic"
        assert 0 < float(other.headers["x-askonce-confidence"]) <= 1
        assert (
            other.headers["x-askonce-entry"]
            == ask(client, "How do I reset my password?").headers["x-askonce-entry"]
        )
        assert first.parse().choices[0].message.content == other.parse().choices[0].message.content
        runs = semantic.metric("askonce_embedder_runs_total")
        again = ask(client, "how can I reset my password")
        assert (again.headers["x-askonce-outcome"], again.headers["x-askonce-reason"]) == ("semantic", "link")
        assert semantic.metric("askonce_embedder_runs_total") == runs
    assert calls.new == 1


@pytest.mark.parametrize("pair", LOOKALIKES, ids=lambda pair: pair[0])
def test_lookalikes_never_share(semantic: Server, calls: CallCounter, pair: tuple[str, str]) -> None:
    """Opposites, swapped numbers, other entities, directions and templates: each gets an answer of its own."""
    with connect(semantic, "sk-lookalikes") as client:
        assert [ask(client, text).headers["x-askonce-outcome"] for text in pair] == ["fresh", "fresh"]
    assert calls.new == 2


def test_context_keeps_equal_questions_apart(semantic: Server, calls: CallCounter) -> None:
    """Another system prompt, model parameter, tenant or history is another partition."""
    text, other = "How do I change the channel of my router?", "how can i change the channel of my router"
    with connect(semantic, "sk-context") as client, connect(semantic, "sk-context-2") as stranger:
        assert ask(client, text).headers["x-askonce-outcome"] == "fresh"
        assert ask(client, other, system="Answer in French.").headers["x-askonce-outcome"] == "fresh"
        assert ask(client, other, temperature=0.3).headers["x-askonce-outcome"] == "fresh"
        assert ask(client, "Hello", other).headers["x-askonce-outcome"] == "fresh"
        assert ask(stranger, other).headers["x-askonce-outcome"] == "fresh"
        assert ask(client, other).headers["x-askonce-outcome"] == "semantic"
    assert calls.new == 5


def test_what_is_not_plain_text_is_left_alone(semantic: Server) -> None:
    """Images, `n` > 1, tools and long conversations: no semantic hit, though the text is a paraphrase."""
    text, other = "How do I update the firmware?", "how can I update the firmware"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    with connect(semantic, "sk-left") as client:
        for fields in ({"n": 2}, {"tools": [tool]}):
            words = [ask(client, one, **fields).headers["x-askonce-outcome"] for one in (text, other)]
            assert words == ["fresh", "fresh"]
        long = [ask(client, "a", "b", "c", one).headers["x-askonce-outcome"] for one in (text, other)]
        assert long == ["fresh", "fresh"]
        for one in (text, other):
            messages: Any = [{"role": "user", "content": [{"type": "text", "text": one}, image]}]
            raw = client.chat.completions.with_raw_response.create(model="sim-small", messages=messages)
            assert raw.headers["x-askonce-outcome"] == "fresh"


def test_headers_keep_the_tier_out(semantic: Server, calls: CallCounter) -> None:
    """`no-cache` and `no-store` get answers of their own; `only-if-cached` takes an equivalent stored one or nothing."""
    first, other = "How do I mute the speaker?", "how can I mute the speaker"
    only = {"Cache-Control": "only-if-cached"}
    with connect(semantic, "sk-headers") as client:
        with pytest.raises(openai.InternalServerError, match="only-if-cached"):
            ask(client, other, extra_headers=only)
        assert ask(client, first).headers["x-askonce-outcome"] == "fresh"
        no_store = ask(client, other, extra_headers={"Cache-Control": "no-store"})
        assert no_store.headers["x-askonce-outcome"] == "bypass"
        no_cache = ask(client, other + "?", extra_headers={"Cache-Control": "no-cache"})
        assert no_cache.headers["x-askonce-outcome"] == "fresh"
        assert ask(client, other, extra_headers=only).headers["x-askonce-outcome"] == "semantic"
    assert calls.new == 3


def test_a_link_serves_only_where_the_tier_applies(semantic: Server, calls: CallCounter) -> None:
    """Features share keys: a link that one made in a conversation isn't served to one that matches first turns alone."""
    first, other = "How do I block a phone number?", "how can I block a phone number"
    with connect(semantic, "sk-single") as client:
        assert ask(client, "Hello", first).headers["x-askonce-outcome"] == "fresh"
        assert ask(client, "Hello", other).headers["x-askonce-outcome"] == "semantic"
        assert ask(client, "Hello", other).headers["x-askonce-reason"] == "link"
        single = {"X-Askonce-Feature": "single"}
        assert ask(client, "Hello", other, extra_headers=single).headers["x-askonce-outcome"] == "fresh"
    assert calls.new == 2


def test_modes(semantic: Server, calls: CallCounter) -> None:
    """`shadow` looks up and reports but serves fresh; `off` doesn't look."""
    texts = ("How do I open a port for my game console?", "how can I open a port for my game console")
    with connect(semantic, "sk-modes") as client:
        for feature in ("shadow", "apart"):
            header = {"X-Askonce-Feature": feature}
            words = [ask(client, text, extra_headers=header).headers["x-askonce-outcome"] for text in texts]
            assert words == ["fresh", "fresh"] or feature == "apart"
    until(
        lambda: (
            semantic.metric(
                "askonce_semantic_decisions_total", feature="shadow", mode="shadow", reason="match"
            )
            == 1
        ),
        "shadow mode reports the hit it didn't serve",
    )
    assert calls.new >= 2


async def test_equivalent_requests_in_flight_share_one_call(semantic: Server, calls: CallCounter) -> None:
    """A paraphrase that arrives while the first is being answered joins it: streams too, with an id of their own."""
    async with openai.AsyncOpenAI(base_url=semantic.base_url, api_key="sk-flight", max_retries=0) as client:

        async def stream(text: str) -> tuple[str, str, str]:
            raw = await client.chat.completions.with_raw_response.create(
                model="sim-small",
                messages=[{"role": "user", "content": text}],
                stream=True,
                extra_body={"x_simulate": {"ttft_ms": 600}},
            )
            chunks = [chunk async for chunk in raw.parse()]
            said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            return raw.headers["x-askonce-outcome"], said, chunks[0].id

        first = asyncio.create_task(stream("Where can I see my invoices?"))
        await asyncio.sleep(0.2)
        others = [asyncio.create_task(stream("where can i see my invoices")) for _ in range(3)]
        answers = await asyncio.gather(first, *others)
    assert [outcome for outcome, _, _ in answers] == ["fresh"] + ["semantic-joined"] * 3
    assert len({said for _, said, _ in answers}) == 1
    assert len({identity for _, _, identity in answers}) == 4
    assert calls.new == 1


async def test_a_running_answer_that_may_not_be_joined_is_found_later(semantic: Server) -> None:
    """Whoever takes stored answers alone gets none of one under way, and spoils nothing for those who come later."""
    async with openai.AsyncOpenAI(base_url=semantic.base_url, api_key="sk-later", max_retries=0) as client:

        async def outcome(text: str, **more: Any) -> str:
            raw = await client.chat.completions.with_raw_response.create(
                model="sim-small",
                messages=[{"role": "user", "content": text}],
                extra_body={"x_simulate": {"ttft_ms": 600}},
                **more,
            )
            return str(raw.headers["x-askonce-outcome"])

        first = asyncio.create_task(outcome("Where can I download my contract?"))
        await asyncio.sleep(0.2)
        with pytest.raises(openai.InternalServerError, match="only-if-cached"):
            await outcome(
                "where can i download my contract", extra_headers={"Cache-Control": "only-if-cached"}
            )
        assert await first == "fresh"
        assert await outcome("where can i download my contract") == "semantic"


async def test_a_feature_without_the_tier_never_joins_into_it(semantic: Server, calls: CallCounter) -> None:
    """While one feature's request follows an equivalent one, the identical request of a feature that is off is fresh."""
    async with openai.AsyncOpenAI(base_url=semantic.base_url, api_key="sk-apart", max_retries=0) as client:

        async def outcome(text: str, feature: str) -> str:
            raw = await client.chat.completions.with_raw_response.create(
                model="sim-small",
                messages=[{"role": "user", "content": text}],
                extra_body={"x_simulate": {"ttft_ms": 600}},
                extra_headers={"X-Askonce-Feature": feature},
            )
            return raw.headers["x-askonce-outcome"]

        first = asyncio.create_task(outcome("Where can I change my address?", "default"))
        await asyncio.sleep(0.15)
        other = asyncio.create_task(outcome("where can i change my address", "default"))
        await asyncio.sleep(0.15)
        features = ("apart", "shadow", "apart")
        others = [asyncio.create_task(outcome("where can i change my address", name)) for name in features]
        assert await asyncio.gather(first, other, *others) == [
            "fresh", "semantic-joined", "fresh", "joined", "joined",
        ]  # fmt: skip
    assert calls.new == 2


def test_requests_go_through_while_the_embedder_loads(
    tmp_path_factory: pytest.TempPathFactory, provider: Server
) -> None:
    """Ready at once, before the embedder is; and what was asked meanwhile can be found in other words afterwards."""
    folder = tmp_path_factory.mktemp("loading")
    with gateway(folder, CONFIG.format(upstream=provider.base_url, folder=folder)) as server:
        assert server.json("/readyz") == {"ready": True}
        with connect(server, "sk-loading") as client:
            assert ask(client, "How do I rename my network?").headers["x-askonce-outcome"] == "fresh"
            until(lambda: ready(server), "the embedder is ready")
            until(lambda: server.json("/healthz")["semantic"]["backlog"] == 0, "the backlog is embedded")
            assert ask(client, "how can I rename my network").headers["x-askonce-outcome"] == "semantic"


def test_questions_survive_a_restart(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> None:
    """The vector index is rebuilt from the store."""
    folder = tmp_path_factory.mktemp("restart")
    config = CONFIG.format(upstream=provider.base_url, folder=folder)
    with gateway(folder, config) as server, connect(server, "sk-restart") as client:
        until(lambda: ready(server), "the embedder is ready")
        assert ask(client, "How do I block a device?").headers["x-askonce-outcome"] == "fresh"
    with gateway(folder, config) as server, connect(server, "sk-restart") as client:
        until(
            lambda: ready(server) and server.json("/healthz")["semantic"]["questions"] == 1,
            "the index is rebuilt",
        )
        assert ask(client, "how can I block a device").headers["x-askonce-outcome"] == "semantic"


def test_logs_and_metrics_hold_no_prompt_text(semantic: Server) -> None:
    """Neither the process's output nor its metrics or health say what was asked or which key asked."""
    secret = "xylophone-9131"
    with connect(semantic, "sk-do-not-log") as client:
        ask(client, f"What is {secret}?")
        with pytest.raises(openai.BadRequestError):
            ask(client, f"What is {secret}?", extra_body={"x_simulate": {"status": 400}})
    said = semantic.log.read_text() + semantic.get("/metrics") + json.dumps(semantic.json("/healthz"))
    assert secret not in said
    assert "sk-do-not-log" not in said
