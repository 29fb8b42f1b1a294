"""What is allowed in a configuration, but perhaps not meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.config.forms import MemoryStore
from askonce.config.upstream import OpenAIUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.config.settings import Settings

__all__ = ["warnings"]


def warnings(settings: Settings) -> list[str]:
    """One sentence for everything that deserves a second look; never a secret."""
    return [
        *_open_purse(settings),
        *_missing_credentials(settings),
        *_forgetful_store(settings),
        *_forgetful_budgets(settings),
        *_unused_features(settings),
        *_semantic_without_embedder(settings),
        *_semantic_without_audits(settings),
        *_texts_in_clear(settings),
    ]


def _openai_upstreams(settings: Settings) -> list[OpenAIUpstream]:
    return [upstream for upstream in settings.upstreams if isinstance(upstream, OpenAIUpstream)]


def _open_purse(settings: Settings) -> Iterator[str]:
    if settings.tenants is not None or settings.listen.loopback:
        return
    for upstream in _openai_upstreams(settings):
        if upstream.presents_own_key:
            yield (
                f"anyone who can reach {settings.listen} can spend the key of upstream {upstream.name}; "
                "configure tenants"
            )


def _missing_credentials(settings: Settings) -> Iterator[str]:
    if settings.tenants is None:
        return
    for upstream in _openai_upstreams(settings):
        if not upstream.presents_own_key and upstream.base_url.startswith("https:"):
            yield (
                f"upstream {upstream.name} has no api_key: tenants' keys are the gateway's own, "
                "so its requests carry no credential"
            )


def _forgetful_store(settings: Settings) -> Iterator[str]:
    if isinstance(settings.store, MemoryStore):
        yield "store memory: loses every answer at restart; use sqlite:///path to keep them"


def _forgetful_budgets(settings: Settings) -> Iterator[str]:
    general = settings.default_tenant
    limits = [general.limits, *general.feature_limits.values()]
    for tenant in settings.tenants or ():
        limits += [tenant.limits, *tenant.feature_limits.values()]
    limits += [settings.policy_settings(name).limits for name in settings.feature_names]
    budgets = any(one is not None and (one.usd_per_day or one.usd_per_month) for one in limits)
    if budgets and not settings.ledger.record:
        yield "limits in dollars begin anew at each restart: ledger.record is off"
    elif budgets and isinstance(settings.store, MemoryStore):
        yield "limits in dollars begin anew at each restart: store memory: keeps no books"


def _unused_features(settings: Settings) -> Iterator[str]:
    if settings.tenants is None:
        return
    used = {feature for tenant in settings.tenants for feature in tenant.features}
    for name in settings.features:
        if name not in used:
            yield f"feature {name} is configured, but no tenant uses it"


def _semantic_without_embedder(settings: Settings) -> Iterator[str]:
    if settings.embedder.type != "none":
        return
    said = {"defaults": settings.defaults, **settings.features}
    for name, policy in said.items():
        if "semantic" in policy.model_fields_set and policy.semantic != "off":
            yield f"{name} asks for semantic matching, which embedder type none turns off"


def _semantic_without_audits(settings: Settings) -> Iterator[str]:
    served = any(settings.policy_settings(name).semantic == "on" for name in settings.feature_names)
    if not served or settings.tenants is not None or settings.audit.pass_through:
        return
    for upstream in _openai_upstreams(settings):
        if not upstream.presents_own_key:
            yield (
                f"semantic hits of upstream {upstream.name} are not audited: that would spend the callers' own keys; "
                "give it an api_key, or set audit.pass_through"
            )


def _texts_in_clear(settings: Settings) -> Iterator[str]:
    if not settings.cache_encryption_key:
        return
    if isinstance(settings.store, MemoryStore):
        yield "cache_encryption_key has nothing to encrypt: store memory: writes no file"
    for name in settings.feature_names:
        if settings.policy_settings(name).retain_text == "full":
            yield f"{name} has retain_text full: the ledger keeps its questions in clear, cache_encryption_key or not"
