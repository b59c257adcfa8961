"""What can be said before a run: its steps, tokens, FLOPs, memory, disk and time, and what each stage would do.

`preview` finds out from the recipe and the disk which stages would run, resume, skip or refuse, without touching
anything. It compares the inputs that a stage recorded with what follows from the recipe and from the folders of the
stages before it. No data set is read and the network is not used, so the examples of a data set are not compared here;
the stage itself compares them when it begins.
"""
