"""The pages of this folder as a site: MyST Markdown, built by `make docs` without a network."""

import sys
from importlib import metadata
from pathlib import Path

from sphinx.domains.python import PyObject

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "UnitBench"
author = "The UnitBench authors"
release = metadata.version("unitbench")
extensions = ["config_keys", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # a heading is a target of links, named as GitHub names it
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"UnitBench {release}"
html_show_copyright = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["style.css"]

# The reference is made of docstrings. They have Google's sections, and `code` as Markdown writes it.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
for field in PyObject.doc_field_types:
    if field.name == "variable":
        field.label = "Attributes"  # Sphinx calls them variables


def keep_first_colon(app, what, name, obj, options, lines):
    """Napoleon takes what stands before the first colon of a property's first line for its type."""
    if what == "property":
        lines.insert(0, "\\ ")  # nothing, in reStructuredText


def setup(app):
    app.connect("autodoc-process-docstring", keep_first_colon, priority=400)  # before Napoleon's, at 500
