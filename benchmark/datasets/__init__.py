"""Datasets, one file each, made by name through `benchmark.core.registry.make("datasets", name, options)`.

Each satisfies `benchmark.core.contracts.Dataset`: it has `record()`, which says what it is, and `slides()`, which gives
its slides one at a time. Its options are the keywords of its class.
"""
