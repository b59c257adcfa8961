"""Worked solutions in prose, written by a model behind an OpenAI-compatible endpoint.

A solution in Python is sent with its question; steps and a final number come back. Every answer that was paid for is
on disk before anything is done with it, and none is accepted that its program or its own equations contradict.
"""
