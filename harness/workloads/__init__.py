"""Workloads: the tasks they define and what producers submit, one file each."""
