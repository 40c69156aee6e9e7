"""The website is built from what is stored, and its pages work on a desk and on a phone, by mouse and by keyboard."""

import itertools

import pytest
from axe_playwright_python.sync_playwright import Axe

from course import site
from course.paths import BUILD, ROOT

EVERY_DAY = ("index", "notebooks/00_start_here")
SCHEMES = {1280: ("light", "dark"), 390: ("dark",)}  # a page's width in pixels, and what axe-core looks at there
FILES = itertools.chain(*site.pages(ROOT).values())
PAGES = ["index", "runs", "search", *(path.relative_to(ROOT).with_suffix("").as_posix() for path in FILES)]
SHOWN = [
    pytest.param(name, width, marks=[] if name in EVERY_DAY else pytest.mark.long, id=f"{name}-{width}")
    for name, width in itertools.product(PAGES, SCHEMES)
]
# preload: axe-core would ask for style sheets at other addresses than the page does.
OPTIONS = {"preload": False, "resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def address(serve, browser):
    """Build the site, and give the address at which it is served."""
    site.site()
    with serve(BUILD / "site") as address:
        yield address


@pytest.fixture
def page(browser):
    """Give a page that keeps what goes wrong in its list `faults`, and what it asks for in `asked`."""
    made = browser.new_page()
    made.faults, made.asked = [], []
    made.on("console", lambda said: said.type == "error" and made.faults.append(said.text))
    made.on("pageerror", lambda error: made.faults.append(str(error)))
    made.on("response", lambda answer: answer.status >= 400 and made.faults.append(f"{answer.status}: {answer.url}"))
    made.on("request", lambda request: made.asked.append(request.url))
    yield made
    made.close()


@pytest.mark.parametrize(("name", "width"), SHOWN)
def test_a_page_fits_its_screen_and_everybody_can_use_it(address, page, name, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")  # colours change at once
    page.goto(f"{address}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    for scheme in SCHEMES[width]:
        page.emulate_media(color_scheme=scheme)
        page.locator(f"html[data-theme={scheme}]").wait_for(state="attached")
        found = Axe().run(page, options=OPTIONS).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []
    assert page.faults == []
    assert [url for url in page.asked if not url.startswith((address, "data:"))] == []


def test_search_finds_a_term_in_its_lesson(address, page):
    page.goto(f"{address}/search.html?q=batch+normalisation")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    page.locator("#search-results .search-summary").filter(has_text="found").wait_for()
    assert any("/notebooks/02_" in link for link in results.evaluate_all("links => links.map(link => link.href)"))
    assert page.faults == []


def test_an_answer_unfolds_by_keyboard(address, page):
    page.goto(f"{address}/notebooks/00_start_here.html")
    answer = page.locator("details:has(> summary:text-is('Solution'))").first
    assert answer.get_attribute("open") is None
    answer.locator("> summary").focus()
    page.keyboard.press("Enter")
    assert answer.get_attribute("open") is not None
    assert answer.locator("p").first.is_visible()


def test_pictures_have_the_alt_text_of_their_figures(address, page):
    page.goto(f"{address}/notebooks/00_start_here.html")
    alts = page.locator("article img").evaluate_all("pictures => pictures.map(picture => picture.alt)")
    assert any("cucumber 0.11" in alt for alt in alts)
    assert all(len(alt.split()) > 4 for alt in alts)
