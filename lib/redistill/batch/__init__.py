"""Grids of runs: on the slots of one machine, or through Slurm."""
