"""A process that has imported the heavy libraries and forks a child for every script it is asked to run.

Importing torch, transformers, trl and lighteval takes longer than the work of many scripts. The warm process does it
once. A child has its own arguments, environment, working folder, standard streams and session. It runs the script as
`__main__` and ends like any other Python process: exit handlers run, streams are flushed, an uncaught exception gives
exit code 1, and a signal a negative code.

A fork copies only the forking thread, so the warm process does nothing but import: it has one thread, has run no
tensor operation and has not used a GPU. It refuses to serve if an import started a thread. Linux only.

Settings that the interpreter and the libraries read at start-up (memory allocator, hash seed, cache folders, offline
switches) are those of the warm process. `WarmProcess.start` refuses an environment in which they differ.
`OMP_NUM_THREADS` and `MKL_NUM_THREADS` may differ: a child sets torch's threads from them. numpy and scipy use one
thread.

Example:

```python
with WarmProcess(["torch", "transformers"]) as warm:
    code = warm.run(["scripts/run_sft.py", "recipes/baseline.yaml"])
```
"""

from domain_tokens.warm_process.client import THREADS, ForkedProcess, Stream, WarmProcess, WarmProcessError

__all__ = ["THREADS", "ForkedProcess", "Stream", "WarmProcess", "WarmProcessError"]
