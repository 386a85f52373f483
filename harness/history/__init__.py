"""What happened, written down: the record format, the append-only log, merged columns, JSON lines."""
