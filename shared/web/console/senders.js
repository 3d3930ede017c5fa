// Who sends how much, and what of it waits or was refused.

import { ask } from "./api.js";
import { confirm } from "./ask.js";
import { button, count, h, said, table, time } from "./dom.js";

export const NAME = "Senders";

export function show(place, { failed }) {
  const body = h("div", {}, "Asking …");
  place.append(body);
  let alive = true;

  async function list() {
    try {
      const answer = await ask("GET", "senders");
      if (alive) body.replaceChildren(...parts(answer, list));
    } catch (error) {
      body.replaceChildren();
      if (alive) failed(error);
    }
  }

  list();
  return () => { alive = false; };
}

function parts({ since, atLeast, senders }, again) {
  const name = (each) => each.senderName ?? each.sender ?? "without a key";
  const rows = senders.map((each) => [
    each.sender ? h("a", { href: `#alerts?sender=${each.sender}` }, said(name(each), 60)) : name(each),
    each.sender ?? "–", each.sources ? said(each.sources.join(", ")) : "all", each.deliveries.toLocaleString(), each.alerts.toLocaleString(),
    each.refused.toLocaleString(), each.waiting.toLocaleString(), time(each.last),
    each.sender && each.waiting ? button("Discard what waits", () => discard(each, name(each), again), { "aria-label": `Discard what waits of ${name(each)}` }) : "–",
  ]);
  return [
    h("p", {}, "Counted since ", time(since), atLeast ? "; there is more than was counted." : "."),
    senders.length ? table("Senders", ["Sender", "Fingerprint", "May name", "Deliveries", "Alerts", "Refused", "Waiting", "Last", "Action"], rows) : h("p", {}, "Nobody has sent anything since."),
  ];
}

async function discard(each, name, again) {
  const text = `${count(each.waiting, "waiting alert")} of ${name} will not be sent, and what this sender adds meanwhile. What is being sent cannot be called back. Each can be replayed, one by one.`;
  const run = async (progress) => {
    let discarded = 0, sending = 0, continuation = "", answer;
    do {
      answer = await ask("POST", "discard", { sender: each.sender, continuation });
      [discarded, sending, continuation] = [discarded + answer.discarded, sending + answer.sending, answer.continuation];
      progress(`${count(discarded, "alert")} discarded so far …`);
    } while (continuation);
    return `${count(discarded, "alert")} discarded; ${sending} being sent.`;
  };
  if (await confirm("Discard what waits", text, run, { danger: true })) await again();
}
