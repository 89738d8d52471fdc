"""The ground floor: errors, files, registry, config, environments, timing, score rows."""
