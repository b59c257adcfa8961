"""Estimates made before a run: steps, tokens, FLOPs, memory, disk and time, and what each stage would do.

`preview` determines from the recipe and the disk which stages would run, resume, skip or refuse, without changing
anything. It compares the inputs recorded by a stage with those that follow from the recipe and from the folders of the
previous stages. It reads no data that trains and does not use the network, so examples are not compared here; the
stage itself compares them when it starts. `endpoint_questions` reads the questions of evaluations, to say which a
condition rewrites.
"""
