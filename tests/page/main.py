"""main.py AXE PROGRAM [FOLDER]: looks at the page; AXE: axe-core's file; FOLDER: where screenshots go."""
import json, re, sys, tempfile, time
from pathlib import Path

import devtools
from devtools import until
from sandbox import Sandbox, Server, pod, service

AXE, PROGRAM, SHOTS = sys.argv[1:4]
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"

# Many: Services, and changes a second.
MANY, PACE, SECONDS = 10_000, 100, 8

# The longest that the page may be busy, in ms (RAIL; what browsers call a long task is longer).
BUSY = 50


def shot(page, name):
    if SHOTS:
        page.shot(Path(SHOTS) / f"{name}.png")


def loaded(browser, url, **how):
    page = browser.page(**how)
    page.open(url)
    page.until("document.querySelector('#found')?.innerText.includes('Service')", "the list of Services")
    return page


def violations(page):
    """What axe-core finds wrong; None where all is well."""
    page.run(Path(AXE).read_text() + ";0")
    found = page.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))")
    return found or None


def leave(page, url):
    """Closes it: it has asked nobody else, nothing was forbidden, nothing was wrong."""
    others = [asked for asked in page.requested() if not asked.startswith(url)]
    assert not others, others
    assert page.run("seen.forbidden") == [] and page.errors() == [], (page.run("seen.forbidden"), page.errors())
    page.close()


def a_change_is_shown_within_a_second(sandbox, browser):
    page = loaded(browser, sandbox.page)
    page.run("document.querySelector('#name').value = 'redis-7.redis'; document.querySelector('#ask').requestSubmit()")
    page.until("document.querySelector('#said').innerText.includes('What mends it')", "the explanation")
    assert page.run("getComputedStyle(document.querySelector('#since')).display") == "none"
    began = time.monotonic()
    sandbox.call("POST", SERVICES, service("late", "10.96.9.9"))
    page.until("document.querySelector('#changes').innerText.includes('+10.96.9.9')", "the change")
    changed = time.monotonic() - began
    page.until("document.querySelector('#names').innerText.includes('late.default')", "the Service")
    listed = time.monotonic() - began
    assert page.run("getComputedStyle(document.querySelector('#since')).display") != "none"
    assert changed < 1 and listed < 1.5, (changed, listed)
    leave(page, sandbox.page)
    return f"told after {changed * 1000:.0f} ms, in the list after {listed * 1000:.0f} ms"


def the_cluster_of_a_sandbox_is_shown_and_lives(sandbox, browser):
    page = loaded(browser, sandbox.page)
    page.until("document.querySelector('#pods').innerText.includes('default/redis-2')", "the Pods")
    page.until("document.querySelectorAll('#graph rect').length === 5", "the graph")
    lines = [item.strip() for item in page.run("document.querySelector('#selected').textContent").split("Pod ") if item]
    made = "made by StatefulSet default/redis; selected by Service default/redis"
    assert lines == [f"default/redis-{n}: {made}" for n in range(3)], lines
    assert "default/redis-data-redis-0" in page.text("#claims") and "Bound" in page.text("#claims"), page.text("#claims")
    assert "ready" in page.text("#nodes"), page.text("#nodes")
    assert "SuccessfulCreate" in page.text("#events"), page.text("#events")
    began = time.monotonic()
    sandbox.call("POST", PODS, pod("alone"))
    page.until("/default.alone\\s+[0-9.]+\\s+Running, ready/.test(document.querySelector('#pods').innerText)", "the new Pod")
    came = time.monotonic() - began
    page.until("document.querySelector('#selected').textContent.includes('default/alone: made by hand; selected by no Service')", "it in the graph")
    # A Pod that is made again has another address.
    row = "[...document.querySelectorAll('#pods li')].find((li) => li.querySelector('.name').innerText === 'default/redis-1')"
    state = f"({row}?.querySelector('.count').innerText ?? '')"
    before = page.run(state)
    assert before.endswith("Running, ready"), before
    began = time.monotonic()
    sandbox.call("DELETE", f"{PODS}/redis-1")
    page.until(f"{state}.endsWith('Running, ready') && {state} !== {json.dumps(before)}", "the Pod made again")
    made_again = time.monotonic() - began
    page.until("document.querySelector('#changes').innerText.includes('redis-1.redis.default.svc')", "the change")
    sandbox.call("DELETE", f"{PODS}/alone")
    page.until("!document.querySelector('#pods').innerText.includes('default/alone')", "the Pod's end")
    assert came < 1 and made_again < 1.5, (came, made_again)
    leave(page, sandbox.page)
    return f"a Pod is shown after {came * 1000:.0f} ms, one made again after {made_again * 1000:.0f} ms"


def all_is_reached_by_keyboard(sandbox, browser):
    page = loaded(browser, sandbox.page)
    page.call("Page.bringToFront")
    seen = []

    def tab_to(script, what):
        for _ in range(60):
            page.key("Tab")
            seen.append(page.run("document.activeElement.id || document.activeElement.tagName"))
            if page.run(f"(() => {{ const at = document.activeElement; return {script}; }})()"):
                assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid", what
                return
        raise AssertionError(f"{what} is not reached: {seen}")

    tab_to("at.id === 'name'", "the name")
    page.type("redis-7.redis")
    page.key("Enter", text="\r")
    page.until("document.querySelector('#said').innerText.includes('What mends it')", "the explanation")
    tab_to("at.id === 'find'", "the search")
    page.type("redis")
    page.until("document.querySelector('#found').innerText === '1 Service'", "one Service")
    tab_to("at.closest('#names') !== null", "the Service")
    page.key("Enter", text="\r")
    page.until("document.querySelector('#names').innerText.includes('redis-1.redis.default.svc.cluster.local')", "its names")
    assert page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    # What changes takes the place away from nobody.
    sandbox.call("POST", SERVICES, service("redis-other", "10.96.9.8"))
    page.until("document.querySelector('#found').innerText === '2 Services'", "the other Service")
    assert "redis.default" in page.run("document.activeElement.innerText")
    tab_to("at.id === 'pause'", "the pause")
    tab_to("at.id === 'by'", "the lists")
    tab_to("at.closest('#pods') !== null", "a Pod")
    page.key("Enter", text="\r")
    tab_to("at.innerText === 'Log'", "its log")
    page.key("Enter", text="\r")
    page.until("document.querySelector('#pods pre')?.textContent.includes('tarted')", "what it has written")
    tab_to("at.tagName === 'PRE'", "the log's text")
    tab_to("at.id === 'graph'", "the graph")
    tab_to("at.tagName === 'SUMMARY'", "its list")
    page.key("Enter", text="\r")
    page.until("document.querySelector('details').open", "the list")
    tab_to("at.id === 'events'", "the events")
    leave(page, sandbox.page)


def nothing_is_wrong_by_axe_core(sandbox, browser):
    looks = {"light": {}, "dark": {"scheme": "dark"}, "narrow": {"width": 360, "height": 1400},
             "narrow-dark": {"width": 360, "height": 1400, "scheme": "dark"}}
    for name, how in looks.items():
        page = loaded(browser, sandbox.page, **how)
        page.run("[...document.querySelectorAll('#names button')].find((b) => b.innerText.includes('redis.default')).click()")
        page.until("document.querySelector('#names table')", "the names")
        page.run("document.querySelector('#name').value = 'redis-7.redis'; document.querySelector('#ask').requestSubmit()")
        page.until("document.querySelector('#said ol')", "the explanation")
        page.until("document.querySelector('#top').children.length", "the list")
        page.until("document.querySelector('#pods button')", "the Pods")
        page.run("document.querySelector('#pods button').click(); document.querySelector('#pods td button').click()")
        page.run("document.querySelector('details').open = true")
        page.until("document.querySelector('#pods pre')?.textContent.length > 10", "the log")
        # A colour that comes is none yet.
        page.until("document.getAnimations().length === 0", "rest")
        assert violations(page) is None, (name, violations(page))
        width = page.run("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, (name, width)
        shot(page, name)
        leave(page, sandbox.page)


def a_server_that_has_gone_is_told_of(browser):
    sandbox = Sandbox(PROGRAM)
    page = loaded(browser, sandbox.page)
    sandbox.stop()
    page.until("/no connection|has ended/.test(document.querySelector('#state').innerText)", "the end")
    assert "redis.default" in page.text("#names")
    shot(page, "gone")
    page.close()


def an_api_server_that_is_away_is_told_of(browser):
    sandbox = Sandbox(PROGRAM)
    server = Server(PROGRAM, sandbox.kubeconfig)
    page = loaded(browser, server.page)
    page.until("document.querySelector('#names').innerText.includes('redis.default')", "the Service")
    # What is not a sandbox has no more than names.
    assert page.run("document.querySelectorAll('.cluster:not([hidden])').length") == 0
    began = time.monotonic()
    sandbox.stop()
    page.until("document.querySelector('#state').innerText.startsWith('the API server is away since')", "the outage")
    took = time.monotonic() - began
    assert "redis.default" in page.text("#names") and "what was known is shown" in page.text("#state")
    assert violations(page) is None, violations(page)
    shot(page, "away")
    leave(page, server.page)
    server.stop()
    return f"told {took * 1000:.0f} ms after its end began"


def an_empty_cluster_is_no_empty_page(browser):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("apiVersion: v1\nkind: Namespace\nmetadata: {name: empty}\n")
        file.flush()
        sandbox = Sandbox(PROGRAM, file.name)
        page = loaded(browser, sandbox.page)
        page.run("document.querySelector('#find').value = 'nobody'; document.querySelector('#find').dispatchEvent(new Event('input'))")
        page.until("document.querySelector('#found').innerText === 'No name has that in it.'", "none")
        assert violations(page) is None, violations(page)
        shot(page, "empty")
        leave(page, sandbox.page)
        sandbox.stop()


def many_services_and_changes_leave_it_at_hand(browser):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        items = [service(f"svc-{n}") for n in range(MANY)]
        json.dump({"apiVersion": "v1", "kind": "List", "items": items}, file)
        file.flush()
        sandbox = Sandbox(PROGRAM, file.name)
    before = change(sandbox)
    page = loaded(browser, sandbox.page)
    assert page.text("#found").startswith("1000"), page.text("#found")
    page.run("seen.long.length = 0")
    after = change(sandbox)
    # It answers meanwhile: what is looked for is found.
    page.run("document.querySelector('#find').value = 'svc-77'; document.querySelector('#find').dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#found').innerText === '111 Services; the first 100 are shown'", "what is looked for")
    long = page.run("seen.long")
    shot(page, "many")
    leave(page, sandbox.page)
    sandbox.stop()
    assert max(long, default=0) <= BUSY, long
    told = [f"{cpu:.1f} s of CPU in {took:.1f} s at {pace:.0f} changes a second" for cpu, took, pace in [before, after]]
    return f"{MANY} Services: no task of more than {BUSY} ms; the sandbox takes {told[0]} without the page, {told[1]} with it"


def change(sandbox):
    """Changes Services for a while: seconds of CPU that the sandbox takes, seconds that passed, how many it was in one."""
    began, cpu, n = time.monotonic(), sandbox.cpu(), 0
    while time.monotonic() < began + SECONDS:
        time.sleep(max(0, began + n / PACE - time.monotonic()))
        n += 1
        patch = {"spec": {"type": "ExternalName", "externalName": f"a{n}.example", "clusterIP": None, "clusterIPs": None}}
        sandbox.call("PATCH", f"{SERVICES}/svc-{n % 500}", patch)
    took = time.monotonic() - began
    return sandbox.cpu() - cpu, took, n / took


def terminals(browser):
    """Takes pictures of what `watch` draws in its tests."""
    for file in Path("src/commands/watch/screens").glob("*.txt"):
        columns, rows = map(int, re.search(r"(\d+)x(\d+)", file.name).groups())
        page = browser.page(width=columns * 8 + 24, height=rows * 16 + 24)
        page.open(file.resolve().as_uri())
        page.until("document.readyState === 'complete' && document.body?.innerText", "the text")
        shot(page, f"terminal-{file.stem}")
        page.close()


def main():
    browser, sandbox = devtools.Browser(), Sandbox(PROGRAM)
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        terminals(browser)
    for check in [a_change_is_shown_within_a_second, the_cluster_of_a_sandbox_is_shown_and_lives, all_is_reached_by_keyboard, nothing_is_wrong_by_axe_core]:
        print(f"{check.__name__}: {check(sandbox, browser) or 'ok'}", flush=True)
    for check in [an_empty_cluster_is_no_empty_page, a_server_that_has_gone_is_told_of, an_api_server_that_is_away_is_told_of,
                  many_services_and_changes_leave_it_at_hand]:
        print(f"{check.__name__}: {check(browser) or 'ok'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
