"""The HTTP surface: raw ASGI on the inference endpoints, starlette for the rest."""
