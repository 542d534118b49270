"""PyTorch's own operator database as the measure of the PyTorch frontend and of all backends.

Each sample of each operator becomes a small graph, runs on every backend, and is compared with what
PyTorch gives. `python -m tests.frontends.op_database --help` measures a part of it.
"""
