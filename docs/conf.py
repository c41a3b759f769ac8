"""Settings of the site, which ``sphinx-build -W --keep-going docs build/site`` builds."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

from xnorflow.version import __version__  # noqa: E402

project = "xnorflow"
copyright = "2026, xnorflow contributors"
release = version = __version__

extensions = [
    "myst_nb",  # Pages in Markdown, and notebooks, which are executed.
    "numpydoc",  # Sections of docstrings.
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.viewcode",
    "sphinx_click",  # Commands from their own help.
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.mermaid",  # Graphs of layers, as the repository shows them too.
    "schema_table",  # Documents from their JSON Schemas.
]
exclude_patterns = ["_build", "pictures/README.md"]

html_theme = "furo"
html_title = f"xnorflow {release}"
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_copy_source = False

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
# Pages that the root folder has for readers on the repository are included with their own links.
suppress_warnings = ["myst.header"]

nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # numpydoc has the types, with shapes and units.
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_use_plots = False
default_role = "literal"
smartquotes = False  # Two hyphens of an option stay two.

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

linkcheck_ignore = [r"https?://.*"]
