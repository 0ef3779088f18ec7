"""How is the site built? ``sphinx-build -W --keep-going -j auto -b html docs docs/_build/html``.

It needs what ``pip install '.[docs]'`` brings, and no network, neither when it is built nor when it is read. The pages
are Markdown that can be read as it stands in the repository. Two folders are made when the site is built, and are not
in the repository: ``docs/tutorials``, the committed notebooks with their outputs, and the pages of ``docs/reference``.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import make_reference  # noqa: E402
import make_tutorials  # noqa: E402
from jinja2 import FileSystemLoader  # noqa: E402
from jinja2.sandbox import SandboxedEnvironment  # noqa: E402
from numpydoc import docscrape, docscrape_sphinx, numpydoc  # noqa: E402

import floatlab  # noqa: E402

project = "floatlab"
author = "The floatlab developers"
project_copyright = author
version = release = floatlab.__version__

extensions = ["sphinx.ext.autodoc", "myst_nb"]  # and numpydoc, below
exclude_patterns = ["_build", "tutorials/exercises", "tutorials/solutions"]  # those are to be downloaded
default_role = "py:obj"
nitpicky = True
# What a docstring names between backticks is a link where it is public, and code where it is not. Types are written in
# plain words, as NumPy's guide to docstrings has it. Links of pages, which MyST resolves, are checked all the same.
nitpick_ignore_regex = [("py:.*", ".*")]

autodoc_typehints = (
    "none"  # a signature says enough with names and defaults; the parameters' types stand below
)
maximum_signature_line_length = 80  # a longer one has a line for each parameter
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_xref_param_type = False

nb_execution_mode = "off"  # what is shown is what was committed; a test runs the notebooks and compares
nb_ipywidgets_js = {}  # there are no widgets, so nothing has to come from elsewhere
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline", "colon_fence"]

html_theme = "pydata_sphinx_theme"
html_title = "floatlab"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False  # the reference lists the modules
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 1,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def _read(app, name, source):
    source[0] = make_tutorials.with_links(source[0])


def _references(app, what, name, thing, options, lines):
    """Give each reference that begins with initials a paragraph of its own: "W. Kahan" is no item of a list."""
    text = re.sub(r"^( *)([A-Z])\. ", r"\n\1\2\\. ", "\n".join(lines), flags=re.MULTILINE)
    lines[:] = text.split("\n")


# As numpydoc has it; its own function reads and compiles the template for every docstring, twice: half of the build.
_TEMPLATES = FileSystemLoader(Path(docscrape_sphinx.__file__).parent / "templates")
_TEMPLATE = SandboxedEnvironment(loader=_TEMPLATES).get_template("numpydoc_docstring.rst")


def _documented(thing, what=None, doc=None, config=None, builder=None):
    """Return the docstring of a thing, as its parts."""
    return docscrape.get_doc_object(
        thing,
        what=what,
        doc=doc,
        config={**(config or {}), "template": _TEMPLATE},
        class_doc=docscrape_sphinx.SphinxClassDoc,
        func_doc=docscrape_sphinx.SphinxFunctionDoc,
        obj_doc=docscrape_sphinx.SphinxObjDoc,
    )


def setup(app):
    """Make the pages that are not in the repository, before Sphinx looks for pages."""
    make_tutorials.write(DOCS / "tutorials")
    make_reference.write(DOCS / "reference")
    numpydoc.setup(app, get_doc_object_=_documented)
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _references)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
