"""What the gateway says of itself: metrics and logs, after the fact, never prompt text."""
