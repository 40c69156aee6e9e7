"""Sphinx's settings for the website; course/site.py makes what it reads."""

import tomllib

from course.paths import ROOT
from course.site import repository

settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
project, release = "Whole or Hub", settings["version"]
language, root_doc = "en", "index"
extensions = ["myst_nb"]
exclude_patterns = ["downloads", "extra", "notebooks/assignments"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
html_theme = "sphinx_book_theme"
html_title = "Whole or Hub?"
html_baseurl = ""
html_copy_source = html_show_sourcelink = False
html_static_path = [str(ROOT / "docs" / "static")]
html_css_files = ["site.css"]
html_extra_path = [str(ROOT / "build" / "site-source" / "extra")] if (ROOT / "build" / "site-source" / "extra").exists() else []
html_theme_options = {
    "repository_url": repository(),
    "use_repository_button": bool(repository()),
    "use_issues_button": bool(repository()),
    "use_download_button": False,
    "show_toc_level": 2,
}
