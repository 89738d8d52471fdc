"""What all other rooms build on: contracts, errors, files, registry, config, environments, timing, score rows."""
