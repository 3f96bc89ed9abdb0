"""The lecture's page in a real browser: it opens, speaks both languages, answers clicks, and fits laptop and phone.

Screenshots are left in a temporary folder, whose name is printed, for a person to look at.
"""
import base64
import shutil

import pytest

from numbert.lecture import page

webdriver = pytest.importorskip("selenium.webdriver", reason="the extra numbert[browser] (selenium) is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and chromedriver are not installed")
WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("lecture") / "lecture.html"
    path.write_text(page.make(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screenshots")
    print(f"screenshots: {folder}")
    return folder


@pytest.fixture(params=WIDTHS)
def browser(request, address):
    """Chromium with the page open, at one width."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param < 500})
        driver.get(address)
        driver.width = request.param
        yield driver
        assert driver.get_log("browser") == []                  # after everything that the test did


def js(browser, script, *arguments):
    return browser.execute_script(script, *arguments)


def shown(browser, selector):
    """The texts of the elements that can be seen."""
    return js(browser, "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length)"
              ".map(e => e.textContent)", selector)


# What is cut off: whatever reaches beyond the window and cannot be scrolled to within a box of its own.
CUT = """
const boxes = ".wide, .src, .eq, .report, #matrix, aside, text, defs";
return [...document.querySelectorAll("main *, nav *")].filter(e => {
  const r = e.getBoundingClientRect();
  return r.width && !e.closest(boxes) && (r.right > innerWidth + 1 || r.left < -1);
}).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).slice(0, 5);
"""
OVERFULL = """
return [...document.querySelectorAll(".src, .prose, .asks, .foot, .figs, .bar, .toks")].filter(
  e => e.getClientRects().length && e.scrollWidth > e.clientWidth + 1
).map(e => e.className + " " + e.textContent.slice(0, 60)).slice(0, 5);
"""


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_nothing_is_cut_off(browser, pictures, language):
    js(browser, "speak(arguments[0]); document.querySelectorAll('details').forEach(d => { d.open = true; })", language)
    assert js(browser, "return document.documentElement.scrollWidth") <= browser.width
    assert js(browser, CUT) == []
    assert js(browser, OVERFULL) == []
    js(browser, "document.querySelectorAll('details').forEach(d => { d.open = false; })")
    for card in ("masking", "cross-entropy", "answer", "attention", "layer-norm", "backward"):
        left, top, width, height = js(browser,
                                      "const r = document.getElementById(arguments[0]).getBoundingClientRect();"
                                      "return [0, r.y + scrollY - 10, innerWidth, r.height + 20]", card)
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {
            "x": left, "y": top, "width": width, "height": height, "scale": 1}})
        (pictures / f"{card}-{language}-{browser.width}.png").write_bytes(base64.b64decode(shot["data"]))


def test_the_switch_changes_the_language(browser):
    js(browser, "speak('en')")
    assert "Self-attention" in shown(browser, "h2 .en") and shown(browser, ".zh") == []
    browser.find_element("id", "language").click()
    assert js(browser, "return document.documentElement.lang") == "zh-Hans"
    assert "交叉熵" in shown(browser, "h2 .zh") and shown(browser, ".en") == []
    browser.find_element("id", "language").click()
    assert "Cross-entropy" in shown(browser, "h2 .en")


def test_a_click_marks_a_name_and_its_gradient(browser):
    marked = js(browser, """
        const pair = document.querySelector("#layer-norm .pair.two");
        [...pair.querySelectorAll(".n")].find(e => e.textContent === "xhat").click();
        const forward = pair.querySelector(".src");
        return [...pair.querySelectorAll(".n.on")].map(e => [e.textContent, e.closest(".src") === forward]);
        """)
    assert ["xhat", True] in marked and ["dxhat", False] in marked
    assert {name for name, _ in marked} == {"xhat", "dxhat"}


def test_a_click_on_a_number_marks_the_line_that_inverts_it(browser):
    """Where the ops number their lines: see DESIGN of an op."""
    marked = js(browser, """
        for (const line of document.querySelectorAll(".pair.two .src .l[data-k]")) {
          line.querySelector("u").click();
          return [line.dataset.k, [...line.closest(".pair").querySelectorAll(".l.on")].map(l => l.dataset.k)];
        }
        return null;
        """)
    if marked is None:
        pytest.skip("no op numbers its lines yet")
    k, lines = marked
    assert len(lines) >= 2 and all(set(line.split(",")) & set(k.split(",")) for line in lines)


def test_break_opens(browser, pictures):
    text = js(browser, """
        const d = document.querySelector("#layer-norm .break");
        d.querySelector("summary").click();
        d.scrollIntoView({block: "center", behavior: "instant"});
        return d.open ? d.innerText : "";
        """)
    assert "tests/gradcheck/test_gradcheck.py::test_ops[layer_norm" in text
    browser.save_screenshot(str(pictures / f"break-{browser.width}.png"))


def test_the_whole_matrix_is_shown(browser, pictures):
    rows, words = js(browser, """
        const chip = [...document.querySelectorAll("#attention button.v")].find(
          b => b.querySelector("b").textContent === "probs");
        chip.scrollIntoView({block: "center", behavior: "instant"}); chip.click();
        return [document.querySelectorAll("#matrix tr").length, document.getElementById("matrix").innerText];
        """)
    assert rows == 2 * 18 and "[MASK]" in words             # two heads, a row for the names and one for each token
    browser.save_screenshot(str(pictures / f"matrix-{browser.width}.png"))
    browser.find_element("id", "close").click()
    assert not browser.find_element("id", "panel").is_displayed()


def test_the_number_under_the_pointer(browser):
    said = js(browser, """
        const cell = document.querySelector("#attention .cell");
        cell.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
        return document.querySelector("#attention .said").textContent;
        """)
    assert said.startswith("[CLS] → [CLS]: ") and said.endswith("%")


def test_the_contents_lead_to_the_cards(browser):
    if browser.width < 1100:
        browser.find_element("id", "menu").click()
    browser.find_element("css selector", "aside a[href='#gelu']").click()
    assert js(browser, "return location.hash") == "#gelu"
