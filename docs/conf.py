"""The site: ``make docs`` builds it from these pages, without the network and with warnings as errors."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import offline  # noqa: E402
import reference  # noqa: E402

import latentshape  # noqa: E402

project = "latentshape"
author = "The latentshape developers"
project_copyright = author
version = release = latentshape.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

# Pages are also read on code hosts: only what these render too, and what is left unseen there.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# Notebooks show what `make notebooks` left in them; a test executes them.
nb_execution_mode = "off"
nb_output_stderr = "remove"

# Single backticks in docstrings: a link where such a name is documented, code where none is.
default_role = "py:obj"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
# What scikit-learn adds to estimators, with links into its own pages.
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "latentshape"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"


def setup(app):
    """Formulas without a network; the public names as the package itself has them."""
    offline.setup(app)
    app.connect("source-read", reference.fill_in)
