"""askonce: an LLM gateway that never pays twice for the same answer.

`gateway.py` is a request's way, start to finish; `ARCHITECTURE.md` says what each part may know.
"""

__version__ = "0.1.0"
