"""How several callers' bodies are made into one, and its answer into theirs. Pure: no clock, no I/O."""
