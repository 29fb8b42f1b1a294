"""The whole configuration, and what must hold across its parts."""

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from askonce.config.allowances import AllowanceSettings, DefaultTenantSettings
from askonce.config.audit import AuditSettings
from askonce.config.encryption import EncryptionKeys
from askonce.config.forms import (
    Address,
    KeyDigest,
    Listen,
    MemoryStore,
    Number,
    Slug,
    StoreUrl,
)
from askonce.config.jobs import JobSettings
from askonce.config.ledger import LedgerSettings
from askonce.config.policy import PolicySettings
from askonce.config.resilience import FallbackSettings
from askonce.config.routing import Violation, fallback_violations, serves
from askonce.config.section import Section
from askonce.config.service import CacheSettings, EmbedderSettings, LimitSettings, LogSettings
from askonce.config.telemetry import TelemetrySettings
from askonce.config.upstream import UpstreamSettings

__all__ = [
    "DEFAULT_FEATURE",
    "AdminSettings",
    "PriceSettings",
    "Settings",
    "TenantSettings",
]

DEFAULT_FEATURE = "default"
"""The feature that always exists: its policy is `defaults`."""


class TenantSettings(Section):
    """Callers that are told apart, billed and isolated together."""

    name: Slug = Field(description="Its name in metrics and logs.")
    keys: tuple[KeyDigest, ...] = Field(
        min_length=1,
        repr=False,
        description="SHA-256 hashes of the keys that its callers present; `askonce keys new NAME` makes them.",
    )
    features: tuple[Slug, ...] = Field(
        default=(DEFAULT_FEATURE,),
        min_length=1,
        description="Features that its callers may name; the first is taken where they name none.",
    )
    limits: AllowanceSettings | None = Field(
        default=None,
        description="What it may use, all its features together; absent: as `default_tenant`. `{}` lifts those.",
    )
    feature_limits: dict[Slug, AllowanceSettings] = Field(
        default={}, description="What it may use of single features; others are as `default_tenant` says."
    )


class AdminSettings(Section):
    """Access to `/admin/`."""

    keys: tuple[KeyDigest, ...] = Field(
        default=(),
        repr=False,
        description="SHA-256 hashes of administrators' keys, apart from every tenant's; none: no access.",
    )


_MOST_USD = 100_000
"""Dollars per million tokens: above any price, and low enough for sums of nano-dollars in 64 bits."""


class PriceSettings(Section):
    """A model's price in dollars per million tokens."""

    input: Number = Field(ge=0, le=_MOST_USD, description="Dollars per million input tokens.")
    output: Number = Field(ge=0, le=_MOST_USD, description="Dollars per million output tokens.")
    cached_input: Number | None = Field(
        default=None,
        ge=0,
        le=_MOST_USD,
        description="Dollars per million input tokens from the provider's prompt cache; absent: as `input`.",
    )


def _empty_mapping(value: Any) -> Any:
    """A feature without a value is one that says nothing of its own."""
    return {} if value is None else value


def _feature_name(value: str) -> str:
    if value == DEFAULT_FEATURE:
        raise ValueError('this feature always exists; write its policy under "defaults"')
    return value


def _no_feature(name: str, features: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, features, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else "; add it there"
    return f'not one of the "features"{hint}'


class Settings(Section):
    """The whole configuration."""

    listen: Listen = Field(
        default=Address("127.0.0.1", 8080), description="Where to listen; write IPv6 in quotes."
    )
    store: StoreUrl = Field(
        default=MemoryStore(),
        description="Where answers are kept. `memory:` loses them at restart; `sqlite:///x` is the file `/x`, "
        "`sqlite:x` a file in the working directory.",
    )
    upstreams: tuple[UpstreamSettings, ...] = Field(
        min_length=1, description="Who answers, in order of preference."
    )
    fallbacks: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Annotated[tuple[FallbackSettings, ...], Field(min_length=1)],
    ] = Field(
        default={},
        description="Who stands in, in order, where a model's upstream fails, is overloaded or left alone: by pattern "
        "(`*`, `?`) of the model as callers name it; the first that matches counts.",
    )
    tenants: tuple[TenantSettings, ...] | None = Field(
        default=None,
        min_length=1,
        description="Who may call. Absent: anybody; callers are told apart by the credential they present.",
    )
    default_tenant: DefaultTenantSettings = Field(
        default=DefaultTenantSettings(),
        description="What holds for each tenant that doesn't say otherwise; without `tenants`, for each credential.",
    )
    features: dict[
        Annotated[Slug, AfterValidator(_feature_name)],
        Annotated[PolicySettings, BeforeValidator(_empty_mapping)],
    ] = Field(default={}, description="Policies by feature; what one doesn't say is taken from `defaults`.")
    defaults: PolicySettings = Field(
        default=PolicySettings(), description="The policy of every feature that doesn't say otherwise."
    )
    audit: AuditSettings = Field(
        default=AuditSettings(), description="How semantic hits are checked in the background."
    )
    admin: AdminSettings = Field(
        default=AdminSettings(), description="Access to `/admin/` and to the dashboard at `/`."
    )
    jobs: JobSettings = Field(
        default=JobSettings(), description="The batch lane: jobs that may wait for hours."
    )
    ledger: LedgerSettings = Field(
        default=LedgerSettings(), description="The books: who pays, and how long what is kept."
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="What requests may take.")
    cache: CacheSettings = Field(default=CacheSettings(), description="How much is kept.")
    cache_encryption_key: EncryptionKeys = Field(
        default=(),
        repr=False,
        description="Encrypts what the store's file keeps of questions, answers and jobs; a list renews it: the first "
        "encrypts, all decrypt. `openssl rand -base64 32` makes one.",
    )
    embedder: EmbedderSettings = Field(
        default=EmbedderSettings(), description="What turns questions into vectors."
    )
    log: LogSettings = Field(default=LogSettings(), description="What is logged.")
    telemetry: TelemetrySettings = Field(
        default=TelemetrySettings(), description="What is sent to an OpenTelemetry collector."
    )
    prices: dict[Annotated[str, Field(min_length=1)], PriceSettings] = Field(
        default={},
        description="Prices by model pattern (`*`, `?`); the first pattern that matches "
        "the upstream's name of the model counts.",
    )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """All features, `default` first."""
        return (DEFAULT_FEATURE, *self.features)

    def policy_settings(self, feature: str) -> PolicySettings:
        """A feature's whole policy: built-in values, under `defaults`, under its own.

        `pool` is the pool's name where `scope` is `shared`, else empty. Raises KeyError for an unknown feature.
        """
        policy = self.defaults
        if feature != DEFAULT_FEATURE:
            own = self.features[feature]
            policy = policy.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
        pool = (policy.pool or feature) if policy.scope == "shared" else ""
        return policy.model_copy(update={"pool": pool})

    @model_validator(mode="before")
    @classmethod
    def _no_tenant_is_not_pass_through(cls, data: Any) -> Any:
        """Keeps a `tenants:` whose lines are all commented out from opening the gateway to everybody."""
        if isinstance(data, dict) and "tenants" in data and data["tenants"] is None:
            return {**data, "tenants": ()}
        return data

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        violations = [
            *self._doubled(),
            *self._unknown_features(),
            *self._limits_of_no_feature(),
            *self._pools_without_owner(),
            *self._limits_out_of_order(),
            *self._judge_nobody_serves(),
            *fallback_violations(self.fallbacks, self.upstreams, pass_through=self.tenants is None),
        ]
        if violations:
            sentences = "; ".join(message for _, message in violations)
            raise PydanticCustomError(
                "violations", "{sentences}", {"sentences": sentences, "all": violations}
            )
        return self

    def _doubled(self) -> Iterator[Violation]:
        """Names and keys that occur twice."""
        upstream_names: Counter[str] = Counter()
        for index, upstream in enumerate(self.upstreams):
            upstream_names[upstream.name] += 1
            if upstream_names[upstream.name] > 1:
                yield ("upstreams", index, "name"), "another upstream has this name"
        tenant_names: Counter[str] = Counter()
        seen: set[bytes] = set()
        for index, tenant in enumerate(self.tenants or ()):
            tenant_names[tenant.name] += 1
            if tenant_names[tenant.name] > 1:
                yield ("tenants", index, "name"), "another tenant has this name"
            for position, digest in enumerate(tenant.keys):
                if digest in seen:
                    yield ("tenants", index, "keys", position), "this key was given before"
                seen.add(digest)
        for position, digest in enumerate(self.admin.keys):
            if digest in seen:
                yield (
                    ("admin", "keys", position),
                    "this key was given before; administrators need keys of their own",
                )
            seen.add(digest)
        if len(set(self.cache_encryption_key)) < len(self.cache_encryption_key):
            yield ("cache_encryption_key",), "a key was given twice"

    def _unknown_features(self) -> Iterator[Violation]:
        names = self.feature_names
        for index, tenant in enumerate(self.tenants or ()):
            for position, feature in enumerate(tenant.features):
                if feature not in names:
                    yield ("tenants", index, "features", position), _no_feature(feature, names)

    def _limits_of_no_feature(self) -> Iterator[Violation]:
        for feature in self.default_tenant.feature_limits:
            if feature not in self.feature_names:
                yield ("default_tenant", "feature_limits", feature), _no_feature(feature, self.feature_names)
        for index, tenant in enumerate(self.tenants or ()):
            for feature in tenant.feature_limits:
                if feature not in tenant.features:
                    yield ("tenants", index, "feature_limits", feature), "not one of this tenant's features"

    def _pools_without_owner(self) -> Iterator[Violation]:
        """Pools that anybody could read, and pools that nobody would use."""
        said: list[tuple[tuple[str, ...], str, PolicySettings]] = [
            (("defaults",), DEFAULT_FEATURE, self.defaults)
        ]
        said += [(("features", name), name, policy) for name, policy in self.features.items()]
        for path, feature, own in said:
            scope = self.policy_settings(feature).scope
            if "scope" in own.model_fields_set and scope == "shared" and self.tenants is None:
                yield (
                    (*path, "scope"),
                    'a shared pool needs "tenants": without them anybody who can reach the gateway could read it',
                )
            if "pool" in own.model_fields_set and scope != "shared":
                yield (*path, "pool"), "a pool is used only with scope: shared"

    def _limits_out_of_order(self) -> Iterator[Violation]:
        if self.cache.max_entry_bytes > self.cache.memory_bytes:
            yield ("cache", "max_entry_bytes"), "must not be larger than cache.memory_bytes"
        if self.limits.flight_log_bytes > self.limits.total_log_bytes:
            yield ("limits", "flight_log_bytes"), "must not be larger than limits.total_log_bytes"

    def _judge_nobody_serves(self) -> Iterator[Violation]:
        judge = self.audit.judge
        if judge is not None and not any(serves(one, judge.model) for one in self.upstreams):
            yield ("audit", "judge", "model"), "no upstream serves this model"
