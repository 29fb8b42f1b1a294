"""Errors: all of them, at their lines, with what to do, and never with a secret."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from askonce.config import ConfigError, loads
from config.samples import HASHES, complete

if TYPE_CHECKING:
    from collections.abc import Iterator

UPSTREAM = "upstreams: [{type: simulated}]\n"
SECRET = "sk-very-secret-8f3a"

EVERYTHING = """\
askonce.yaml:1: listen: must be host:port such as 127.0.0.1:8080, 0.0.0.0:8080 or "[::1]:8080" (in quotes)
askonce.yaml:2: stroe: unknown key; did you mean "store"?
askonce.yaml:5: upstreams[0].base_url: must not hold a credential; put it in api_key
askonce.yaml:6: upstreams[0].api_key: the environment variable NOPE is not set; set it or write ${NOPE:-default}
askonce.yaml:7: upstreams[0].connect_timeout: must be a duration such as 500ms, 30s, 10m or 1d (a plain number is seconds)
askonce.yaml:8: upstreams[1].type: anthropic is not available in this version; use an OpenAI-compatible endpoint
askonce.yaml:9: upstreams[2].error_rate: must be at most 100%; a share of five percent is written 5% or 0.05
askonce.yaml:9: upstreams[2].sede: unknown key; did you mean "seed"?
askonce.yaml:10: upstreams[3]: must be a mapping (key: value)
askonce.yaml:13: tenants[0].keys[0]: must be "sha256:" and 64 hex digits, never the key itself; run `askonce keys new` for a key and its hash
askonce.yaml:16: features.support.semantc: unknown key; did you mean "semantic"?
askonce.yaml:17: features.support.semantic: must be off, shadow or on; did you mean "shadow"?
askonce.yaml:19: features.support.max_turns: given twice, first in line 18
askonce.yaml:20: features."Bad Name": must be lower-case letters, digits, - and _ (at most 63, a letter or digit first)
askonce.yaml:21: features.default: this feature always exists; write its policy under "defaults"
askonce.yaml:22: limits: must be a mapping (key: value)
askonce.yaml:23: prices."gpt-4.1".input: must be at least 0
askonce.yaml:23: prices."gpt-4.1".output: required, but missing
"""


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "askonce.yaml", {"SECRET": SECRET})
    return str(caught.value)


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in nested data."""
    yield path
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from paths(value, (*path, key))


def replaced(path: tuple[Any, ...], value: object) -> Any:
    """The complete sample with another value at a path."""
    if not path:
        return value
    root = place = complete()
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return root


def mappings() -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every mapping with fixed keys in the complete sample, and each of its keys."""
    for path in paths(complete()):
        named_by_user = len(path) > 1 and path[-2] in {
            "aliases",
            "headers",
            "fallbacks",
            "feature_limits",
            "features",
            "prices",
        }
        if path and isinstance(path[-1], str) and not named_by_user:
            yield path[:-1], path[-1]


def test_everything_wrong_is_listed_at_once_by_line() -> None:
    """One run of the check is enough to fix a file."""
    text = f"""\
listen: 8080
stroe: "memory:"
upstreams:
  - name: openai
    base_url: https://u:p@api.openai.com/v1
    api_key: ${{NOPE}}
    connect_timeout: soon
  - {{type: anthropic}}
  - {{type: simulated, sede: 3, error_rate: 3}}
  - just text
tenants:
  - name: acme
    keys: ["{SECRET}"]
features:
  support:
    semantc: on
    semantic: shadw
    max_turns: 3
    max_turns: 4
  Bad Name: {{}}
  default: {{}}
limits: [1]
prices: {{"gpt-4.1": {{input: -1}}}}
"""
    assert complaint(text).splitlines() == EVERYTHING.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "askonce.yaml:1: upstreams: required, but missing"),
        ("- a", "askonce.yaml:1: must be a mapping (key: value)"),
        ("upstreams: []", "askonce.yaml:1: upstreams: must have at least one item"),
        ("upstreams: {a: 1}", "askonce.yaml:1: upstreams: must be a list"),
        ("upstreams:\n- name: a", "askonce.yaml:2: upstreams[0].base_url: required, but missing"),
        (
            "upstreams:\n- type: bard",
            "askonce.yaml:2: upstreams[0].type: must be openai, simulated or python",
        ),
        (
            "upstreams: [{type: python, name: engine, function: my/engine.py}]",
            "askonce.yaml:1: upstreams[0].function: must name a function as package.module:attribute",
        ),
        (
            "upstreams: [{name: a, base_url: http://a, batching: {chat: vlm}}]",
            'askonce.yaml:1: upstreams[0].batching.chat: must be off or vllm; did you mean "vllm"?',
        ),
        (UPSTREAM + "log: {level: 3}", "askonce.yaml:2: log.level: must be debug, info, warning or error"),
        (UPSTREAM + "embedder: {workers: two}", "askonce.yaml:2: embedder.workers: must be a whole number"),
        (UPSTREAM + "embedder: {workers: 1.5}", "askonce.yaml:2: embedder.workers: must be a whole number"),
        (UPSTREAM + "embedder: {workers: 0}", "askonce.yaml:2: embedder.workers: must be at least 1"),
        (
            UPSTREAM + "defaults: {max_temperature: hot}",
            "askonce.yaml:2: defaults.max_temperature: must be a number",
        ),
        (
            UPSTREAM + "defaults: {similarity_floor: 2}",
            "askonce.yaml:2: defaults.similarity_floor: must be at most 1",
        ),
        (
            UPSTREAM + "defaults: {error_budget: 60%}",
            "askonce.yaml:2: defaults.error_budget: must be at most 0.5",
        ),
        (UPSTREAM + "defaults: {ttl: 0}", "askonce.yaml:2: defaults.ttl: must be greater than 0"),
        (UPSTREAM + "features: []", "askonce.yaml:2: features: must be a mapping (key: value)"),
        (UPSTREAM + "tenants: [{name: 5, keys: []}]", "askonce.yaml:2: tenants[0].name: must be text"),
        (
            "upstreams: [{type: simulated, models: ['']}]",
            "askonce.yaml:1: upstreams[0].models[0]: must not be empty",
        ),
        (
            "upstreams: [{type: simulated, models: gpt}]",
            "askonce.yaml:1: upstreams[0].models: must be a list",
        ),
        (UPSTREAM + "prices: {x: 3}", "askonce.yaml:2: prices.x: must be a mapping (key: value)"),
        (
            UPSTREAM + "zzz: 1",
            "askonce.yaml:2: zzz: unknown key; valid keys: listen, store, upstreams, fallbacks, tenants,",
        ),
    ],
)
def test_wrong_types_are_explained(text: str, expected: str) -> None:
    """A sentence in words of YAML, not of a programming language."""
    assert complaint(text).startswith(expected)


@pytest.mark.parametrize(("path", "key"), list(mappings()))
def test_misspelled_keys_are_recognised_everywhere(path: tuple[Any, ...], key: str) -> None:
    """A slip in any key of any mapping is answered with that mapping's nearest key."""
    slip = key[:1] + key[2:] + "x"
    data = complete()
    place = data
    for part in path:
        place = place[part]
    place[slip] = place.pop(key)
    found = complaint(yaml.safe_dump(data))
    assert f'{slip}: unknown key; did you mean "{key}"?' in found


@pytest.mark.parametrize("path", list(paths(complete())))
@pytest.mark.parametrize("written", [SECRET, "${SECRET}", [SECRET], {"x": SECRET}])
def test_no_value_is_ever_repeated(path: tuple[Any, ...], written: object) -> None:
    """Whatever value a secret takes the place of, neither error, representation nor traceback shows it."""
    try:
        settings = loads(yaml.safe_dump(replaced(path, written)), "askonce.yaml", {"SECRET": SECRET})
    except ConfigError as error:
        shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
        assert SECRET not in "".join(shown)
    else:
        # What isn't a secret's place (a name, a model) may show; keys and headers may not.
        if "api_key" in path or "headers" in path:
            assert SECRET not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize("broken", [f"a: [{SECRET}", f"{SECRET}: a: b", f"\t{SECRET}", f'"{SECRET}'])
def test_no_broken_yaml_is_repeated(broken: str) -> None:
    """YAML's own errors quote the text; ours don't."""
    with pytest.raises(ConfigError) as caught:
        loads(broken, "askonce.yaml", {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_problems_can_be_read_by_programs() -> None:
    """Path, line and sentence are there one by one, in the order of the lines."""
    with pytest.raises(ConfigError) as caught:
        loads("upstreams: []\nlog:\n  levle: info\n", "askonce.yaml", {})
    problems = [(problem.path, problem.line) for problem in caught.value.problems]
    assert problems == [(("upstreams",), 1), (("log", "levle"), 3)]


def test_violations_between_parts_have_lines_too() -> None:
    """What only several keys together make wrong is reported where one of them can be changed."""
    text = f"""\
upstreams:
  - {{type: simulated}}
  - {{type: simulated}}
tenants:
  - name: acme
    keys: ["{HASHES[0]}"]
    features: [suport]
  - name: acme
    keys:
      - "{HASHES[1]}"
      - "{HASHES[0]}"
      - "{HASHES[1]}"
features:
  support:
    pool: x
admin:
  keys: ["{HASHES[0]}"]
cache: {{memory_bytes: 1MiB}}
limits: {{flight_log_bytes: 1GiB}}
"""
    assert complaint(text).splitlines() == [
        "askonce.yaml:3: upstreams[1].name: another upstream has this name",
        'askonce.yaml:7: tenants[0].features[0]: not one of the "features"; did you mean "support"?',
        "askonce.yaml:8: tenants[1].name: another tenant has this name",
        "askonce.yaml:11: tenants[1].keys[1]: this key was given before",
        "askonce.yaml:12: tenants[1].keys[2]: this key was given before",
        "askonce.yaml:15: features.support.pool: a pool is used only with scope: shared",
        "askonce.yaml:17: admin.keys[0]: this key was given before; administrators need keys of their own",
        "askonce.yaml:18: cache.max_entry_bytes: must not be larger than cache.memory_bytes",
        "askonce.yaml:19: limits.flight_log_bytes: must not be larger than limits.total_log_bytes",
    ]
