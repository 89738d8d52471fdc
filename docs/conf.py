"""The pages of this folder as a site: MyST Markdown, built by `make docs` without a network."""

from importlib import metadata

project = "UnitBench"
author = "The UnitBench authors"
release = metadata.version("unitbench")
extensions = ["myst_parser"]
myst_heading_anchors = 3  # a heading is a target of links, named as GitHub names it
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"UnitBench {release}"
html_show_copyright = False
html_copy_source = False
