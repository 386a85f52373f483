"""Settings of a Django project that has a Huey. Where the servers are comes from the process' environment."""

import json
import os

SECRET_KEY = "of a project that answers no request"
DATABASES: dict[str, dict[str, str]] = {}
INSTALLED_APPS = ["huey.contrib.djhuey"]
USE_TZ = True
HUEY = {
    "huey_class": "harness.legacy.huey.LegacyClusterHuey",
    "name": os.environ["HUEY_NAME"],
    "immediate": False,
    "connection": json.loads(os.environ["HUEY_CONNECTION"]),
}
