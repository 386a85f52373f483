"""huey-harness: chaos tests that tell the truth about a Huey task queue."""
