"""Configuration: YAML to frozen, checked `Settings`, or a `ConfigError` that lists everything wrong by line.

`document` reads YAML with its lines, `forms` and `units` check single values, `section`, `policy`, `upstream`, `service` and
`settings` are the models, `problems` words the errors, `loading` puts these together, `advice` warns.

Durations are seconds, sizes bytes, shares numbers between 0 and 1. Attributes of durations end in `_s`, their
YAML keys don't (`ttl: 1d` is `ttl_s == 86400.0`).
"""

from askonce.config.advice import warnings
from askonce.config.allowances import AllowanceSettings, Bound, DefaultTenantSettings
from askonce.config.audit import AuditSettings, JudgeSettings
from askonce.config.batching import BatchingSettings
from askonce.config.forms import Address, MemoryStore, SqliteStore
from askonce.config.jobs import JobSettings, WebhookSettings
from askonce.config.loading import default_settings, load, loads
from askonce.config.policy import PolicySettings
from askonce.config.problems import ConfigError, Problem
from askonce.config.service import CacheSettings, EmbedderSettings, LimitSettings, LogSettings
from askonce.config.settings import (
    DEFAULT_FEATURE,
    AdminSettings,
    PriceSettings,
    Settings,
    TenantSettings,
)
from askonce.config.telemetry import TelemetrySettings
from askonce.config.upstream import OpenAIUpstream, PythonUpstream, SimulatedUpstream, UpstreamSettings

__all__ = [
    "DEFAULT_FEATURE",
    "Address",
    "AdminSettings",
    "AllowanceSettings",
    "AuditSettings",
    "BatchingSettings",
    "Bound",
    "CacheSettings",
    "ConfigError",
    "DefaultTenantSettings",
    "EmbedderSettings",
    "JobSettings",
    "JudgeSettings",
    "LimitSettings",
    "LogSettings",
    "MemoryStore",
    "OpenAIUpstream",
    "PolicySettings",
    "PriceSettings",
    "Problem",
    "PythonUpstream",
    "Settings",
    "SimulatedUpstream",
    "SqliteStore",
    "TelemetrySettings",
    "TenantSettings",
    "UpstreamSettings",
    "WebhookSettings",
    "default_settings",
    "load",
    "loads",
    "warnings",
]
