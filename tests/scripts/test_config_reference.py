"""docs/configuration.md."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from askonce.config import loads

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    """After a change to the models, `python scripts/config_reference.py` was run."""
    render = runpy.run_path(str(ROOT / "scripts" / "config_reference.py"))["render"]
    assert render() == PAGE, "run `python scripts/config_reference.py`"


def test_the_example_loads() -> None:
    """The complete example is a configuration."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    env = {
        "OPENAI_API_KEY": "sk-x",
        "ACME_KEY_HASH": "sha256:" + "1" * 64,
        "ADMIN_KEY_HASH": "sha256:" + "2" * 64,
    }
    settings = loads(example, "docs/configuration.md", env)
    assert settings.policy_settings("support").semantic == "on"


def test_every_row_is_whole() -> None:
    """Each table row has its four cells, none of them empty."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") > 3]
    assert len(rows) > 70
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells), row
