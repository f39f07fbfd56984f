"""What datasync costs, measured beside the least code that does the same visible work, and beside its peers.

`python -m benchmarks` runs every workload, `python -m benchmarks W1 W2` some. Two sides take turns in one process,
at least five rounds each, and the best of each counts, so that a busy machine blurs ratios little.
"""
