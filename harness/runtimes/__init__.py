"""Runtimes: nodes (start, kill, pause, restart) and the links between them (cut, restore, probe)."""
