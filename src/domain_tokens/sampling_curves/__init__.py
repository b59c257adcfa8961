"""Accuracy by temperature and by number of samples: curves of finished runs of several conditions, side by side.

Answers are drawn and kept as a verifier's samples are (`verifier.sampling`), and nothing trains.
"""
