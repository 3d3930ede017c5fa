// JSON as a coloured text. The values that a field was taken from carry the field's name.

import { h, plain } from "./dom.js";

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;
const DEEPEST = 100;
const KINDS = { '"': "string", t: "boolean", f: "boolean", n: "null" };

/** Return a payload as an element: coloured if it is JSON, else as it is. `marks` are [place, name] pairs. */
export function coloured(text, marks = [], name = "The payload") {
  const lines = h("pre", { tabindex: "0", class: "json", "aria-label": name });
  const documents = isJson(text) ? read(text) : null;
  if (documents === null) lines.append(plain(text));
  for (const document of documents ?? []) {
    for (const [place, field] of marks) for (const each of place.split(", ")) mark(document, each, field);
    write(lines, document, "");
    lines.append("\n");
  }
  return lines;
}

/** Whether a text is JSON, or JSON in each of its lines. */
function isJson(text) {
  const rows = text.trim().split("\n").filter((line) => line.trim());
  const is = (each) => {
    try {
      return JSON.parse(each), true;
    } catch {
      return false;
    }
  };
  return is(text) || (rows.length > 1 && rows.every(is));
}

/**
 * Read JSON without losing a digit of a number, or the order of names. A value is its `text`, or the `entries` of a list
 * or an object: [name, value, names of fields]. Return null if it is too deep to be shown.
 */
function read(text) {
  const open = [{ list: true, entries: [] }];
  let key = null;
  for (const [token] of text.matchAll(TOKEN)) {
    const holder = open.at(-1);
    if (token === "]" || token === "}") open.pop();
    else if (!holder.list && key === null && token[0] === '"') key = JSON.parse(token);
    else if (token !== ":" && token !== ",") {
      const value = token === "[" || token === "{" ? { list: token === "[", entries: [] } : { text: token };
      holder.entries.push([holder.list ? `[${holder.entries.length}]` : key, value, []]);
      key = null;
      if (value.entries && open.push(value) > DEEPEST) return null;
    }
  }
  return open[0].entries.map(([, value]) => value);
}

/** Note the name of a field at the value of a place such as `a.b[0].c.d`, where a name may hold dots. */
function mark(value, place, field) {
  let at = value, rest = place;
  while (at.entries && rest) {
    rest = rest.replace(/^\./, "");
    const fits = ([key]) => rest.startsWith(key) && /^($|[.[ /])/.test(rest.slice(key.length));
    const entry = at.entries.filter(fits).sort(([one], [other]) => other.length - one.length)[0];
    if (!entry) return;
    rest = rest.slice(entry[0].length);
    at = entry[1];
    if (!rest || !at.entries) entry[2].push(field);
  }
}

function write(into, value, indent) {
  if (!value.entries) {
    const kind = KINDS[value.text[0]] ?? "number";
    into.append(h("span", { class: `v-${kind}` }, kind === "string" ? JSON.stringify(JSON.parse(value.text)) : value.text));
    return;
  }
  const deeper = `${indent}  `;
  if (!value.entries.length) return void into.append(value.list ? "[]" : "{}");
  into.append(value.list ? "[\n" : "{\n");
  value.entries.forEach(([key, inner, fields], at) => {
    const place = fields.length ? h("mark", { title: fields.join(", ") }) : into;
    into.append(deeper);
    if (fields.length) into.append(place);
    if (!value.list) place.append(h("span", { class: "v-key" }, JSON.stringify(key)), ": ");
    write(place, inner, deeper);
    if (fields.length) place.append(h("span", { class: "from" }, ` ← ${fields.join(", ")}`));
    into.append(at < value.entries.length - 1 ? ",\n" : "\n");
  });
  into.append(`${indent}${value.list ? "]" : "}"}`);
}

/** Return a text to read or copy, such as a query. */
export const code = (text, name) => h("pre", { tabindex: "0", "aria-label": name }, plain(text));
