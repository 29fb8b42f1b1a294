"""What askonce would save on a log of requests, before it is switched on; and the same log sent to a running gateway.

`reading` turns logs into arrivals (`formats`, `litellm` and `langfuse` know the rows), `understanding` makes `traffic` of them
with the gateway's own code, `meaning` prepares the semantic tier, `simulation` plays all of it under a scenario, and `estimate` adds
up. `findings` and `tables` put it into words, which `text`, `page` and (bare) `data` show. `live` asks a gateway instead.
"""
