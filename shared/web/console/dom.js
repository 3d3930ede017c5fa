// Elements made of texts. Nothing here, or anywhere in this page, makes HTML of a text.

const HIDDEN = new RegExp("[\\0-\\x08\\v\\f\\x0e-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
  + "\\u2800\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]", "gu");
const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Return a text in which signs that show nothing, or turn the direction, are seen by their number. */
export const plain = (text) =>
  String(text).replace(HIDDEN, (sign) => `[U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);

/** Return the beginning of a text. */
export const short = (text, most = 160) => {
  const signs = [...plain(text)];
  return signs.length > most ? `${signs.slice(0, most - 1).join("")}…` : signs.join("");
};

/** Return an element: `h("p", { class: "note" }, "text", other)`. A listener is named `onclick`; null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(plain(child)));
  }
  return element;
}

/** Return a text of somebody else's, whose direction changes nothing around it. */
export const said = (text, most) => h("bdi", {}, most ? short(text, most) : text);

export const button = (name, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, name);

/** Return a time in the reader's zone, with UTC as its title. */
export function time(iso) {
  if (!iso) return h("span", {}, "–");
  const at = new Date(iso);
  const words = Number.isNaN(at.getTime()) ? iso : LOCAL.format(at);
  return h("time", { datetime: plain(iso), title: `${plain(iso)} (UTC)` }, words);
}

/** Return seconds in words: 45 s, 12 min, 3 h, 2 d. */
export function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export const count = (number, one, more = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : more}`;

/** Return a list of names and values; rows without a value are left out. */
export const facts = (rows) =>
  h("dl", {}, rows.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value instanceof Node || Array.isArray(value) ? value : said(value)))));

/** Return a table that a narrow screen shows as blocks: `names` head its columns. */
export const table = (caption, names, rows) =>
  h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { "data-name": names[at] }, cell))))));

/** Return a state as a word in a frame. */
export const state = (word) => h("span", { class: `state ${/^[a-z]+$/.test(word) ? word : ""}` }, word);

export const PORTAL = "https://security.microsoft.com/";
const PORTALS = [PORTAL, "https://security.microsoft.us/", "https://security.apps.mil/"];

/** Return a link into Defender's portal, or nothing for any other address. */
export const portal = (url, attributes = {}) =>
  PORTALS.some((each) => url?.startsWith(each)) ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer", ...attributes }, "Open in Defender") : null;

/** Return a field with its label; `kind` is a type of input, or the list of a select's words. */
export function field(name, kind = "text", attributes = {}) {
  const id = `field-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const choices = Array.isArray(kind) ? kind.map((word) => h("option", { value: word }, word || "any")) : [];
  const input = Array.isArray(kind) ? h("select", { id, ...attributes }, choices)
    : kind === "area" ? h("textarea", { id, spellcheck: "false", ...attributes })
      : h("input", { id, type: kind, autocomplete: "off", spellcheck: "false", ...attributes });
  return { input, element: h("div", { class: "field" }, h("label", { for: id }, name), input) };
}

/** Remember what has the focus in a part that is drawn anew; return a function that gives it back, or to the part. */
export function keeping(part) {
  const name = (element) => element.dataset.keep ?? element.textContent;
  const held = part.contains(document.activeElement) ? document.activeElement : null;
  return () => {
    if (!held || held.isConnected) return;
    const again = [...part.querySelectorAll("a, button, summary")].find((each) => name(each) === name(held));
    part.tabIndex = -1;
    (again ?? part).focus({ preventScroll: true });
  };
}

/** Say something to everybody, at the top of the page; an empty text takes it away. */
export function tell(text, bad = false) {
  const place = document.getElementById("message");
  place.replaceChildren(plain(text));
  place.classList.toggle("bad", bad);
}

/** Return a button with a part that it opens and shuts; `fill(part)` is called at each opening. */
export function folding(name, fill) {
  const part = h("div", { class: "inside", hidden: true });
  const opener = button(name, async () => {
    const opens = part.hidden;
    opener.setAttribute("aria-expanded", String(opens));
    part.hidden = !opens;
    if (opens) await fill(part);
  }, { "aria-expanded": "false", class: "opener" });
  return { opener, part };
}
