"""Attacks on what a run leaves behind: kills, limits of memory, full disks and planted names; ``python -m tests.attack`` does them all."""
