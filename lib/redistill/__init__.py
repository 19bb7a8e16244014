"""Redistill: three papers on knowledge distillation for video action recognition.

Data flows one way: parameters -> config -> catalog -> clips -> nets -> phases -> record
-> claims -> report.  Nothing here imports a notebook.
"""

__version__ = "0.1.0"
