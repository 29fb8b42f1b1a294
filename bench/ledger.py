"""What recording costs: exact hits of a gateway that keeps its books, beside one that doesn't.

    python bench/ledger.py [hot] [wide] [--rounds N] [--seconds S] [--json FILE]

Both gateways run at the same time on core 0, the load on core 1 goes to one and the other in turn, so that whatever else the
machine does concerns both. `hot` is 1,000 stored questions again and again; `wide` is 5,000 in turn, more than the gateway
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


def measure(rounds: int, seconds: int, kinds: list[str]) -> dict[str, Any]:
    """Requests a second and CPU of both, round by round, the order changing from round to round."""
    chosen = {kind: DISTINCT[kind] for kind in kinds}
    with (
        simulator() as upstream,
        gateway(upstream.base_url, OFF) as recording,
        gateway(upstream.base_url, f"{OFF}ledger: {{record: off}}\n") as silent,
    ):
        servers = {"recording": recording, "silent": silent}
        for server in servers.values():
            _fill(server, upstream, max(chosen.values(), key=int))
        asked = stats(upstream)["calls"]
        rates: dict[str, list[float]] = {}
        cpu_us: dict[str, list[float]] = {}
        for number in range(rounds):
            for kind, distinct in chosen.items():
                for name in sorted(servers, reverse=number % 2 == 1):
                    server = servers[name]
                    cpu_s = server.cpu_s
                    load = wrk(server.port, seconds, CONNECTIONS, distinct, "hit")
                    rates.setdefault(f"{kind} {name}", []).append(load["rate"])
                    cpu_us.setdefault(f"{kind} {name}", []).append(
                        (server.cpu_s - cpu_s) / load["requests"] * 1e6
                    )
        meanwhile = stats(upstream)["calls"] - asked
    return {
        "rounds": rounds,
        "per_s": {name: round(statistics.median(values)) for name, values in rates.items()},
        "cpu_us": {name: round(statistics.median(values), 2) for name, values in cpu_us.items()},
        "throughput_ratio": {kind: _ratio(rates, kind) for kind in chosen},
        "cpu_ratio": {kind: _ratio(cpu_us, kind) for kind in chosen},
        "upstream_calls_meanwhile": meanwhile,
    }


def _fill(server: Process, upstream: Process, distinct: str) -> None:
    """Has all questions stored."""
    before = stats(upstream)["calls"]
    while stats(upstream)["calls"] - before < int(distinct):
        wrk(server.port, 3, CONNECTIONS, distinct, "hit")


def _ratio(values: dict[str, list[float]], kind: str) -> float:
    """The recording gateway's, as a share of the silent one's: the median of the rounds'."""
    pairs = zip(values[f"{kind} recording"], values[f"{kind} silent"], strict=True)
    return round(statistics.median(one / other for one, other in pairs), 4)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", choices=[*DISTINCT, []], help="which; both if not given")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of both gateways and both kinds")
    parser.add_argument("--seconds", type=int, default=2, help="seconds of load on each, whole ones")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    result = measure(options.rounds, options.seconds, options.kinds or [*DISTINCT])
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
