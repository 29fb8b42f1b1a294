"""What recording costs: exact hits of a gateway that keeps its books, beside one that doesn't.

    python bench/ledger.py [hot] [wide] [--rounds N] [--seconds S] [--json FILE]

Both gateways run at the same time on core 0, the load on core 1 goes to one and the other in turn, so that whatever else the
machine does concerns both. Two processes of the same program differ by some percent (where its memory lies, the order of its
hash tables), so several pairs are measured. `hot` is 1,000 stored questions again and again; `wide` is 5,000 in turn, more than the gateway
remembers the bodies of. Ratios are medians of each round's own. Needs two cores and `wrk`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import OFF, stats, wrk
from processes import gateway, simulator

if TYPE_CHECKING:
    from processes import Process

CONNECTIONS = 64
DISTINCT = {"hot": "1000", "wide": "5000"}


Values = dict[str, list[float]]


def measure(pairs: int, rounds: int, seconds: int, kinds: list[str]) -> dict[str, Any]:
    """Requests a second and CPU of both, over several pairs of processes."""
    rates: Values = {}
    cpu_us: Values = {}
    for _ in range(pairs):
        _measure_pair(rounds, seconds, {kind: DISTINCT[kind] for kind in kinds}, (rates, cpu_us))
    return {
        "pairs": pairs,
        "rounds": rounds,
        "per_s": {name: round(statistics.median(values)) for name, values in rates.items()},
        "cpu_us": {name: round(statistics.median(values), 2) for name, values in cpu_us.items()},
        "throughput_ratio": {kind: _ratio(rates, kind) for kind in kinds},
        "cpu_ratio": {kind: _ratio(cpu_us, kind) for kind in kinds},
    }


def _measure_pair(rounds: int, seconds: int, kinds: dict[str, str], into: tuple[Values, Values]) -> None:
    """Two new processes, loaded in turn, the order changing from round to round."""
    rates, cpu_us = into
    with (
        simulator() as upstream,
        gateway(upstream.base_url, OFF) as recording,
        gateway(upstream.base_url, f"{OFF}ledger: {{record: off}}\n") as silent,
    ):
        servers = {"recording": recording, "silent": silent}
        for server in servers.values():
            _fill(server, upstream, max(kinds.values(), key=int))
        for number in range(rounds):
            for kind, distinct in kinds.items():
                for name in sorted(servers, reverse=number % 2 == 1):
                    server = servers[name]
                    cpu_s = server.cpu_s
                    load = wrk(server.port, seconds, CONNECTIONS, distinct, "hit")
                    used_us = (server.cpu_s - cpu_s) / load["requests"] * 1e6
                    rates.setdefault(f"{kind} {name}", []).append(load["rate"])
                    cpu_us.setdefault(f"{kind} {name}", []).append(used_us)


def _fill(server: Process, upstream: Process, distinct: str) -> None:
    """Has all questions stored."""
    before = stats(upstream)["calls"]
    while stats(upstream)["calls"] - before < int(distinct):
        wrk(server.port, 3, CONNECTIONS, distinct, "hit")


def _ratio(values: Values, kind: str) -> float:
    """The recording gateway's, as a share of the silent one's: the median of the rounds'."""
    pairs = zip(values[f"{kind} recording"], values[f"{kind} silent"], strict=True)
    return round(statistics.median(one / other for one, other in pairs), 4)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", choices=[*DISTINCT, []], help="which; both if not given")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of new processes")
    parser.add_argument("--rounds", type=int, default=6, help="rounds of each pair and kind")
    parser.add_argument("--seconds", type=int, default=2, help="seconds of load on each, whole ones")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    result = measure(options.pairs, options.rounds, options.seconds, options.kinds or [*DISTINCT])
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
