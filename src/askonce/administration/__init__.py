"""What administrators do to a running gateway: forget answers, carry them elsewhere, explain decisions, issue keys.

- `invalidation` forgets entries that a selection means, or that answer what is equivalent to a question.
- `explanation` says why a request was answered as it was; `comparison` sets two side by side.
- `transfer` carries entries out and in, as `lines` of JSON in a `stream`.
- `keys` issues and revokes tenants' keys while the gateway runs.

`known` tells what the store has of an entry, `asking` what somebody would ask.

Nothing here knows HTTP; who may do what is decided in front of it.
"""
