"""What settings come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from askonce.config import (
    Address,
    ConfigError,
    MemoryStore,
    OpenAIUpstream,
    PolicySettings,
    Settings,
    SimulatedUpstream,
    loads,
)
from askonce.config.section import Section
from config.samples import HASHES, complete

if TYPE_CHECKING:
    from collections.abc import Iterator

UPSTREAM = "upstreams: [{type: simulated}]\n"
TENANT = f"tenants: [{{name: acme, keys: ['{HASHES[0]}']}}]\n"


def settings(text: str) -> Settings:
    return loads(text, "askonce.yaml", {})


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    return str(caught.value)


def models() -> Iterator[type[Section]]:
    """Every model of the configuration."""
    waiting: list[type[Section]] = [Section]
    while waiting:
        children = waiting.pop().__subclasses__()
        yield from children
        waiting += children


def test_the_least_configuration_is_one_upstream() -> None:
    """Everything else has the default that the reference names."""
    found = settings(UPSTREAM)
    assert found.listen == Address("127.0.0.1", 8080)
    assert found.store == MemoryStore()
    assert found.upstreams == (SimulatedUpstream(),)
    assert found.tenants is None
    assert found.feature_names == ("default",)
    assert found.admin.keys == ()
    assert (found.limits.max_body_bytes, found.limits.body_timeout_s) == (10 * 1024**2, 30)
    assert (found.limits.max_response_bytes, found.limits.drain_timeout_s) == (64 * 1024**2, 30)
    assert (found.limits.flight_log_bytes, found.limits.total_log_bytes) == (8 * 1024**2, 256 * 1024**2)
    assert (found.cache.memory_bytes, found.cache.disk_bytes) == (256 * 1024**2, 4 * 1024**3)
    assert (found.cache.max_entry_bytes, found.cache.commit_interval_s) == (4 * 1024**2, 0.05)
    assert found.embedder.model_dump() == {
        "type": "minilm",
        "workers": 1,
        "memo_bytes": 8 * 1024**2,
        "max_queue": 32,
    }
    assert found.log.model_dump() == {"level": "info", "format": "json", "requests": False}
    assert found.prices == {}


def test_the_default_policy_is_the_agreed_one() -> None:
    """Exact and in-flight on, semantic in the shadow, one percent, one day, one tenant."""
    assert settings(UPSTREAM).policy_settings("default").model_dump() == {
        "exact": True,
        "inflight": True,
        "inflight_high_temperature": "retries",
        "semantic": "shadow",
        "audit_share": 0.02,
        "error_budget": 0.01,
        "lane": "interactive",
        "limits": None,
        "retain_text": "hashed",
        "ttl_s": 86400,
        "scope": "tenant",
        "pool": "",
        "max_turns": 3,
        "max_temperature": 1.0,
        "semantic_tools": False,
        "similarity_floor": 0.8,
        "timeout_s": 600,
        "linger_s": 5,
        "max_flight_age_s": 600,
    }


def test_a_complete_configuration_is_read() -> None:
    """Every key in its human form becomes the number or value that it stands for."""
    found = settings(yaml.safe_dump(complete()))
    openai, simulated = found.upstreams
    assert isinstance(openai, OpenAIUpstream)
    assert isinstance(simulated, SimulatedUpstream)
    assert openai.api_key is not None
    assert openai.api_key.get_secret_value() == "sk-of-the-sample"
    assert openai.headers["OpenAI-Organization"].get_secret_value() == "org-of-the-sample"
    assert (openai.connect_timeout_s, openai.first_byte_timeout_s, openai.idle_timeout_s) == (5, 120, 60)
    assert (simulated.error_rate, simulated.concurrency_knee) == (0.01, 8)
    assert simulated.answers == Path("answers.jsonl")
    assert found.tenants is not None
    assert [tenant.features for tenant in found.tenants] == [("support", "default"), ("default",)]
    assert found.tenants[0].keys == (bytes.fromhex("11" * 32),)
    assert found.prices["gpt-4.1*"].cached_input == 0.5


def test_settings_survive_dumping_and_loading() -> None:
    """A dump of what was said can be validated again, but for the secrets, which it masks."""
    found = settings(yaml.safe_dump(complete()))
    again = Settings.model_validate_json(found.model_dump_json(exclude_unset=True))
    assert again.policy_settings("support") == found.policy_settings("support")
    assert (again.listen, again.store, again.tenants) == (found.listen, found.store, found.tenants)


def test_settings_are_frozen_and_described() -> None:
    """No model can be changed, takes unknown keys, or has a field without a description."""
    for model in models():
        assert model.model_config["frozen"], model
        assert model.model_config["extra"] == "forbid", model
        for name, field in model.model_fields.items():
            assert field.description, (model, name)
    with pytest.raises(ValidationError):
        settings(UPSTREAM).log.level = "debug"


def test_features_overlay_the_defaults() -> None:
    """A feature's own word counts first, then the defaults', then the built-in one."""
    found = settings(
        UPSTREAM + "defaults: {ttl: 2h, max_turns: 5}\nfeatures: {support: {ttl: 1h, semantic: on}, search: }"
    )
    support, search = found.policy_settings("support"), found.policy_settings("search")
    assert (support.ttl_s, support.max_turns, support.semantic, support.exact) == (3600, 5, "on", True)
    assert (search.ttl_s, search.max_turns, search.semantic) == (7200, 5, "shadow")
    assert found.policy_settings("default") == search
    assert found.feature_names == ("default", "support", "search")


def test_a_feature_can_return_to_a_built_in_value() -> None:
    """Saying what would be the built-in default is still saying it."""
    found = settings(
        UPSTREAM + "defaults: {exact: off, linger: finish}\nfeatures: {a: {exact: on, linger: 5s}}"
    )
    policy = found.policy_settings("a")
    assert (policy.exact, policy.linger_s) == (True, 5)
    assert found.policy_settings("default").linger_s is None


said = st.fixed_dictionaries(
    {},
    optional={
        "exact": st.booleans(),
        "semantic": st.sampled_from(["off", "shadow", "on"]),
        "ttl_s": st.floats(min_value=1, max_value=1e6),
        "max_turns": st.integers(1, 9),
        "linger_s": st.none() | st.floats(min_value=0, max_value=60),
    },
)


@given(defaults=said, own=said)
def test_overlay_is_field_by_field(defaults: dict[str, Any], own: dict[str, Any]) -> None:
    """For every field and every combination of who says what."""
    found = Settings(
        upstreams=(SimulatedUpstream(),),
        defaults=PolicySettings(**defaults),
        features={"a": PolicySettings(**own)},
    )
    wanted = PolicySettings().model_dump() | defaults | own
    assert found.policy_settings("a").model_dump() == wanted


def test_unknown_features_have_no_policy() -> None:
    """Asking for one is the caller's mistake."""
    with pytest.raises(KeyError):
        settings(UPSTREAM).policy_settings("nobody")


def test_a_shared_pool_is_named_after_its_feature_unless_named() -> None:
    """Two features share answers only where both name the same pool."""
    found = settings(
        UPSTREAM
        + TENANT
        + "features: {a: {scope: shared}, b: {scope: shared, pool: c}, d: }\ndefaults: {scope: user}"
    )
    pools = {name: found.policy_settings(name).pool for name in found.feature_names}
    assert pools == {"default": "", "a": "a", "b": "c", "d": ""}


@pytest.mark.parametrize("where", ["defaults", "features.a"])
def test_a_shared_pool_needs_tenants(where: str) -> None:
    """With pass-through keys anybody could read it."""
    section = "defaults: {scope: shared}" if where == "defaults" else "features: {a: {scope: shared}}"
    assert f"{where}.scope: a shared pool needs" in complaint(UPSTREAM + section)
    assert settings(UPSTREAM + TENANT + section)


@pytest.mark.parametrize("written", ["tenants:", "tenants: []"])
def test_no_tenants_is_not_everybody(written: str) -> None:
    """Commenting out the last tenant must not open the gateway; leaving the key out says it on purpose."""
    assert "tenants: must have at least one item" in complaint(UPSTREAM + written)


def test_empty_sections_are_absent_sections() -> None:
    """All lines below a key may be commented out."""
    found = settings(UPSTREAM + "limits:\ncache:\nfeatures:\ndefaults:\nadmin: {keys: }\nlisten:\n")
    assert found == settings(UPSTREAM)


def test_python_code_uses_attribute_names() -> None:
    """Durations are `ttl_s` in Python and `ttl` in YAML, where the other spelling is unknown."""
    assert PolicySettings(ttl_s=60).ttl_s == 60
    assert 'defaults.ttl_s: unknown key; did you mean "ttl"?' in complaint(UPSTREAM + "defaults: {ttl_s: 60}")


def test_parts_are_checked_in_python_too() -> None:
    """What must hold between the parts holds for every `Settings` there is."""
    with pytest.raises(ValidationError, match="another upstream has this name"):
        Settings(upstreams=(SimulatedUpstream(), SimulatedUpstream()))


def test_a_judge_must_be_served() -> None:
    """The model that judges answers is one that some upstream answers, by pattern or alias."""
    judge = "audit: {judge: {model: judge-1}}\n"
    served = "upstreams: [{type: simulated, models: ['sim-*']%s}]\n"
    assert "audit.judge.model: no upstream serves this model" in complaint(served % "" + judge)
    assert settings(served % ", aliases: {judge-1: sim-a}" + judge).audit.judge is not None
    assert settings(UPSTREAM + judge).audit.daily_limit_usd == 1.0
