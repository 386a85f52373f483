"""How an agent comes by the project's Huey: through Django, as `manage.py` does."""

from __future__ import annotations

import json
import os
from typing import Any


def open_huey(name: str, **connection: Any) -> Any:
    """`huey.contrib.djhuey.HUEY` of a project with that queue on those servers; once in a process."""
    os.environ["HUEY_NAME"] = name
    os.environ["HUEY_CONNECTION"] = json.dumps(connection)
    os.environ["DJANGO_SETTINGS_MODULE"] = "harness.legacy.settings"
    import django

    django.setup()
    from huey.contrib.djhuey import HUEY

    return HUEY
