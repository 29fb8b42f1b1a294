"""Sending well what can't be shared: who goes when, how many together, and what is tried after a failure."""
