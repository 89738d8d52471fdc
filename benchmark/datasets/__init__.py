"""Datasets, one file each, made by name through `benchmark.core.registry.make("datasets", name, options)`.

A dataset is an object with `record() -> dict`, what it is, and `slides() -> Iterator[AnnData]`, its slides
one at a time in the schema of `benchmark/data/slide.py`. Its options are the keywords of its class.
"""
