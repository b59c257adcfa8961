"""A process that has imported the heavy libraries and forks a child for every script that it is asked to run.

Importing torch, transformers, trl and lighteval takes longer than many a script's own work. The warm process does it
once. A child has its own arguments, environment, working folder, standard streams and session; it runs the script as
`__main__` and ends like any other Python process: exit handlers run, streams are flushed, an uncaught exception gives
exit code 1, a signal a negative one.

A fork copies only the thread that forks, so the warm process imports and does nothing else: it has one thread, has run
no tensor operation and has not touched a GPU. It refuses to serve if an import started a thread. Linux only.

What the interpreter and the libraries read when they start (memory allocator, hash seed, cache folders, offline
switches) is the warm process's. `WarmProcess.start` refuses an environment that differs there. `OMP_NUM_THREADS` and
`MKL_NUM_THREADS` may differ: a child sets torch's threads from them. numpy and scipy compute on one thread.

Example:

```python
with WarmProcess(["torch", "transformers"]) as warm:
    code = warm.run(["scripts/run_sft.py", "recipes/baseline.yaml"])
```
"""

from domain_tokens.warm_process.client import THREADS, ForkedProcess, Stream, WarmProcess, WarmProcessError

__all__ = ["THREADS", "ForkedProcess", "Stream", "WarmProcess", "WarmProcessError"]
