"""Verifiers: models that judge a model's solutions of word problems, and choose among several.

A verifier is trained on solutions that a run's own model samples of *training* problems, labelled by their final
number (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168), and then ranks samples of the evaluation's questions.
"""
