"""What comes through the gateway from a real LLM server, with the official SDK."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from llama.llama_server import LlamaServer
    from servers import Server

pytestmark = pytest.mark.llama
MODEL = "tiny"
_numbers = itertools.count()


@pytest.fixture
def messages() -> Any:
    """A question that no other test asks."""
    return [{"role": "user", "content": f"What is the meaning of number {next(_numbers)}?"}]


@pytest.fixture
def prompt() -> str:
    return f"Once upon {next(_numbers)} times"


class TestChat:
    def test_the_answer_is_the_servers_own(
        self, client: openai.OpenAI, direct: openai.OpenAI, messages: Any
    ) -> None:
        """Without chance in it, the answer through the gateway is the one without: text, reason and usage."""
        request: Any = {"model": MODEL, "messages": messages, "max_tokens": 20, "temperature": 0}
        through, past = (one.chat.completions.create(**request) for one in (client, direct))
        assert through.choices[0].message.content == past.choices[0].message.content
        assert len((through.choices[0].message.content or "").split()) == 20
        assert through.choices[0].finish_reason == past.choices[0].finish_reason == "length"
        assert through.usage is not None
        assert past.usage is not None
        assert through.usage.completion_tokens == past.usage.completion_tokens == 20
        assert through.usage.prompt_tokens == past.usage.prompt_tokens > 10

    def test_a_stream_adds_up(self, client: openai.OpenAI, messages: Any) -> None:
        """Word by word, from an opening chunk whose content is null to one with the usage and no choices; then from the cache."""
        request: Any = {"model": MODEL, "messages": messages, "max_tokens": 20, "temperature": 0.5}
        chunks = list(
            client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
        )
        opening, *words, closing, usage = chunks
        assert (opening.choices[0].delta.role, opening.choices[0].delta.content) == ("assistant", None)
        assert len(words) == 20
        assert closing.choices[0].finish_reason == "length"
        assert usage.choices == []
        assert usage.usage is not None
        assert usage.usage.completion_tokens == 20
        raw = client.chat.completions.with_raw_response.create(**request)
        assert raw.headers["x-askonce-outcome"] == "exact"
        whole = raw.parse()
        assert whole.choices[0].message.content == "".join(
            chunk.choices[0].delta.content or "" for chunk in chunks[:-1]
        )
        assert whole.usage == usage.usage

    def test_usage_comes_to_those_who_asked(self, client: openai.OpenAI, messages: Any) -> None:
        """A stream without `include_usage` has none, though the gateway asks for it; the usage is kept all the same."""
        request: Any = {"model": MODEL, "messages": messages, "max_tokens": 5}
        chunks = list(client.chat.completions.create(**request, stream=True))
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)
        whole = client.chat.completions.create(**request)
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 5

    def test_the_sdks_own_accumulator_reads_it(self, client: openai.OpenAI, messages: Any) -> None:
        """`.stream()` ends with the whole completion, live and from the cache."""
        request: Any = {"model": MODEL, "messages": messages, "max_tokens": 500, "stop": ["va"]}
        texts = []
        for _ in range(2):
            with client.chat.completions.stream(**request) as stream:
                texts.append(stream.get_final_completion().choices[0].message.content)
        assert texts[0] == texts[1]
        assert texts[0]

    def test_logprobs_survive(self, client: openai.OpenAI, messages: Any) -> None:
        """Streamed and added up: one entry a token, with its alternatives."""
        request: Any = {
            "model": MODEL,
            "messages": messages,
            "max_tokens": 4,
            "logprobs": True,
            "top_logprobs": 2,
        }
        streamed = [
            entry
            for chunk in client.chat.completions.create(**request, stream=True)
            if chunk.choices and chunk.choices[0].logprobs
            for entry in chunk.choices[0].logprobs.content or []
        ]
        whole = client.chat.completions.create(**request).choices[0].logprobs
        assert whole is not None
        assert whole.content is not None
        assert [entry.token for entry in whole.content] == [entry.token for entry in streamed]
        assert len(streamed) == 4
        assert all(len(entry.top_logprobs) == 2 for entry in whole.content)

    def test_a_stop_sequence_ends_it(self, client: openai.OpenAI, messages: Any) -> None:
        """A finish reason other than the length's."""
        request: Any = {"model": MODEL, "messages": messages, "temperature": 0}
        first = client.chat.completions.create(**request, max_tokens=10)
        words = (first.choices[0].message.content or "").split()
        stopped = client.chat.completions.create(**request, max_tokens=10, stop=[words[3]])
        assert stopped.choices[0].finish_reason == "stop"
        assert (stopped.choices[0].message.content or "").split() == words[: words.index(words[3])]

    def test_several_choices(self, client: openai.OpenAI, messages: Any) -> None:
        """`n` answers with chance in them differ; streamed, each is whole under its index."""
        request: Any = {"model": MODEL, "messages": messages, "max_tokens": 8, "n": 3}
        whole = client.chat.completions.create(**request)
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in whole.choices}) == 3
        again = {choice.index: choice.message.content for choice in whole.choices}
        texts = {0: "", 1: "", 2: ""}
        for chunk in client.chat.completions.create(**request, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        assert texts == again


class TestCompletions:
    def test_a_prompt_is_continued(self, client: openai.OpenAI, prompt: str) -> None:
        """Plain, then streamed from the cache: the same text."""
        whole = client.completions.create(model=MODEL, prompt=prompt, max_tokens=7)
        assert len(whole.choices[0].text.split()) == 7
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 7
        chunks = client.completions.create(model=MODEL, prompt=prompt, max_tokens=7, stream=True)
        assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text

    def test_a_list_of_prompts_is_answered_in_order(
        self, client: openai.OpenAI, direct: openai.OpenAI, prompt: str
    ) -> None:
        """Each prompt's own continuation in its place. The server counts the first prompt's tokens alone: known, and left so."""
        prompts = [f"{prompt} {word}" for word in ("lot", "for mes", "rin lon pir")]
        whole = client.completions.create(model=MODEL, prompt=prompts, max_tokens=5, temperature=0)
        alone = [
            direct.completions.create(model=MODEL, prompt=one, max_tokens=5, temperature=0) for one in prompts
        ]
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        assert [choice.text for choice in whole.choices] == [one.choices[0].text for one in alone]
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 5

    @pytest.mark.parametrize("include_usage", [True, False])
    def test_a_streamed_list_of_prompts_adds_up(
        self,
        client: openai.OpenAI,
        direct: openai.OpenAI,
        prompt: str,
        include_usage: bool,  # noqa: FBT001 - a case
    ) -> None:
        """It opens with `data: null`, mixes its choices and counts each apart: nobody sees the null, what is kept counts all."""
        prompts = [f"{prompt} {word}" for word in ("lot", "for mes", "rin lon pir")]
        request: Any = {"model": MODEL, "prompt": prompts, "max_tokens": 5, "temperature": 0}
        options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
        texts = ["", "", ""]
        for chunk in client.completions.create(**request, stream=True, **options):
            for choice in chunk.choices:
                texts[choice.index] += choice.text
        assert all(len(text.split()) == 5 for text in texts)
        kept = client.completions.with_raw_response.create(**request)
        assert kept.headers["x-askonce-outcome"] == "exact"
        whole: Any = kept.parse()
        assert [choice.text for choice in whole.choices] == texts
        each = [direct.completions.create(**{**request, "prompt": one}).usage for one in prompts]
        assert whole.usage.completion_tokens == 15
        assert whole.usage.prompt_tokens == sum(usage.prompt_tokens for usage in each if usage)

    def test_one_bad_prompt_is_the_callers_error(self, client: openai.OpenAI) -> None:
        """What the server refuses, the caller is told."""
        bad: Any = ["fine", {"not": "a prompt"}]
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model=MODEL, prompt=bad)


class TestEmbeddings:
    def test_texts_become_vectors_in_order(self, client: openai.OpenAI) -> None:
        """A list gives what each text gives alone, in both encodings, and counts its tokens."""
        texts = ["mes rin", "lon pir det", "sel mar"]
        together = client.embeddings.create(model="tiny-vectors", input=texts)
        floats = client.embeddings.create(model="tiny-vectors", input=texts, encoding_format="float")
        assert [row.index for row in together.data] == [0, 1, 2]
        for text, row, other in zip(texts, together.data, floats.data, strict=True):
            alone = client.embeddings.create(model="tiny-vectors", input=text)
            assert row.embedding == pytest.approx(alone.data[0].embedding, abs=1e-3)
            assert other.embedding == pytest.approx(row.embedding, abs=1e-3)
        assert together.usage.prompt_tokens > len(texts)

    def test_a_server_that_cannot_embed_says_so_once(self, client: openai.OpenAI, askonce: Server) -> None:
        """501 with the server's own sentence; nobody tries again, since another try can't help."""
        before = askonce.metric("askonce_upstream_calls_total", upstream="llama")
        with pytest.raises(openai.InternalServerError) as caught:
            client.embeddings.create(model=MODEL, input="mes rin")
        assert caught.value.status_code == 501
        assert "--embeddings" in caught.value.message
        assert caught.value.type == "not_supported_error"
        assert askonce.metric("askonce_upstream_calls_total", upstream="llama") == before + 1


class TestRefusals:
    @pytest.mark.parametrize("stream", [True, False])
    def test_too_long_a_prompt_says_how_long(
        self,
        client: openai.OpenAI,
        stream: bool,  # noqa: FBT001 - a case
    ) -> None:
        """A context overflow arrives as the server's own 400, with its type, before any event."""
        messages: Any = [{"role": "user", "content": "x" * 20_000}]
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=MODEL, messages=messages, stream=stream)
        assert caught.value.type == "exceed_context_size_error"
        assert "context size" in caught.value.message
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["n_ctx"] == 16_384

    def test_the_models_are_listed(self, client: openai.OpenAI, llama: LlamaServer) -> None:
        """What the servers call their models is what callers may see."""
        listed = [model.id for model in client.models.list()]
        assert listed, llama.base_url
