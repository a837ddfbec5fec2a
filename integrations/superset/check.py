"""Opens the dashboards of the Superset at DASHBOARD_URL in a headless Chromium, as a person would: check.py PICTURES

It logs in, waits for every chart, and fails on an error, on a chart that got no row, and on one that draws nothing. Then it
filters, and breaks two views to see that it would have noticed. Screenshots go to the folder PICTURES; those of the
documentation are of few colors, to be small. Connects as psql does to know what the charts have to say.
"""

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psycopg2
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import dashboards

URL = os.environ["DASHBOARD_URL"]
CHROMIUM = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
# What each chart of a dashboard shows: whether it is still asking, its picture, and what stands there instead of one.
SHOWN = """return Object.fromEntries([...document.querySelectorAll('.dashboard-component-chart-holder')].map(box => [
    box.innerText.split('\\n')[0],
    {waits: box.querySelector('.loading, [data-test=loading-indicator]') !== null,
     draws: box.querySelector('canvas, table tbody td, .header-line') !== null,
     says: box.innerText,
     trouble: [...box.querySelectorAll('.ant-alert-error, [role=alert], .ant-empty, [data-test=error-message]')]
        .map(part => part.innerText || 'empty').join(' ')}]))"""
# The moves of the Sankey chart and the changes, of the customers or moves of a condition.
MOVED = """SELECT from_node, to_node, sum(customers)::int FROM segments.shop_movement
    WHERE to_day > date '2026-07-14' - 105 AND {} GROUP BY from_node, to_node"""
CHANGED = """SELECT label(what, from_value, 'en'), label(what, to_value, 'en'), count(DISTINCT customer_id) FROM segments.shop_changes
    WHERE what <> 'next_action' AND customer_id IN (SELECT customer_id FROM segments.shop_customers WHERE {})
    GROUP BY what, from_value, to_value"""
SECONDS = 240  # for what takes five on a machine that has nothing else to do


def browser(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in [*CHROMIUM, f"--user-data-dir={profile}", "--window-size=1400,2600"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


def log_in(chromium):
    chromium.get(f"{URL}/login/")
    WebDriverWait(chromium, SECONDS).until(lambda page: page.find_elements(By.CSS_SELECTOR, "input[type=password]"))
    chromium.find_element(By.ID, "username").send_keys("admin")
    chromium.find_element(By.ID, "password").send_keys(os.environ["DASHBOARD_PASSWORD"])
    chromium.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    WebDriverWait(chromium, SECONDS).until(lambda page: "/login" not in page.current_url)


def answers(chromium):
    """The answers to charts since the last call: of each its status and its rows."""
    found = []
    for entry in chromium.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.responseReceived" and "/api/v1/chart/data" in message["params"]["response"]["url"]:
            body = chromium.execute_cdp_cmd("Network.getResponseBody", {"requestId": message["params"]["requestId"]})["body"]
            results = json.loads(body).get("result") or [{}]
            found.append((message["params"]["response"]["status"], min((one.get("data") or [] for one in results), key=len)))
    return found


def settle(chromium, count):
    """Waits until all charts are there and show the same twice in a row; returns what they show."""
    before, until = None, time.time() + SECONDS
    while time.time() < until:
        shown = chromium.execute_script(SHOWN)
        if len(shown) == count and shown == before and not any(one["waits"] for one in shown.values()):
            return shown
        before = shown
        time.sleep(2)
    raise AssertionError(f"the charts do not come to rest: {before}")


def troubles(chromium, dashboard):
    """Opens a dashboard; what is wrong with its charts, and what they show."""
    chromium.get_log("performance")
    chromium.get(f"{URL}/superset/dashboard/{dashboard.slug}/")
    shown = settle(chromium, len(dashboard.charts))
    found = {name: one["trouble"] or "draws nothing" for name, one in shown.items() if one["trouble"] or not one["draws"]}
    titles = {dashboard.word(name) for name in dashboard.charts}
    found |= {name: "is not there" for name in titles - set(shown)}
    asked = answers(chromium)
    refused = [answer for answer in asked if answer[0] != 200 or answer[1] == []]
    if len(refused) > len(found):
        found["answers"] = refused
    if len(asked) < len(titles):
        found["questions"] = f"{len(asked)} of {len(titles)}"
    return found, shown


def choose(chromium, label, option):
    """Chooses an option of a filter as a person does, and applies it."""
    chromium.execute_script("window.scrollTo(0, 0)")
    box = f"//*[@data-test='filter-control-name'][normalize-space()='{label}']/ancestor::*[.//input[@role='combobox']][1]"
    field = chromium.find_element(By.XPATH, f"{box}//input[@role='combobox']")
    field.click()
    field.send_keys(option)
    item = (By.XPATH, f"//div[contains(@class,'ant-select-item-option')][@title='{option}']")
    WebDriverWait(chromium, SECONDS).until(lambda page: page.find_elements(*item))[0].click()
    apply = chromium.find_element(By.CSS_SELECTOR, "[data-test=filter-bar__apply-button]")
    WebDriverWait(chromium, SECONDS).until(lambda page: apply.is_enabled())
    apply.click()


def picture(chromium, path, height):
    image = Image.open(io.BytesIO(chromium.get_screenshot_as_png())).convert("RGB")
    image = image.crop((0, 0, image.width, min(height, image.height)))
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < 200_000, f"{path} has {path.stat().st_size} bytes"


def check(chromium, pictures, owner):
    log_in(chromium)
    all_of_them = [dashboards.Dashboard(**what) for what in dashboards.DASHBOARDS]
    for dashboard in all_of_them:
        found, shown = troubles(chromium, dashboard)
        picture(chromium, pictures / f"{dashboard.slug}.png", 1700)
        assert found == {}, f"{dashboard.slug}: {found}"
        print(f"{dashboard.slug}: {len(shown)} charts")

    # What a person chooses is what is counted.
    shop = all_of_them[0]
    for label, option, condition, of_moves in [
        ("Store", "Osaka", "store = 'Osaka'", "store = 'Osaka'"),
        ("Lifecycle state", "Dormant", "lifecycle_state = 'dormant'", "to_state = 'dormant'"),
        ("VIP tier", "Regular", "vip_tier = 'regular'", "true"),
        ("Acquired by", "friend", "acquired_by = 'friend'", "true"),
    ]:
        chromium.get(f"{URL}/superset/dashboard/{shop.slug}/")
        settle(chromium, len(shop.charts))
        answers(chromium)
        choose(chromium, label, option)
        owner.execute(f"SELECT count(*) FROM segments.shop_customers WHERE {condition}")
        expected = f"{owner.fetchone()[0]:,}"
        WebDriverWait(chromium, SECONDS).until(
            lambda page: page.execute_script(SHOWN)["Customers"]["says"].split("\n")[-1] == expected)
        settle(chromium, len(shop.charts))
        told = answers(chromium)
        owner.execute(MOVED.format(of_moves))
        moves = owner.fetchall()
        owner.execute(CHANGED.format(condition))
        changes = owner.fetchall()
        for columns, rows in [(("from_node", "to_node"), moves), (("from_label", "to_label"), changes)]:
            seen = [sorted((*(row[column] for column in columns), row["Customers"]) for row in answer)
                    for _, answer in told if answer and set(columns) <= set(answer[0])]
            # A chart that the filter does not reach is not asked again.
            assert seen in ([], [sorted(rows)]) and (seen or of_moves == "true"), f"{label} {option}: {seen}, not {rows}"
        print(f"{label} {option}: {expected}, {len(moves)} moves, {len(changes)} kinds of changes")

    # A chart whose view is gone and one that has no row are noticed, and no others.
    owner.execute("ALTER MATERIALIZED VIEW segments.shop_cohorts RENAME TO lost; DELETE FROM segments.shop_changes")
    found, _ = troubles(chromium, shop)
    assert set(found) == {shop.word("cohorts"), shop.word("changes")}, found
    print("a lost view and an empty one are noticed")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    connection = psycopg2.connect(dbname="worked_shop")
    connection.autocommit = True
    with tempfile.TemporaryDirectory() as profile:
        chromium = browser(profile)
        try:
            check(chromium, folder, connection.cursor())
        except BaseException:
            chromium.save_screenshot(str(folder / "failed.png"))
            raise
        finally:
            chromium.quit()
