"""What a restarted gateway knows of its audits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from askonce.config import loads
from askonce.model import Audit
from askonce.wiring import open_gateway

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
upstreams: [{{type: simulated}}]
store: sqlite://{folder}/askonce.db
embedder: {{type: none}}
defaults: {{semantic: "on"}}
"""


async def test_earlier_verdicts_are_known_without_an_embedder_too(tmp_path: Path) -> None:
    """Labels count and refused pairs stay refused, whatever else the tier can do."""
    settings = loads(CONFIG.format(folder=tmp_path), "test", {})
    first = await open_gateway(settings)
    budgets = first.semantics.budgets
    audit = Audit(
        feature="default",
        at=1e9,
        question=b"q",
        answer=b"a",
        request_id="r",
        source="hit",
        judge="equality",
        right=False,
        propensity=1.0,
        probability=0.9,
        threshold=0.8,
        reason="match",
        evidence=np.zeros(budgets.serving("default").calibration.weights.shape, np.float32),
        engine=budgets.engine,
    )
    first.gateway.parts.store.audited(audit)
    await first.close()
    second = await open_gateway(settings)
    try:
        async with asyncio.timeout(10):
            await second.semantics.auditor.restored.wait()
        assert second.semantics.records.refused(b"q", b"a")
        assert len(second.semantics.budgets._features["default"].labels) == 1
    finally:
        await second.close()
