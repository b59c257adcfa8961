"""A jail for what must not be trusted: programs that a model wrote, and the parsing of such programs.

`client.Jail.run` executes a program in a confined child and returns a finite number or a refusal. `client.Jail.map`
applies a trusted function to untrusted texts in such children. Four layers, each of which holds alone
(`docs/SECURITY.md`): an allow-list of syntax, limits of the system, a filter of system calls, and a clock.

Nothing is imported here, and the room imports nothing of the project: the process that forks the children imports its
own part of the room alone, because a fork takes as long as the process is large (0.5 ms at 12 MB, 1.4 ms at 16 MB).
"""
