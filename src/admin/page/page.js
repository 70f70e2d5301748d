// Asks the server, and shows what it says; what it means is decided there.

import { cluster, logs } from "./cluster.js";
import { ask, by, make, named, table, told, use } from "./kit.js";

const TOGETHER = 64; // Services whose names are asked for at a time: the most that the server takes.
const SHOWN = 100; // Services and changes at a time: more is not read.
const PACE = 500; // Milliseconds between a change and the look at the lists, which is of all changes meanwhile.
const SHARE = 4; // So many times as long as a look at the cluster takes the next one waits.
const AGAIN = 1000; // Milliseconds until the server is asked again, where it does not answer.
const POLL = 5000; // Milliseconds between two looks at the lists of who asks what.
const LOGS = 1000; // Milliseconds between two looks at a log.

let again = () => {}; // Asks for changes at once, where that is put off.
let leave = new AbortController(); // Ends the connection that tells of changes.

// --- services and their names

const open = new Map();
let asking = 0;

function names(service) {
  const rows = service.names.map((one) => [
    named("td", one.name),
    one.addresses.join(" "),
    make("td", one.ready ? "answered" : "not ready", one.ready ? "good" : "bad"),
  ]);
  const more = service.total > rows.length ? `; ${rows.length} of ${service.total} names` : "";
  return table(`${service.kind}${more}`, ["name", "leads to", "state"], rows);
}

// Shows the names of unfolded Services, which are asked for together.
async function unfold(services) {
  for (let at = 0; at < services.length; at += TOGETHER) {
    const some = services.slice(at, at + TOGETHER);
    const problem = (why) => make("p", why, "bad");
    try {
      const said = await told("service", [...some.map((own) => ["service", own]), ["limit", SHOWN]]);
      for (const one of said.services) open.get(one.service)?.replaceChildren(one.error ? problem(one.error) : names(one));
    } catch (error) {
      for (const own of some) open.get(own)?.replaceChildren(problem(error.message));
    }
  }
}

function row({ service, kind, endpoints, ready }) {
  const [item, button, place] = [make("li", ""), make("button", ""), make("div", "")];
  const counted = kind === "alias" ? kind : endpoints === 0 ? "no endpoints" : `${ready} of ${endpoints} ready`;
  button.append(make("span", service, "name"), make("span", counted, "count"));
  button.type = "button";
  button.classList.add("fold");
  const show = (is) => {
    button.setAttribute("aria-expanded", is);
    place.hidden = !is;
    if (is) open.set(service, place);
    else open.delete(service);
  };
  button.addEventListener("click", () => {
    show(place.hidden);
    if (!place.hidden) unfold([service]);
  });
  const known = open.get(service);
  if (known) place.replaceChildren(...known.childNodes);
  show(Boolean(known));
  item.append(button, place);
  return item;
}

async function list() {
  const own = ++asking;
  try {
    const said = await told("names", { find: by("find").value.trim(), limit: SHOWN });
    if (own !== asking) return;
    const focused = document.activeElement?.closest("#names li")?.querySelector(".name").textContent;
    const rows = said.names.map(row);
    by("names").replaceChildren(...rows);
    const again = rows.find((item) => item.querySelector(".name").textContent === focused);
    again?.querySelector("button").focus();
    const none = by("find").value.trim() ? "No name has that in it." : "There is no Service yet.";
    const what = said.total === 1 ? "1 Service" : said.total ? `${said.total} Services` : none;
    unfold(said.names.map((one) => one.service).filter((own) => open.has(own)));
    by("found").textContent = said.total > rows.length ? `${what}; the first ${rows.length} are shown` : what;
  } catch (error) {
    by("found").textContent = error.message;
  }
}

// --- what has changed

function change(event) {
  const item = make("li", "", "new");
  const when = new Date(event.at);
  const time = make("time", when.toLocaleTimeString(), "soft");
  time.dateTime = event.at;
  item.append(time, make("span", ` ${event.kind} ${event.object}`, "soft"));
  for (const { name, added, removed } of event.names) {
    const line = make("div", "");
    line.append(make("span", name, "name"));
    for (const one of added) line.append(make("code", ` +${one}`, "good"));
    for (const one of removed) line.append(make("code", ` −${one}`, "bad"));
    item.append(line);
  }
  return item;
}

let due = null; // The next look at the lists.
let stale = false; // Names have changed since the last one.
let latest = null; // The revision of the cluster that was told last.

let seen = null; // The revision of the cluster that is shown, where it is a sandbox's.

function state(said) {
  const services = said.services === 1 ? "1 Service" : `${said.services} Services`;
  if (said.away) {
    const since = new Date(said.away.since).toLocaleTimeString();
    const what = said.away.whole ? "the API server is away" : "a watch of the API server fails";
    return `${what} since ${since}: ${said.away.why}; what was known is shown (${services})`;
  }
  return said.synced ? `live: ${services}` : `live: ${services} so far; the API server has not delivered all yet`;
}

function hear(said) {
  show(state(said), Boolean(said.away));
  if (!by("pause").checked) {
    const items = said.events.map(change).reverse();
    if (said.more > 0) items.push(make("li", `and ${said.more} more before these`, "soft"));
    if (said.begins) by("changes").replaceChildren();
    by("changes").prepend(...items);
    while (by("changes").childElementCount > SHOWN) by("changes").lastElementChild.remove();
    by("quiet").hidden = by("changes").childElementCount > 0;
  }
  latest = said.cluster;
  // A server that has begun anew counts anew.
  if (said.begins) seen = null;
  stale = true;
  if (said.events.length > 0) by("since").hidden = false;
  due ??= setTimeout(read, PACE);
}

// Reads what has changed; a large cluster less often, one that could not be read once more.
async function read() {
  let wait = PACE;
  if (stale) {
    stale = false;
    list();
  }
  if (latest !== null && latest !== seen) {
    const [own, began] = [latest, performance.now()];
    seen = (await cluster()) ? own : null;
    wait = seen === null ? AGAIN : Math.max(PACE, SHARE * (performance.now() - began));
  }
  due = stale || latest !== seen ? setTimeout(read, wait) : null;
}

// A sentence that is the same is not read out again.
function show(text, isBad) {
  if (by("state").textContent !== text) by("state").textContent = text;
  by("state").className = isBad ? "bad" : "";
}

async function listen() {
  for (;;) {
    try {
      leave = new AbortController();
      const answer = await ask("changes", {}, leave.signal);
      if (!answer.ok) throw new Error(answer.statusText);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) if (event.startsWith("data: ")) hear(JSON.parse(event.slice(6)));
      }
      show("the server has ended; asking again", true);
    } catch (error) {
      show(`no connection (${error.message}); asking again`, true);
    }
    await new Promise((go) => {
      again = go;
      if (!document.hidden) setTimeout(go, AGAIN);
    });
  }
}

// --- why

function explanation(walk) {
  const parts = [make("p", `${walk.name} ${walk.type}`, "name")];
  parts.push(
    walk.cause
      ? make("p", `${walk.cause.denial ?? "no answer here"}: ${walk.cause.says}`, "bad")
      : make("p", `answer: ${walk.answer.join(", ")}`, "good"),
  );
  if (walk.cause) parts.push(make("p", `What mends it: ${walk.cause.mend}`));
  if (walk.asked) {
    const answer = walk.asked.answer.map((one) => one.data).join(", ");
    parts.push(make("p", `This server answers ${walk.asked.rcode}${answer ? `: ${answer}` : ""}`));
  }
  const steps = make("ol", "");
  for (const { object, says } of walk.steps) {
    const what = object ? `${object.kind} ${object.name} (version ${object.resourceVersion}) ` : "";
    const step = make("li", what, "soft");
    step.append(make("span", says));
    steps.append(step);
  }
  parts.push(steps);
  if (walk.tried.length) parts.push(make("p", `tried too: ${walk.tried.join(" ")}`, "soft"));
  return parts;
}

by("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, type, from] = ["name", "type", "from"].map((id) => by(id).value.trim());
  by("said").replaceChildren(make("p", "asking"));
  by("since").hidden = true;
  try {
    const asked = Object.entries({ name, type, from }).filter(([, value]) => value);
    const walk = await told("walk", asked);
    by("said").replaceChildren(...explanation(walk));
  } catch (error) {
    by("said").replaceChildren(make("p", error.message, "bad"));
  }
});

// --- who asks what

const LISTS = {
  client: ["client", (one) => `${one.client} ${one.pods.join(" ")}`],
  name: ["name", (one) => one.name],
  negative: ["name", (one) => one.name],
  search: ["name; under ndots 2", (one) => `${one.name}; ${one.ndots2}`],
};

async function top() {
  const which = by("by").value;
  try {
    const said = await told("top", { by: which, limit: 20 });
    const [head, words] = LISTS[which];
    const rows = said.top.map((one) => [one.over ? `${one.count - one.over}..${one.count}` : `${one.count}`, words(one)]);
    const since = `since ${new Date(said.begins).toLocaleString()}`;
    const shown = rows.length ? table(since, ["questions", head], rows) : make("p", `none ${since}`, "soft");
    if (which === by("by").value) by("top").replaceChildren(shown);
  } catch (error) {
    by("top").replaceChildren(make("p", error.message, "bad"));
  }
}

by("by").addEventListener("change", top);
by("find").addEventListener("input", list);
by("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  use(by("token").value);
  by("unlock").hidden = true;
  again();
  list();
  top();
});
// A browser has six connections to a server: a page that nobody sees keeps none.
document.addEventListener("visibilitychange", () => (document.hidden ? leave.abort() : again()));
setInterval(() => document.hidden || top(), POLL);
setInterval(() => document.hidden || logs(), LOGS);
listen();
top();
