"""What the embedded embedder promises: sound vectors, bounded work, and a failure that costs matching alone."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from askonce.embedders import minilm
from askonce.embedders.minilm import MiniLMEmbedder
from askonce.embedders.onnx import Projection
from askonce.errors import EmbedderUnavailable
from askonce.ports import EmbedderState, Embedding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from askonce.ports import Embedder

QUESTIONS = [
    "How do I reset my password?",
    "What is the capital of France?",
    "Please turn off the dark mode in the settings of the app, it hurts my eyes.",
    "ok",
    "SELECT name FROM users WHERE id = 7;",
    "Erkläre mir bitte den Unterschied zwischen Haftung und Gewährleistung.",
]


DIRECTIONS = np.random.default_rng(0).standard_normal((384, 64)).astype(np.float32) / 20


def projected(states: NDArray[np.float32]) -> NDArray[np.int8]:
    """64 random directions of each state."""
    return np.clip(np.rint(127 * (states @ DIRECTIONS)), -127, 127).astype(np.int8)


PROJECTION = Projection(projected, "random-64")


class Gate:
    """A model whose runs wait until the test opens it, and then fail where the test says so."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.texts: list[str] = []
        self.error: Exception | None = None

    def embed(self, text: str) -> Embedding:
        self.texts.append(text)
        self.entered.set()
        self.opened.wait(timeout=30)
        if self.error is not None:
            raise self.error
        return Embedding(np.ones(1, np.float32), None)


@pytest.fixture
async def embedder() -> AsyncIterator[MiniLMEmbedder]:
    """The embedder that ships, loaded."""
    one = MiniLMEmbedder(workers=2)
    one.start()
    assert await one.ready()
    yield one
    await one.close()


@pytest.fixture
async def projecting() -> AsyncIterator[MiniLMEmbedder]:
    """The embedder that ships, loaded, with tokens."""
    one = MiniLMEmbedder(project=PROJECTION)
    one.start()
    assert await one.ready()
    yield one
    await one.close()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Every embedder gets this model instead of the real one."""
    gate = Gate()
    monkeypatch.setattr(minilm, "OnnxModel", lambda *_: gate)
    yield gate
    gate.opened.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model's folder, to be damaged."""
    return shutil.copytree(minilm.FOLDER, tmp_path / "minilm")


async def gated(*, max_queue: int = 256) -> MiniLMEmbedder:
    """An embedder of one thread, loaded."""
    embedder = MiniLMEmbedder(workers=1, max_queue=max_queue)
    embedder.start()
    assert await embedder.ready()
    return embedder


async def cosine(embedder: Embedder, one: str, other: str) -> float:
    """The similarity of two texts."""
    return float((await embedder.embed(one)).vector @ (await embedder.embed(other)).vector)


async def reason(embedder: Embedder, text: str) -> str:
    """Why a text gets no vector."""
    with pytest.raises(EmbedderUnavailable) as caught:
        await embedder.embed(text)
    return caught.value.reason


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("That is a happy person", "That is a happy dog", 0.695),
        ("That is a happy person", "That is a very happy person", 0.943),
        ("That is a happy person", "Today is a sunny day", 0.257),
    ],
)
async def test_similarities_are_the_published_models(
    embedder: MiniLMEmbedder, one: str, other: str, expected: float
) -> None:
    """Cosines of int8 vectors are those of the published fp32 model, to within what quantisation costs."""
    assert await cosine(embedder, one, other) == pytest.approx(expected, abs=0.03)


async def test_a_paraphrase_is_nearer_than_another_question(embedder: MiniLMEmbedder) -> None:
    """Meaning decides, not shared words."""
    asked = "How can I get my money back?"
    same = await cosine(embedder, asked, "I would like a refund")
    other = await cosine(embedder, asked, "How can I get my cat back?")
    assert same > other


async def test_vectors_are_unit_vectors(embedder: MiniLMEmbedder) -> None:
    """Vectors have the promised shape, type and length, and can't be changed by whoever gets one."""
    for question in QUESTIONS:
        vector = (await embedder.embed(question)).vector
        assert vector.shape == (embedder.dimensions,)
        assert vector.dtype == np.float32
        assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)
        assert not vector.flags.writeable


@pytest.mark.parametrize("text", ["", " \n", "\x00", "\u200b", "🎉", "日本語のテキスト", "א" * 90])
async def test_odd_texts_get_vectors(embedder: MiniLMEmbedder, text: str) -> None:
    """A text of which the tokenizer makes little or nothing still gets a finite unit vector."""
    vector = (await embedder.embed(text)).vector
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)


async def test_concurrency_does_not_change_a_vector(embedder: MiniLMEmbedder) -> None:
    """A text's vector is the same to the bit, alone or among others on two threads."""
    together = await asyncio.gather(*(embedder.embed(question) for question in QUESTIONS))
    alone = MiniLMEmbedder(memo_bytes=0)
    alone.start()
    assert await alone.ready()
    for question, embedding in zip(QUESTIONS, together, strict=True):
        assert np.array_equal((await alone.embed(question)).vector, embedding.vector)
    await alone.close()


async def test_a_known_text_is_not_embedded_again(embedder: MiniLMEmbedder) -> None:
    """The memo answers the second time, with the same vector."""
    first = await embedder.embed(QUESTIONS[0])
    second = await embedder.embed(QUESTIONS[0])
    assert first.vector is second.vector
    assert (embedder.runs, embedder.memo_hits) == (1, 1)
    assert embedder.seconds > 0


async def test_tokens_are_those_of_the_text(projecting: MiniLMEmbedder) -> None:
    """One id and one state for each token of the text, the marks around it left out; nobody can change them."""
    tokens = (await projecting.embed("How do I reset my password?")).tokens
    assert tokens is not None
    # [CLS] (101) and [SEP] (102) are left out; these are the ids in the vocabulary of BERT, uncased.
    assert tokens.ids.tolist() == [2129, 2079, 1045, 25141, 2026, 20786, 1029]
    assert tokens.ids.dtype == np.uint16
    assert tokens.states.shape == (7, 64)
    assert tokens.states.dtype == np.int8
    assert not tokens.ids.flags.writeable
    assert not tokens.states.flags.writeable


async def test_states_are_those_that_the_vector_is_the_mean_of(embedder: MiniLMEmbedder) -> None:
    """The states handed to the projection are the model's last ones: with the marks' they average to the vector."""
    seen: list[NDArray[np.float32]] = []

    def look(states: NDArray[np.float32]) -> NDArray[np.int8]:
        seen.append(states.copy())
        return projected(states)

    curious = MiniLMEmbedder(project=Projection(look, "curious"))
    curious.start()
    assert await curious.ready()
    for question in QUESTIONS:
        tokens, vector = (await curious.embed(question)).tokens, (await embedder.embed(question)).vector
        assert tokens is not None
        assert seen[-1].shape == (len(tokens.ids), embedder.dimensions)
        mean = seen[-1].mean(axis=0)
        # Without the two marks the mean is off by a little, the more the shorter the text.
        assert float(mean @ vector / np.linalg.norm(mean)) > 1 - 1 / len(tokens.ids)
    await curious.close()


async def test_tokens_leave_the_vector_as_it_is(embedder: MiniLMEmbedder, projecting: MiniLMEmbedder) -> None:
    """With and without tokens a text has the same vector to the bit; without a projection there are no tokens."""
    for question in QUESTIONS:
        alone, both = await embedder.embed(question), await projecting.embed(question)
        assert alone.tokens is None
        assert np.array_equal(alone.vector, both.vector)


async def test_a_words_state_depends_on_its_place(projecting: MiniLMEmbedder) -> None:
    """The same word has other states in other sentences: that is what tells who does what to whom."""
    one = (await projecting.embed("dog bites man")).tokens
    other = (await projecting.embed("man bites dog")).tokens
    assert one is not None
    assert other is not None
    assert one.ids.tolist() == other.ids.tolist()[::-1]
    assert not np.array_equal(one.states, other.states[::-1])


async def test_a_known_text_keeps_its_tokens(projecting: MiniLMEmbedder) -> None:
    """The memo gives back tokens as well as the vector."""
    first = await projecting.embed(QUESTIONS[0])
    assert (await projecting.embed(QUESTIONS[0])).tokens is first.tokens
    assert (projecting.runs, projecting.memo_hits) == (1, 1)


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
async def test_a_text_of_no_words_has_no_tokens_in_it(projecting: MiniLMEmbedder, text: str) -> None:
    """Nothing between the marks: tokens of shape (0, 64), not an error."""
    tokens = (await projecting.embed(text)).tokens
    assert tokens is not None
    assert (tokens.ids.shape, tokens.states.shape) == ((0,), (0, 64))


async def test_other_projections_are_other_engines() -> None:
    """What was kept under one projection is never compared with what another makes."""
    engines = set()
    for project in (None, PROJECTION, Projection(projected, "another")):
        embedder = MiniLMEmbedder(project=project)
        engines.add(embedder.engine)
        await embedder.close()
    plain = min(engines, key=len)
    assert engines == {plain, f"{plain}+random-64", f"{plain}+another"}


async def test_a_projection_that_fails_costs_its_text_alone() -> None:
    """The text gets no vector, and its error shows up in the log; the embedder goes on."""

    def picky(states: NDArray[np.float32]) -> NDArray[np.int8]:
        if len(states) == 1:
            raise ZeroDivisionError
        return projected(states)

    embedder = MiniLMEmbedder(project=Projection(picky, "picky"))
    embedder.start()
    assert await embedder.ready()
    with capture_logs() as logs:
        assert await reason(embedder, "ok") == "embedder-failed"
    assert [log["error"] for log in logs] == ["ZeroDivisionError"]
    assert (await embedder.embed(QUESTIONS[0])).tokens is not None
    await embedder.close()


async def test_the_longest_text_is_embedded_and_a_longer_one_refused(embedder: MiniLMEmbedder) -> None:
    """254 words and the two marks around them fill the window; one word more is refused, never cut."""
    await embedder.embed("word " * 254)
    assert await reason(embedder, "word " * 255) == "text-too-long"
    assert await reason(embedder, "x" * 5_000) == "text-too-long"
    assert embedder.rejected == 2
    assert embedder.runs == 1


async def test_a_text_that_cannot_be_encoded_costs_itself_alone(embedder: MiniLMEmbedder) -> None:
    """A lone surrogate gets no vector; the embedder goes on, and its log doesn't show the text."""
    with capture_logs() as logs:
        assert await reason(embedder, "secret \ud800") == "embedder-failed"
    assert "secret" not in str(logs)
    assert [log["event"] for log in logs] == ["a text could not be embedded"]
    assert embedder.state is EmbedderState.READY
    await embedder.embed(QUESTIONS[0])


async def test_identity_is_known_before_loading() -> None:
    """Engine and dimensions come from the manifest; until it is loaded, texts are refused at once."""
    embedder = MiniLMEmbedder()
    manifest = json.loads((minilm.FOLDER / "manifest.json").read_bytes())
    model = (minilm.FOLDER / "model.int8.onnx").read_bytes()
    assert embedder.engine == f"minilm-l6-v2-int8-{hashlib.sha256(model).hexdigest()[:12]}"
    assert embedder.engine == manifest["engine"]
    assert embedder.dimensions == 384
    assert embedder.state is EmbedderState.LOADING
    assert await reason(embedder, QUESTIONS[0]) == "embedder-loading"
    await embedder.close()


async def test_equal_texts_share_a_run(gate: Gate) -> None:
    """Callers that ask for one text at one time cause one run, and all get its vector."""
    embedder = await gated()
    callers = [asyncio.create_task(embedder.embed("same")) for _ in range(20)]
    await asyncio.sleep(0)
    gate.opened.set()
    vectors = [embedding.vector for embedding in await asyncio.gather(*callers)]
    assert all(vector is vectors[0] for vector in vectors)
    assert gate.texts == ["same"]
    await embedder.close()


async def test_a_cancelled_caller_leaves_the_run_to_the_others(gate: Gate) -> None:
    """The caller that began a run leaves; the one that joined it gets the vector all the same."""
    embedder = await gated()
    leader = asyncio.create_task(embedder.embed("same"))
    follower = asyncio.create_task(embedder.embed("same"))
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.wait([leader])
    gate.opened.set()
    await follower
    assert leader.cancelled()
    assert embedder.runs == 1
    await embedder.close()


async def test_a_full_queue_refuses(gate: Gate) -> None:
    """One text runs, two wait, the fourth is refused; there is room again once they are done."""
    embedder = await gated(max_queue=2)
    callers = [asyncio.create_task(embedder.embed(text)) for text in "abc"]
    await asyncio.sleep(0)
    assert embedder.queued == 2
    assert await reason(embedder, "d") == "embedder-busy"
    assert embedder.rejected == 1
    gate.opened.set()
    await asyncio.gather(*callers)
    await embedder.embed("d")
    assert embedder.queued == 0
    await embedder.close()


async def test_closing_ends_what_waits(gate: Gate) -> None:
    """The running text gets its vector, waiting ones a refusal; no thread is left, and no text accepted."""
    embedder = await gated()
    running = asyncio.create_task(embedder.embed("running"))
    waiting = asyncio.create_task(embedder.embed("waiting"))
    await asyncio.to_thread(gate.entered.wait, 30)
    closing = asyncio.create_task(embedder.close())
    with pytest.raises(EmbedderUnavailable, match="embedder-failed"):
        await waiting
    gate.opened.set()
    await closing
    await running
    assert gate.texts == ["running"]
    assert not any(thread.name.startswith("embedder") for thread in threading.enumerate())
    assert await reason(embedder, "late") == "embedder-failed"
    await embedder.close()


async def test_closing_while_it_loads() -> None:
    """Whoever waits for a loading embedder that is closed is told that there won't be one."""
    embedder = MiniLMEmbedder()
    embedder.start()
    ready = asyncio.create_task(embedder.ready())
    await embedder.close()
    assert not await ready
    assert embedder.state is EmbedderState.FAILED


async def test_a_failed_run_nobody_waits_for_is_silent_but_for_the_log(gate: Gate) -> None:
    """A run whose only caller has left may fail: that is logged once and leaves no unread exception."""
    embedder = await gated()
    gate.error = RuntimeError("boom")
    caller = asyncio.create_task(embedder.embed("text"))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    with capture_logs() as logs:
        gate.opened.set()
        await asyncio.wait([*embedder._running.values()])
    gc.collect()
    await embedder.close()
    assert [log["error"] for log in logs] == ["RuntimeError"]


@pytest.mark.parametrize("name", ["model.int8.onnx", "tokenizer.json"])
async def test_a_damaged_file_fails_the_load(folder: Path, name: str) -> None:
    """One flipped byte: the embedder says what is wrong, and refuses texts instead of making wrong vectors."""
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    embedder = MiniLMEmbedder(folder=folder)
    with capture_logs() as logs:
        embedder.start()
        assert not await embedder.ready()
    assert embedder.state is EmbedderState.FAILED
    assert name in embedder.detail
    assert [log["event"] for log in logs] == ["the embedder did not load"]
    assert await reason(embedder, QUESTIONS[0]) == "embedder-failed"
    await embedder.close()


async def test_a_missing_file_fails_the_load(folder: Path) -> None:
    """A model that isn't there is a failed load too, not an exception on anybody's way."""
    (folder / "model.int8.onnx").unlink()
    embedder = MiniLMEmbedder(folder=folder)
    embedder.start()
    assert not await embedder.ready()
    assert await reason(embedder, QUESTIONS[0]) == "embedder-failed"
    await embedder.close()


def test_the_manifest_names_what_ships() -> None:
    """Every shipped file is the one that the manifest names, and there is no other."""
    manifest = json.loads((minilm.FOLDER / "manifest.json").read_bytes())
    shipped = {path.name for path in minilm.FOLDER.iterdir()} - {"manifest.json"}
    assert shipped == set(manifest["files"])
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((minilm.FOLDER / name).read_bytes()).hexdigest() == digest
