"""Sending well what can't be shared: who goes when, how many together, and what is tried after a failure.

From the outside in:

- `outlet`: one upstream as calls leave for it: its lines by model, and what all of its calls share, namely
  `breaker` (left alone while it is down) and `retries` (how often and when a failed call may go again).
- `line`: one upstream and model. A call is opened there with a `ticket` (who asks, until when) and gets a `passage`.

Admission, whose turn it is:

- `admission`: the gate. It gives a `grant` (a slot and a key, and the way back for what the call teaches), or a word of
  `refusals`; `limits` is what the operator declares, `state` what there is to see.
- `queue`: who waits, and who is next: lanes, keys, tenants. `drain`: how fast the queue moves, for estimates.
- `concurrency`: how many calls at a time.
- `pool`: keys that stand for one another. `key`: one key and all that limits it: `bucket` (declared per minute),
  `quota` (what response headers say is left), `pace` (the rate learned from refusals).
- `estimate`: tokens before anybody has counted them.

Batching, what goes together:

- `batching`: calls that wait pile up, and a carrier waits for a turn on their behalf. `delivery`: one batch's way.
- `whole`: an answer that is there as a whole, nothing to wait for.
- `batches`: how bodies are joined and answers split, and how large and how many batches are (see there).
"""
