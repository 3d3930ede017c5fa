// Who sends how much, and what of it waits or was refused.

import { ask, discard as discardAll } from "./api.js";
import { confirm } from "./ask.js";
import { button, count, h, keeping, said, table, tell, time } from "./dom.js";

export const NAME = "Senders";
const NO_KEY = "-"; // asks for what came without a key

export function show(place, { failed }) {
  const body = h("div", {}, "Asking …");
  place.append(body);
  let alive = true;

  async function list() {
    tell("");
    try {
      const answer = await ask("GET", "senders");
      if (!alive) return;
      const restore = keeping(body);
      body.replaceChildren(...parts(answer, list));
      restore();
    } catch (error) {
      body.replaceChildren();
      if (alive) failed(error);
    }
  }

  list();
  return () => { alive = false; };
}

function parts({ since, atLeast, senders }, again) {
  const name = (each) => each.senderName ?? each.sender ?? "senders without a key";
  const rows = senders.map((each) => [
    h("a", { href: `#alerts?sender=${each.sender ?? NO_KEY}` }, said(name(each), 60)),
    each.sender ?? "–", each.sources ? said(each.sources.join(", ")) : "all", each.deliveries.toLocaleString(), each.alerts.toLocaleString(),
    each.refused.toLocaleString(), each.waiting.toLocaleString(), time(each.last),
    each.waiting ? button("Discard what waits", () => discard(each, name(each), atLeast ? " or more" : "", again), { "aria-label": `Discard what waits of ${name(each)}` }) : "–",
  ]);
  return [
    h("p", {}, "Counted since ", time(since), atLeast ? "; there is more than was counted." : "."),
    senders.length ? table("Senders", ["Sender", "Fingerprint", "May name", "Deliveries", "Alerts", "Refused", "Waiting", "Last", "Action"], rows) : h("p", {}, "Nobody has sent anything since."),
  ];
}

async function discard(each, name, more, again) {
  const text = `${count(each.waiting, "waiting alert")}${more} of ${name} will not be sent, nor what comes in meanwhile. What is being sent cannot be called back. Each can be replayed, one by one.`;
  let begun = false;
  const run = (progress) => {
    begun = true;
    return discardAll({ sender: each.sender ?? NO_KEY }, progress);
  };
  await confirm("Discard what waits", text, run, { danger: true });
  if (begun) await again();
}
