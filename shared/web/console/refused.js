// Payloads of which an event became no alert: why, what to do, and the payload itself.

import { ask } from "./api.js";
import { found } from "./alert.js";
import { confirm } from "./ask.js";
import { button, count, facts, folding, h, said, tell, time } from "./dom.js";
import { code, coloured } from "./source.js";

export const NAME = "Refused payloads";
const TOP = "50";

export function show(place, { failed }) {
  const news = h("p", { class: "note", role: "status" });
  const items = h("ul", { class: "rows", "aria-label": "Refused payloads" });
  const more = h("div", { class: "buttons" });
  place.append(news, items, more);
  let alive = true;

  async function list(continuation = "") {
    tell("");
    news.replaceChildren("Asking …");
    more.replaceChildren();
    try {
      const page = await ask("GET", "refused", { top: TOP, continuation });
      if (!alive) return;
      items.append(...page.refused.map((payload) => row(payload, failed)));
      news.replaceChildren(items.children.length ? `${items.children.length} shown, the newest first.` : "No payload is refused.");
      if (page.continuation) more.append(button("More", () => list(page.continuation)));
    } catch (error) {
      news.replaceChildren();
      if (continuation) more.append(button("More", () => list(continuation)));
      if (alive) failed(error);
    }
  }

  list();
  return () => { alive = false; };
}

function row(payload, failed) {
  const { opener, part } = folding(said(payload.detail, 200), (inside) => fill(inside, payload.id, failed));
  return h("li", {}, h("div", { class: "row" }, opener, time(payload.at), h("span", {}, said(payload.source ?? "not recognised", 40)),
    h("span", {}, "from ", said(payload.senderName ?? payload.sender ?? "nobody named", 60)),
    h("span", {}, `answered ${payload.status}`), h("span", {}, count(payload.bytes, "byte")),
    payload.grade ? h("span", {}, `a trial found its event: ${payload.grade}`) : null), part);
}

async function fill(part, id, failed) {
  tell("");
  part.replaceChildren("Asking …");
  let payload;
  try {
    payload = await ask("GET", `refused/${encodeURIComponent(id)}`);
  } catch (error) {
    part.replaceChildren();
    return void failed(error);
  }
  const folded = h("details", {}, h("summary", {}, "Payload"), coloured(payload.payload));
  part.replaceChildren(h("div", {},
    payload.refused.map(reasons), payload.searches.map(searched),
    facts([["Id", payload.id], ["Parameters", Object.entries(payload.query).map(([name, value]) => `${name}=${value}`).join("&")]]),
    payload.whole ? null : h("p", { class: "note" }, "Only the beginning of this payload was stored, so it cannot be replayed."),
    folded,
    h("div", { class: "buttons" }, payload.whole ? button("Replay", () => replay(part, payload)) : null),
  ));
}

/** Return what the search of a trial found. */
const searched = (search) => h("div", {}, h("h3", {}, "A trial's search"),
  facts([["Outcome", search.outcome ?? "it is no longer stored"], ["Why", search.message]]), found(search),
  search.outcome ? h("p", {}, h("a", { href: `#alerts?id=${search.id}` }, "All about this search")) : null);

/** Return the problems of one event; a remedy is a text to copy. */
export function reasons(event) {
  return h("div", {}, h("h3", {}, `Event ${event.event + 1}`),
    facts(event.problems.map((each) => [each.field, each.detail])),
    event.remedy ? [h("h4", {}, "Remedy"), code(event.remedy, "Remedy")] : null);
}

async function replay(part, payload) {
  let received = false;
  const text = `This one payload (${count(payload.bytes, "byte")}) is received again, as it came. What it becomes now is raised in Defender; if nothing is refused any more, it leaves this list.`;
  const run = async () => {
    try {
      const delivery = await ask("POST", `refused/${encodeURIComponent(payload.id)}/replay`);
      received = !delivery.refused?.length;
      return became(delivery);
    } catch (error) {
      if (error.problem?.refused) return h("div", {}, h("p", {}, "It is refused again:"), error.problem.refused.map(reasons));
      throw error;
    }
  };
  if ((await confirm("Replay", text, run)) && received) {
    part.closest("li")?.querySelector(".row").append(h("strong", {}, "replayed"));
  }
}

/** Say what became of a delivery. */
export function became(delivery) {
  const alerts = delivery.alerts ?? [];
  const states = Object.entries(Object.groupBy(alerts, (alert) => alert.status)).map(([name, each]) => `${each.length} ${name}`);
  return h("div", {}, h("p", {}, delivery.reason ? said(delivery.reason) : `${count(alerts.length, "alert")}: ${states.join(", ") || "none"}.`),
    h("ul", {}, alerts.map((alert) => h("li", {}, h("a", { href: `#alerts?id=${alert.id}` }, said(alert.request.title, 100))))));
}
