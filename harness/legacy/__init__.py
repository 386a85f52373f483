"""Huey on Redis Cluster as people wrote it in 2020: a subclass over redis-py-cluster, named in Django's settings.

Not to be deployed: it is here to be measured (docs/versions.md). It runs in an interpreter that holds redis-py 3,
redis-py-cluster and Django, and imports nothing of the harness.
"""
