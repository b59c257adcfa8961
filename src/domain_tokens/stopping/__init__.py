"""How a process is asked to stop, and what becomes of it when the one that started it ends."""
