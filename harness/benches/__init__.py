"""Benchmarks: each measures what it compares side by side, in turns, and returns a line of figures with their aims."""
