// The alerts, newest first, with filters; a row opens to all that is known of it.

import { ask, discard } from "./api.js";
import { fill } from "./alert.js";
import { confirm } from "./ask.js";
import { button, count, facts, field, folding, h, said, state, tell, time } from "./dom.js";

export const NAME = "Alerts";
const TOP = "50";
const PAGES = 20;
const COUNTED = 1_000;

export function show(place, { query, failed }) {
  if (query.get("id")) return single(place, query.get("id"), failed);
  const fields = {
    status: field("Status", ["", "waiting", "created", "failed", "discarded"]),
    severity: field("Severity", ["", "High", "Medium", "Low"]),
    source: field("Source"),
    sender: field("Sender"),
    device: field("Device"),
    title: field("Title"),
    since: field("Since", "datetime-local"),
    until: field("Until", "datetime-local"),
  };
  for (const [name, { input }] of Object.entries(fields)) if (query.get(name)) input.value = query.get(name);
  const form = h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); list(); } },
    Object.values(fields).map((each) => each.element), h("button", { type: "submit" }, "Show"),
    button("Discard what fits", () => discardFitting(asked(), () => list()).catch(failed)));
  const news = h("p", { class: "note", role: "status" });
  const items = h("ul", { class: "rows", "aria-label": "Alerts" });
  const more = h("div", { class: "buttons" });
  place.append(form, h("p", { class: "note" }, "Texts must be equal, capital by capital. A device is its DeviceId, a sender its name or fingerprint."), news, items, more);
  const asked = () => Object.fromEntries(Object.entries(fields).map(([name, { input }]) => [name, value(input)]));
  let run = 0;

  async function list(continuation = "") {
    const mine = ++run;
    if (!continuation) items.replaceChildren();
    more.replaceChildren();
    tell("");
    news.replaceChildren("Asking …");
    const filters = asked();
    let page;
    try {
      for (let pages = 0; mine === run && pages < PAGES; pages += 1) { // a page of a long list may hold nothing that fits
        page = await ask("GET", "alerts", { ...filters, top: TOP, continuation: page?.continuation ?? continuation });
        if (page.alerts.length || !page.continuation) break;
      }
    } catch (error) {
      if (mine !== run) return;
      news.replaceChildren();
      const at = page?.continuation ?? continuation;
      if (at) more.append(button("More", () => list(at)));
      return void failed(error);
    }
    if (mine !== run) return;
    const added = page.alerts.map((alert) => row(alert, failed));
    items.append(...added);
    const shown = items.children.length;
    news.replaceChildren(shown ? `${shown} shown${page.continuation ? "; there are more" : ""}.` : page.continuation ? "None of these fits; there are more." : "No alert fits.");
    if (page.continuation) more.append(button("More", () => list(page.continuation)));
    if (continuation) added[0]?.querySelector("button").focus();
  }

  list();
  return () => { run += 1; };
}

/** Discard the waiting alerts that fit the filters, of whatever status is shown; ask first, and say how many they are. */
async function discardFitting({ status, ...filters }, again) {
  const given = Object.entries(filters).filter(([, text]) => text);
  if (!given.some(([name]) => !["since", "until"].includes(name))) {
    return void tell("Give a title, or another filter, and not times alone: all that waits and fits it is discarded.", true);
  }
  tell("Counting …");
  let found = 0, page;
  do {
    page = await ask("GET", "alerts", { ...filters, status: "waiting", top: "200", continuation: page?.continuation });
    found += page.alerts.length;
  } while (page.continuation && found < COUNTED);
  tell("");
  if (!found) return void tell("No waiting alert fits.");
  const more = page.continuation ? " or more" : "";
  const text = `${count(found, "alert", `alerts${more}`)} ${found === 1 ? "waits or is" : "wait or are"} being sent, and fit${found === 1 ? "s" : ""} this. What waits will not be sent, nor what comes in meanwhile. What is being sent cannot be called back. Each can be replayed, one by one.`;
  const shown = facts(given.map(([name, text]) => [name, ["since", "until"].includes(name) ? time(text) : said(text, 300)]));
  let begun = false;
  const run = (progress) => {
    begun = true;
    return discard(filters, progress);
  };
  await confirm("Discard what fits", text, run, { fields: [{ element: shown }], danger: true });
  if (begun) await again();
}

/** Return what a filter asks for; a time is the reader's, and asked for in UTC. */
function value(input) {
  const text = input.value.trim();
  return text && input.type === "datetime-local" ? new Date(text).toISOString().replace(/\.\d+Z$/, "Z") : text;
}

function row(alert, failed) {
  const about = h("div", { class: "about" });
  const draw = (now) => about.replaceChildren(state(now.status), h("span", {}, now.request.severity), time(now.accepted),
    h("span", {}, said(now.source, 40), now.senderName || now.sender ? [" from ", said(now.senderName ?? now.sender, 60)] : null),
    h("span", { class: "device", title: now.request.machineId }, now.request.machineId ? `device ${now.request.machineId.slice(0, 12)}…` : now.route === "entity" ? "without an event" : "event not found yet"));
  const { opener, part } = folding(said(alert.request.title, 160), (inside) => fill(inside, alert.id, { failed, changed: draw }));
  draw(alert);
  return h("li", {}, h("div", { class: "row" }, opener, about), part);
}

function single(place, id, failed) {
  const part = h("div", { class: "inside" });
  const title = h("h3", {}, "…");
  place.append(h("p", {}, h("a", { href: "#alerts" }, "All alerts")), title, part);
  fill(part, id, { failed, changed: (alert) => title.replaceChildren(said(alert.request.title, 300)) });
}
