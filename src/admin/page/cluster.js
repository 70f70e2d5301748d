// A sandbox's cluster: shows what the server tells of nodes, Pods and their logs, claims, who selects whom, events.

import { by, make, table, told } from "./kit.js";

const SVG = "http://www.w3.org/2000/svg";
// Of the graph: the width of a column, of a name in it, and the height of a row.
const [COLUMN, NAME, ROW] = [300, 230, 36];
const LETTERS = 32; // The longest name that fits.

const count = ({ total, items }, what) => {
  const all = total === 1 ? `1 ${what}` : `${total} ${what}s`;
  return total > items.length ? `${all}; ${items.length} are shown` : all;
};

// --- Pods

const pods = new Map();

function containers(pod, row) {
  const rows = pod.containers.map((one) => {
    const button = make("button", "Log");
    button.type = "button";
    button.setAttribute("aria-label", `Log of ${one.name}`);
    button.addEventListener("click", () => log(pod.name, one.name, row));
    const cell = make("td", "");
    cell.append(button);
    const state = one.reason ? `${one.state}: ${one.reason}` : one.state || "not yet";
    return [one.name, one.image, state, `${one.restarts ?? 0}`, cell];
  });
  return table(`on ${pod.node ?? "no node yet"}`, ["container", "image", "state", "restarts", "log"], rows);
}

async function log(pod, container, row) {
  if (!row.log) {
    row.log = make("pre", "asking");
    row.log.tabIndex = 0;
    row.place.append(row.log);
  }
  row.container = container;
  row.log.setAttribute("aria-label", `Log of ${container} in ${pod}`);
  const said = await told("log", { pod, container }).then(
    (said) => said.text || "It has written nothing.",
    (error) => error.message,
  );
  if (row.container === container && row.log.textContent !== said) row.log.textContent = said;
}

function fold(name) {
  const [item, button, place] = [make("li", ""), make("button", "", "fold"), make("div", "")];
  const state = make("span", "", "count");
  button.type = "button";
  button.append(make("span", name, "name"), state);
  button.setAttribute("aria-expanded", false);
  place.hidden = true;
  button.addEventListener("click", () => {
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", !place.hidden);
  });
  item.append(button, place);
  return { item, state, place, said: "", table: null, log: null, container: null };
}

function showPods(told) {
  by("pods-found").textContent = count(told, "Pod");
  const names = new Set(told.items.map((pod) => pod.name));
  for (const [name, row] of pods) {
    if (names.has(name)) continue;
    row.item.remove();
    pods.delete(name);
  }
  for (const [at, pod] of told.items.entries()) {
    const row = pods.get(pod.name) ?? fold(pod.name);
    if (!pods.has(pod.name)) {
      pods.set(pod.name, row);
      by("pods").insertBefore(row.item, by("pods").children[at] ?? null);
    }
    const ready = pod.ending ? "ending" : pod.ready ? "ready" : "not ready";
    row.state.textContent = `${pod.ip ?? "no address"}  ${pod.phase ?? ""}, ${ready}`;
    row.state.classList.toggle("bad", !pod.ready);
    // What is the same stays: somebody may be at a button in it.
    const said = JSON.stringify([pod.node, pod.containers]);
    if (said !== row.said) {
      const own = containers(pod, row);
      const at = [...row.place.querySelectorAll("button")].indexOf(document.activeElement);
      if (row.table) row.table.replaceWith(own);
      else row.place.prepend(own);
      if (at >= 0) own.querySelectorAll("button")[at]?.focus();
      [row.said, row.table] = [said, own];
    }
  }
}

// Reads the logs that are open once more.
export function logs() {
  for (const [name, row] of pods) if (row.container && !row.place.hidden) log(name, row.container, row);
}

// --- who selects whom

function drawn(kind, attributes, ...inside) {
  const element = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

function box({ name, ready }, column, row) {
  const short = name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name;
  const [x, y] = [column * COLUMN + 1, row * ROW + 4];
  return drawn(
    "g",
    ready ? {} : { class: "bad" },
    drawn("rect", { x, y, width: NAME, height: ROW - 8, rx: 5 }),
    drawn("text", { x: x + 8, y: y + 19 }, short),
  );
}

function line([from, to], column) {
  const [x, end] = [column * COLUMN + NAME + 1, (column + 1) * COLUMN + 1];
  const [y, last] = [from * ROW + ROW / 2, to * ROW + ROW / 2];
  const middle = (x + end) / 2;
  return drawn("path", { d: `M${x} ${y}C${middle} ${y} ${middle} ${last} ${end} ${last}` });
}

function showGraph({ columns, lines, more }) {
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const size = `0 0 ${2 * COLUMN + NAME + 2} ${rows * ROW}`;
  const whole = drawn("svg", { viewBox: size, role: "img", "aria-label": "What makes Pods, Pods, and the Services that select them; said below as a list" });
  lines.forEach((all, column) => whole.append(...all.map((one) => line(one, column))));
  columns.forEach((all, column) => whole.append(...all.map((one, row) => box(one, column, row))));
  by("graph").replaceChildren(columns[1].length ? whole : make("p", "There are no Pods yet.", "soft"));
  if (more) by("graph").append(make("p", `and ${more} more Pods`, "soft"));
  const [made, selected] = lines;
  const said = columns[1].map((pod, at) => {
    const makers = made.filter(([, own]) => own === at).map(([maker]) => columns[0][maker].name);
    const services = selected.filter(([own]) => own === at).map(([, service]) => columns[2][service].name);
    const state = pod.ready ? "" : " (not ready)";
    const words = [makers.length ? `made by ${makers.join(", ")}` : "made by hand", services.length ? `selected by ${services.join(", ")}` : "selected by no Service"];
    return make("li", `${pod.name}${state}: ${words.join("; ")}`);
  });
  by("selected").replaceChildren(...said);
}

// --- events, nodes, claims

function showEvents(told) {
  const rows = told.items.map((event) => [
    new Date(event.at).toLocaleTimeString(),
    make("td", event.reason ?? "", event.type === "Warning" ? "bad" : "good"),
    event.object,
    event.count > 1 ? `${event.message} (${event.count} times)` : (event.message ?? ""),
  ]);
  const shown = table(count(told, "event"), ["time", "reason", "object", "what"], rows);
  by("events").replaceChildren(rows.length ? shown : make("p", "Nothing has happened yet.", "soft"));
}

const state = (is, yes, no) => make("td", is ? yes : no, is ? "good" : "bad");

function showHeld(nodes, claims) {
  const hosts = nodes.items.map((node) => [node.name, state(node.ready, "ready", "not ready"), node.addresses.join(" "), `${node.pods}`]);
  by("nodes").replaceChildren(table(count(nodes, "node"), ["node", "state", "addresses", "Pods"], hosts));
  const held = claims.items.map((claim) => [
    claim.name,
    state(claim.phase === "Bound", "Bound", claim.phase ?? "Pending"),
    claim.size ?? "",
    claim.pods.join(" "),
  ]);
  const none = make("p", "No Pod has claimed a volume.", "soft");
  by("claims").replaceChildren(held.length ? table(count(claims, "claim"), ["claim", "state", "size", "Pods"], held) : none);
}

// Reads all once more; whether that went well: without a connection the page says so elsewhere.
export async function cluster() {
  const said = await told("cluster").catch(() => null);
  if (!said) return false;
  for (const section of document.querySelectorAll(".cluster")) section.hidden = false;
  showPods(said.pods);
  showGraph(said.graph);
  showEvents(said.events);
  showHeld(said.nodes, said.claims);
  return true;
}
