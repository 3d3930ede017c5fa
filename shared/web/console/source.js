// JSON as a coloured text. The values that a field was taken from carry the field's name.

import { h, plain } from "./dom.js";

/** Return a payload as an element: coloured if it is JSON, else as it is. `marks` are [place, name] pairs. */
export function coloured(text, marks = []) {
  const documents = values(text);
  if (documents === null) return h("pre", { tabindex: "0", class: "json", "aria-label": "The payload" }, text);
  const lines = h("pre", { tabindex: "0", class: "json", "aria-label": "The payload" });
  const places = marks.flatMap(([place, name]) => place.split(", ").map((each) => [each, name]));
  for (const document of documents) {
    const marked = new Map();
    for (const [place, name] of places) mark(document, place, name, marked);
    write(lines, document, "", marked);
    lines.append("\n");
  }
  return lines;
}

function values(text) {
  try {
    return [JSON.parse(text)];
  } catch {
    try {
      const rows = text.trim().split("\n").filter((line) => line.trim());
      return rows.length > 1 ? rows.map((row) => JSON.parse(row)) : null;
    } catch {
      return null;
    }
  }
}

/** Find the value of a place such as `a.b[0].c.d`, where a name may hold dots; note what its holder and name are. */
function mark(value, place, name, marked) {
  let at = value, rest = place;
  while (at !== null && typeof at === "object" && rest) {
    rest = rest.replace(/^\./, "");
    let key;
    const number = /^\[(\d+)\]/.exec(rest);
    if (Array.isArray(at)) {
      if (!number) return;
      [key, rest] = [Number(number[1]), rest.slice(number[0].length)];
    } else {
      const keys = Object.keys(at).filter((each) => rest.startsWith(each) && /^($|[.[ /])/.test(rest.slice(each.length)));
      if (!keys.length) return;
      key = keys.reduce((longest, each) => (each.length > longest.length ? each : longest));
      rest = rest.slice(key.length);
    }
    if (!(key in at)) return;
    if (!rest || at[key] === null || typeof at[key] !== "object") {
      const held = marked.get(at) ?? marked.set(at, new Map()).get(at);
      held.set(key, [...(held.get(key) ?? []), name]);
    }
    at = at[key];
  }
}

function write(into, value, indent, marked) {
  const deeper = `${indent}  `;
  if (value === null || typeof value !== "object") {
    into.append(h("span", { class: `v-${value === null ? "null" : typeof value}` }, JSON.stringify(value)));
    return;
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  if (!entries.length) return void into.append(list ? "[]" : "{}");
  into.append(list ? "[\n" : "{\n");
  entries.forEach(([key, inner], at) => {
    const names = marked.get(value)?.get(list ? Number(key) : key);
    const place = names ? h("mark", { title: names.join(", ") }) : into;
    into.append(deeper);
    if (names) into.append(place);
    if (!list) place.append(h("span", { class: "v-key" }, JSON.stringify(key)), ": ");
    write(place, inner, deeper, marked);
    if (names) place.append(h("span", { class: "from" }, ` ← ${names.join(", ")}`));
    into.append(at < entries.length - 1 ? ",\n" : "\n");
  });
  into.append(`${indent}${list ? "]" : "}"}`);
}

/** Return a text to read or copy, such as a query. */
export const code = (text, name) => h("pre", { tabindex: "0", "aria-label": name }, plain(text));
