"""What a stage or an experiment would do, found out from the recipe and the disk without touching anything.

The inputs that a stage recorded are compared with what follows from the recipe and from the folders of the stages
before. No data set is read and the network is not used, so the examples of a data set are not compared here; the stage
itself compares them when it begins.
"""
