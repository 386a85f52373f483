"""A Django project whose HUEY is a reliable one: enqueued in one process, run by `manage.py run_huey` in another."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .servers import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not find_spec("django"), reason="needs Django")]

SETTINGS = """
SECRET_KEY = "of a test"
INSTALLED_APPS = ["huey.contrib.djhuey", "shop"]
HUEY = {{
    "huey_class": "harness.storages.ReliableClusterHuey",
    "name": "shop",
    "immediate": False,
    "connection": {{"startup_nodes": {nodes!r}, "replicas": 1, "lease_s": 30, "read_timeout": 0.5}},
    "consumer": {{"workers": 2, "worker_type": "thread"}},
}}
"""
TASKS = """
from huey.contrib.djhuey import HUEY, db_task

@db_task(priority=3)
def add(a, b):
    return a + b, HUEY.current_fence() > 0
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
ENQUEUE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()
from shop.tasks import add
print(add(1, 2).get(blocking=True, timeout=20))
"""


def test_one_task(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for path, text in {
        "settings.py": SETTINGS.format(nodes=[list(node) for node in cluster.startup_nodes]),
        "manage.py": MANAGE,
        "shop/__init__.py": "",
        "shop/tasks.py": TASKS,
    }.items():
        (tmp_path / path).write_text(text)
    with (tmp_path / "log").open("wb") as log:
        consumer = subprocess.Popen([sys.executable, "manage.py", "run_huey"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        done = subprocess.run(
            [sys.executable, "-c", ENQUEUE], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.stdout, done.returncode) == ("(3, True)\n", 0), done.stderr + (tmp_path / "log").read_text()
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(20) == 0
    finally:
        consumer.kill()
        consumer.wait(10)
