"""Sphinx's settings for the website; course/site.py makes what it reads."""

import tomllib

from course.paths import BUILD, ROOT
from course.site import repository

project = "Whole or Hub?"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
author, copyright = "the course's authors", "text and figures: CC BY 4.0"
language, root_doc = "en", "index"
extensions = ["myst_nb"]
exclude_patterns = ["downloads", "extra", "notebooks/assignments"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # the tables that lessons display
myst_enable_extensions = ["attrs_inline"]  # the glossary's anchors
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/leaf.svg"
html_extra_path = [str(extra)] if (extra := BUILD / "site-source" / "extra").exists() else []
html_copy_source = html_show_sourcelink = html_use_index = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "repository_url": repository(),
    "use_repository_button": bool(repository()),
    "use_issues_button": bool(repository()),
    "use_download_button": False,  # each lesson has a line of its own
    "navbar_persistent": [],  # the sidebar has the search
    "show_toc_level": 2,
}
