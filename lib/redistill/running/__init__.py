"""Run a notebook in a folder of its own, and say truly what became of it."""
