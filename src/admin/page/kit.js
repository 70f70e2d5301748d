// Asks the server, and makes elements of what it says.

export const by = (id) => document.getElementById(id);
let token = "";

export function make(tag, text, ...classes) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.classList.add(...classes);
  return element;
}

// A name, which is broken before the cluster's part of it where it has to be broken.
export function named(tag, text) {
  const element = make(tag, "");
  for (const part of text.split(/(?=\.svc\.)/)) element.append(make("span", part, "part"));
  return element;
}

export function table(caption, heads, rows) {
  const whole = make("table", "");
  whole.append(make("caption", caption));
  const head = whole.createTHead().insertRow();
  for (const text of heads) {
    const cell = make("th", text);
    cell.scope = "col";
    head.append(cell);
  }
  const body = whole.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) line.append(cell instanceof Node ? cell : make("td", cell));
  }
  return whole;
}

export async function ask(path, asked = {}, signal = null) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`${path}?${new URLSearchParams(asked)}`, { headers, signal });
  if (answer.status === 401) {
    by("unlock").hidden = false;
    throw new Error("the server wants its token");
  }
  return answer;
}

export async function told(path, asked) {
  const answer = await ask(path, asked);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

export function use(own) {
  token = own;
}
