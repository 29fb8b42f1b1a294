"""The stages of a request's way, in `gateway.py`'s order: each decides one thing and knows no other stage.

`answers` (what an answer is made of) and `broadcast` (the log that readers follow) are shared by stages.
"""
