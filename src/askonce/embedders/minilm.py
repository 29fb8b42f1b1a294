"""The embedder that ships with the gateway: all-MiniLM-L6-v2, int8, in threads of this process."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from askonce.embedders.memo import EmbeddingMemo
from askonce.embedders.onnx import OnnxModel, read_manifest
from askonce.errors import EmbedderUnavailable
from askonce.ports import EmbedderState

if TYPE_CHECKING:
    from askonce.embedders.onnx import Projection
    from askonce.ports import Embedding

__all__ = ["FOLDER", "MiniLMEmbedder"]

FOLDER: Final = Path(__file__).parents[1] / "data" / "minilm"
"""The model that ships."""
_MAX_CHARACTERS: Final = 4096
"""Longer texts aren't even tokenised: 256 tokens are about a thousand characters of prose."""


class MiniLMEmbedder:
    """The `Embedder` that needs no network and no second process.

    Texts are embedded one a run, in threads; callers that ask for the same text at the same time share a run, and
    what recent ones became is remembered. A caller that is cancelled leaves the run to the others. Use it from one event
    loop.

    Args:
        project: What is kept of each token; None for vectors alone.
        workers: Threads that embed.
        max_queue: Texts that may wait for a thread; further ones are refused (`embedder-busy`).
        memo_bytes: Memory for what recent texts became.
        folder: The model's folder, as written by `scripts/build_embedder.py`; default: the one that ships.

    Attributes:
        runs: Texts embedded.
        memo_hits: Texts that were remembered.
        rejected: Texts refused for a full queue or their length.
        seconds: Time that threads spent on runs.

    Raises:
        OSError: The folder has no manifest.
        KeyError: The manifest lacks an entry.
        ValueError: The manifest isn't JSON.
    """

    def __init__(
        self,
        *,
        project: Projection | None = None,
        workers: int = 1,
        max_queue: int = 256,
        memo_bytes: int = 8 * 2**20,
        folder: Path = FOLDER,
    ) -> None:
        self._project = project
        self._workers = workers
        self._max_queue = max_queue
        self._folder = folder
        self._manifest = read_manifest(folder)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="embedder")
        self._memo = EmbeddingMemo(memo_bytes)
        self._running: dict[str, asyncio.Future[tuple[Embedding, float]]] = {}
        self._model: OnnxModel | None = None
        self._loading: asyncio.Future[OnnxModel] | None = None
        self._settled = asyncio.Event()
        self._state = EmbedderState.LOADING
        self._detail = "The model is loading: requests go without semantic matching."
        self._log = structlog.get_logger(__name__)
        self.runs = 0
        self.memo_hits = 0
        self.rejected = 0
        self.seconds = 0.0

    @property
    def engine(self) -> str:
        """Identity of the vectors and tokens, known before the model is loaded."""
        engine = self._manifest.engine
        return engine if self._project is None else f"{engine}+{self._project.identity}"

    @property
    def dimensions(self) -> int:
        """Length of a vector, known before the model is loaded."""
        return self._manifest.dimensions

    @property
    def state(self) -> EmbedderState:
        """Where it stands; a failed or closed one stays FAILED."""
        return self._state

    @property
    def detail(self) -> str:
        """A sentence for `/healthz`."""
        return self._detail

    @property
    def queued(self) -> int:
        """Texts that wait for a thread."""
        return max(0, len(self._running) - self._workers)

    def start(self) -> None:
        """Begins to load in a thread and returns at once; a second call does nothing."""
        if self._loading is None and not self._settled.is_set():
            loop = asyncio.get_running_loop()
            self._loading = loop.run_in_executor(
                self._threads, OnnxModel, self._folder, self._manifest, self._project
            )
            self._loading.add_done_callback(self._loaded)

    async def ready(self) -> bool:
        """Waits until it is READY (True) or FAILED (False); before `start` it waits for that too."""
        await self._settled.wait()
        return self._state is EmbedderState.READY

    async def embed(self, text: str) -> Embedding:
        """The text's vector and tokens, the same whatever else is embedded meanwhile.

        Raises:
            EmbedderUnavailable: `embedder-loading`, `embedder-failed` (it didn't load, is closed, or the run
                failed), `embedder-busy` or `text-too-long`.
        """
        remembered = self._memo.get(text)
        if remembered is not None:
            self.memo_hits += 1
            return remembered
        run = self._running.get(text) or self._run(text)
        # Unlike a plain await, `wait` neither cancels the run with its caller nor the caller with the run.
        await asyncio.wait([run])
        if run.cancelled():
            raise EmbedderUnavailable("embedder-failed")
        embedding, _ = run.result()
        return embedding

    def forget(self) -> None:
        """Remembers no text, not even those that are being embedded."""
        self._memo.clear()
        self._running.clear()

    async def close(self) -> None:
        """Refuses what waits (`embedder-failed`), then ends the threads once their current run is done."""
        self._settle(EmbedderState.FAILED, "The embedder is closed.")
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._threads.shutdown, wait=True)

    def _run(self, text: str) -> asyncio.Future[tuple[Embedding, float]]:
        if self._state is not EmbedderState.READY or self._model is None:
            raise EmbedderUnavailable(f"embedder-{self._state.value}")
        if len(text) > _MAX_CHARACTERS:
            self.rejected += 1
            raise EmbedderUnavailable("text-too-long")
        if len(self._running) >= self._workers + self._max_queue:
            self.rejected += 1
            raise EmbedderUnavailable("embedder-busy")
        run = asyncio.get_running_loop().run_in_executor(self._threads, _timed, self._model, text)
        self._running[text] = run
        run.add_done_callback(partial(self._ran, text))
        return run

    def _ran(self, text: str, run: asyncio.Future[tuple[Embedding, float]]) -> None:
        remembered = self._running.get(text) is run
        if remembered:
            del self._running[text]
        if run.cancelled():
            return
        error = run.exception()
        if error is None:
            embedding, seconds = run.result()
            self.runs += 1
            self.seconds += seconds
            if remembered:
                self._memo.put(text, embedding)
        elif isinstance(error, EmbedderUnavailable) and error.reason == "text-too-long":
            self.rejected += 1
        else:
            self._log.warning("a text could not be embedded", error=type(error.__cause__).__name__)

    def _loaded(self, loading: asyncio.Future[OnnxModel]) -> None:
        if loading.cancelled():
            return
        error = loading.exception()
        if error is None:
            self._model = loading.result()
            self._settle(EmbedderState.READY, f"{self.engine} is loaded.")
        else:
            self._settle(EmbedderState.FAILED, f"The model did not load: {error}")
            self._log.error("the embedder did not load", folder=str(self._folder), error=repr(error))

    def _settle(self, state: EmbedderState, detail: str) -> None:
        """Takes a state over, unless it is closed already."""
        if self._state is not EmbedderState.FAILED:
            self._state, self._detail = state, detail
            self._settled.set()


def _timed(model: OnnxModel, text: str) -> tuple[Embedding, float]:
    """One run and the seconds that it took."""
    started = time.perf_counter()
    try:
        embedding = model.embed(text)
    except EmbedderUnavailable:
        raise
    except Exception as error:
        # Texts that no tokenizer takes (a lone surrogate, say) cost themselves the vector, nobody else anything.
        raise EmbedderUnavailable("embedder-failed") from error
    return embedding, time.perf_counter() - started
