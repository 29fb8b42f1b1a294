"""What a batch is made of. Pure: no clock, no I/O.

- `rules`: what may go together, as declared. `pile`: what waits, and who is taken along.
- `form`: what joins calls and splits answers, one for each kind: `lists` (embeddings, completions), `chat` (vLLM's batch
  endpoint), `bodies` (functions of many calls). `shares`: whose results are whose. `share`: what one caller gets.
- `size`: how many items go at a time. `width`: how many batches go side by side.
"""
