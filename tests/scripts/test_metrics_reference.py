"""docs/observability.md."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from askonce.config import loads

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")


def test_the_tables_are_up_to_date() -> None:
    """After a change to what is measured, `python scripts/metrics_reference.py` was run."""
    written = runpy.run_path(str(ROOT / "scripts" / "metrics_reference.py"))["written"]
    assert written(PAGE) == PAGE, "run `python scripts/metrics_reference.py`"


def test_the_examples_section_loads() -> None:
    """What the page says to write is a configuration."""
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    upstream = "upstreams: [{name: s, type: simulated}]\n"
    settings = loads(upstream + example, "docs/observability.md", {"COLLECTOR_KEY": "k"})
    assert settings.telemetry.traces
    assert settings.telemetry.metrics


def test_metrics_that_the_documentation_names_exist() -> None:
    """On every page: a renamed metric is renamed everywhere."""
    families = runpy.run_path(str(ROOT / "scripts" / "metrics_reference.py"))["families"]
    kinds = {name: kind for name, kind, _, _ in families()}
    known = {
        *kinds,
        *(f"{name}{end}" for name, kind in kinds.items() if kind == "histogram" for end in ("_bucket", "_count", "_sum")),
    }  # fmt: skip
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"`(askonce_[a-z0-9_]+)", page.read_text(encoding="utf-8")))
        assert named <= known, page.name
