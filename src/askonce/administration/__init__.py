"""What administrators do to a running gateway: forget answers, carry them elsewhere, explain decisions, issue keys.

- `invalidation` forgets entries that a selection means, or that answer what is equivalent to a question.
- `explanation` says why a request was answered as it was; `difference` compares what two requests ask.
- `transfer` writes and reads entries as lines of JSON.
- `keys` issues and revokes tenants' keys while the gateway runs.

Nothing here knows HTTP; who may do what is decided in front of it.
"""
