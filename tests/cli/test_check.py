"""`askonce check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from click.testing import CliRunner

from askonce.cli.check import check
from config.samples import HASHES, complete

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COMPLETE = """\
ok

listen  0.0.0.0:8080
store   sqlite:///var/lib/askonce/askonce.db

upstreams
  openai     https://api.openai.com/v1  own key  models gpt-*, o*, cheap
  simulated  simulated                           models *

tenants
  acme    1 key(s)  features support, default
  globex  1 key(s)  features default

policies
                             default      support      search
  exact                      on           on           on
  inflight                   on           on           on
  inflight_high_temperature  retries      retries      retries
  semantic                   shadow       on           shadow
  error_budget               1%           1%           1%
  audit_share                2%           2%           2%
  ttl                        1d           1d           1d
  scope                      tenant       shared       tenant
  pool                       -            everybody    -
  max_turns                  3            3            3
  max_temperature            1            1            1
  semantic_tools             off          off          off
  similarity_floor           0.8          0.8          0.8
  retain_text                hashed       hashed       hashed
  lane                       interactive  interactive  interactive
  timeout                    10m          10m          10m
  linger                     5s           finish       5s
  max_flight_age             10m          10m          10m

limits
  each tenant  all features  requests_per_minute 60
  each tenant  search        none
  acme         all features  requests_per_minute 600, usd_per_month soft 400 hard 500.5
  acme         support       tokens_per_minute soft 1000
  all tenants  support       usd_per_day 50, count_hits

warning: feature search is configured, but no tenant uses it
"""


def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    """Where requests go, who may call, and every feature's whole policy; then the warnings; no secret."""
    file = tmp_path / "askonce.yaml"
    file.write_text(yaml.safe_dump(complete(), sort_keys=False), encoding="utf-8")
    result = CliRunner().invoke(check, [str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == COMPLETE
    assert result.stderr == ""
    for secret in (
        "sk-of-the-sample",
        "org-of-the-sample",
        *(line.removeprefix("sha256:") for line in HASHES),
    ):
        assert secret not in result.output


def test_pass_through_is_said(tmp_path: Path) -> None:
    """Without tenants and keys, the summary says whose credential counts."""
    file = tmp_path / "askonce.yaml"
    file.write_text("upstreams: [{name: vllm, base_url: 'http://127.0.0.1:8000/v1'}]", encoding="utf-8")
    output = CliRunner().invoke(check, [str(file)], catch_exceptions=False).output
    assert "vllm  http://127.0.0.1:8000/v1  no key of its own  models *" in output
    assert "none: callers are told apart by the credential that they present" in output


def test_a_bad_file_is_explained(tmp_path: Path) -> None:
    """Errors go to standard error, one a line, and the exit status is 1."""
    file = tmp_path / "askonce.yaml"
    file.write_text("upstreams: []\nlsten: x\n", encoding="utf-8")
    result = CliRunner().invoke(check, [str(file)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{file}:1: upstreams: must have at least one item",
        f'{file}:2: lsten: unknown key; did you mean "listen"?',
    ]


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    """The same way."""
    result = CliRunner().invoke(check, [str(tmp_path / "nothing.yaml")])
    assert result.exit_code == 1
    assert "nothing.yaml: can't be read: No such file or directory" in result.stderr


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do when the gateway is started."""
    file = tmp_path / "askonce.yaml"
    file.write_text("upstreams: [{type: simulated, name: '${UPSTREAM}'}]", encoding="utf-8")
    monkeypatch.setenv("UPSTREAM", "stand-in")
    assert "stand-in" in CliRunner().invoke(check, [str(file)], catch_exceptions=False).output
