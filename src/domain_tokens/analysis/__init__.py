"""Two conditions' result files in, one judged comparison out: results.json, results.md, report.html and plots.

The room reads what the stages wrote and never a model. The order of the two conditions only sets the sign of a
difference: the first is the reference, the second is compared with it.
"""
