"""Faults: inject, proof that it landed, heal, proof that it healed, one file each."""
