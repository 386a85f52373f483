"""A small application with a Huey of its own: what docs/your-own-app.md is about."""
