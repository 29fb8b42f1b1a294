"""A configuration that says something of everything, for tests to break."""

from __future__ import annotations

import copy
from typing import Any

HASHES = tuple(f"sha256:{digit * 64}" for digit in "123")


def complete() -> dict[str, Any]:
    """A valid configuration with every section and every kind of value, as plain data."""
    return copy.deepcopy(
        {
            "listen": "0.0.0.0:8080",
            "store": "sqlite:///var/lib/askonce/askonce.db",
            "upstreams": [
                {
                    "type": "openai",
                    "name": "openai",
                    "base_url": "https://api.openai.com/v1",
                    "api_key": "sk-of-the-sample",
                    "models": ["gpt-*", "o*"],
                    "aliases": {"cheap": "gpt-4o-mini"},
                    "headers": {"OpenAI-Organization": "org-of-the-sample"},
                    "connect_timeout": "5s",
                    "first_byte_timeout": 120,
                    "idle_timeout": "1m",
                    "max_connections": 512,
                    "stream_usage": True,
                    "cache_control": "respect",
                    "retries": {"attempts": 2, "base": "250ms", "cap": "8s", "share": "20%", "floor": 10},
                    "breaker": {
                        "failures": 5,
                        "share": 0.5,
                        "least_calls": 20,
                        "window": "30s",
                        "probe_interval": "5s",
                    },
                },
                {
                    "type": "simulated",
                    "name": "simulated",
                    "models": ["*"],
                    "aliases": {},
                    "seed": 1,
                    "ttft_ms": 20,
                    "tokens_per_second": 400.5,
                    "concurrency_knee": 8,
                    "error_rate": "1%",
                    "rate_limit_rate": 0.01,
                    "garbage_rate": 0,
                    "half_stream_rate": 0,
                    "slots": 4,
                    "call_ms": 10,
                    "item_ms": 1.5,
                    "requests_per_second": 60,
                    "requests_per_minute": 3000,
                    "tokens_per_minute": 90000,
                    "answers": "answers.jsonl",
                },
            ],
            "fallbacks": {"gpt-*": [{"upstream": "simulated", "model": "stand-in"}]},
            "tenants": [
                {
                    "name": "acme",
                    "keys": [HASHES[0]],
                    "features": ["support", "default"],
                    "limits": {"requests_per_minute": 600, "usd_per_month": {"soft": 400, "hard": 500.5}},
                    "feature_limits": {"support": {"tokens_per_minute": {"soft": 1000}}},
                },
                {"name": "globex", "keys": [HASHES[1]]},
            ],
            "default_tenant": {"limits": {"requests_per_minute": 60}, "feature_limits": {"search": {}}},
            "features": {
                "support": {
                    "exact": True,
                    "inflight": True,
                    "inflight_high_temperature": "retries",
                    "semantic": True,
                    "error_budget": "1%",
                    "audit_share": "2%",
                    "ttl": "1d",
                    "scope": "shared",
                    "pool": "everybody",
                    "max_turns": 3,
                    "max_temperature": 1.0,
                    "semantic_tools": False,
                    "similarity_floor": 0.8,
                    "timeout": "600s",
                    "linger": "finish",
                    "max_flight_age": 600,
                    "limits": {"usd_per_day": 50, "count_hits": True, "unknown_price_usd": 0.02},
                },
                "search": None,
            },
            "defaults": {"semantic": "shadow", "linger": "5s"},
            "audit": {
                "daily_limit_usd": 2.5,
                "unknown_price_usd": 0.01,
                "max_queue": 100,
                "concurrency": 1,
                "timeout": "1m",
                "pass_through": False,
                "judge": {"model": "gpt-4.1-mini"},
            },
            "admin": {"keys": [HASHES[2]]},
            "limits": {
                "max_body_bytes": "10MiB",
                "body_timeout": "30s",
                "max_response_bytes": "64MiB",
                "flight_log_bytes": "8MiB",
                "total_log_bytes": "256MiB",
                "drain_timeout": 0,
            },
            "cache": {
                "memory_bytes": "256MiB",
                "disk_bytes": "4GiB",
                "max_entry_bytes": "4MiB",
                "commit_interval": "50ms",
            },
            "embedder": {"type": "minilm", "workers": 1, "memo_bytes": "8MiB", "max_queue": 256},
            "log": {"level": "info", "format": "json", "requests": False},
            "prices": {"gpt-4.1*": {"input": 2, "output": 8.0, "cached_input": 0.5}},
        }
    )
