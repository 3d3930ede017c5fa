// Try a payload: what it would become, and why. Nothing is stored until it is posted for real.

import { ask, post } from "./api.js";
import { confirm } from "./ask.js";
import { button, facts, field, h, said, state, table, tell } from "./dom.js";
import { compared, listed } from "./alert.js";
import { became, reasons } from "./refused.js";
import { code, coloured } from "./source.js";

export const NAME = "Try a payload";

export function show(place, { failed }) {
  const payload = field("Payload", "area", { rows: "14", placeholder: "Paste JSON, or drop a file here", "aria-describedby": "try-note" });
  const source = field("Source");
  const result = h("div", { "aria-live": "polite" });
  const run = (event) => { event?.preventDefault(); look(payload.input.value, source.input.value.trim(), result, failed); };
  payload.input.addEventListener("dragover", (event) => event.preventDefault());
  payload.input.addEventListener("drop", async (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    payload.input.value = await file.text();
    run();
  });
  place.append(
    h("form", { onsubmit: run }, payload.element, source.element,
      h("p", { class: "note", id: "try-note" }, "Nothing is stored, sent or searched. Without a source, the app recognises the payload."),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Try"),
        button("Search for the event", () => search(payload.input.value, source.input.value.trim(), result)),
        button("Post it for real", () => real(payload.input.value, source.input.value.trim())))),
    result,
  );
}

let asked = 0; // an answer to what was asked before the last is not shown

async function look(payload, source, result, failed) {
  if (!payload.trim()) return void tell("Paste a payload first.", true);
  const mine = ++asked;
  tell("");
  result.replaceChildren("Asking …");
  let shown;
  try {
    shown = await ask("POST", "dry-run", { source }, payload);
  } catch (error) {
    if (mine !== asked) return;
    if (error.status === 401) return void failed(error);
    if (!error.problem?.refused) {
      result.replaceChildren(h("p", { class: "bad" }, error.message));
      return;
    }
    shown = error.problem; // refused as a whole: the problem document has the same members
  }
  if (mine !== asked) return;
  const { alerts = [], refused = [], steps = [] } = shown;
  result.replaceChildren(
    h("h3", {}, "What it becomes"),
    h("p", {}, alerts.length || refused.length ? becomes(alerts, refused) : said(shown.reason ?? "Nothing: it is answered in its sender's way.")),
    facts([["Source", shown.source ?? "not recognised"], ["Why", steps.length ? h("ul", {}, steps.map((step) => h("li", {}, said(step)))) : null]]),
    ...alerts.map(raised), ...refused.map((event) => h("div", { class: "card" }, h("p", {}, state("refused")), reasons(event), evidence(event))),
    h("h3", {}, "Where it was found"), coloured(payload, places(alerts, refused)),
  );
}

/** Say how many would be raised, how many of them after a search or without an event, and how many refused. */
function becomes(alerts, refused) {
  const entities = alerts.filter((alert) => alert.route === "entity").length;
  const searched = alerts.filter((alert) => alert.route !== "entity" && alert.request.machineId === null).length;
  const some = [searched && `${searched} after a search`, entities && `${entities} on entities`].filter(Boolean).join(", ");
  return `${alerts.length} to be raised${some && ` (${some})`}, ${refused.length} refused.`;
}

/** Return [place, name] pairs: of each field of each alert, and of each clue. */
const places = (alerts, refused) => [
  ...alerts.flatMap((alert) => Object.entries(alert.origins ?? {}).map(([name, place]) => [place, name])),
  ...[...alerts, ...refused].flatMap((each) => (each.clues ?? []).map((clue) => [clue.place, clue.name])),
];

function raised(alert) {
  const rows = Object.entries(alert.request).filter(([, value]) => value !== null).map(([name, value]) => [name, said(value), said(alert.origins?.[name] ?? "–")]);
  return h("div", { class: "card" }, h("h3", {}, said(alert.request.title, 200)),
    table("Fields and where they come from", ["Field", "Value", "From"], rows),
    alert.notes.length ? [h("h4", {}, "Notes"), h("ul", {}, alert.notes.map((note) => h("li", {}, said(note))))] : null,
    evidence(alert),
    alert.request.machineId && h("details", {}, h("summary", {}, "Body for Defender"), coloured(JSON.stringify(alert.request), [], "The body")));
}

function evidence(event) {
  return [
    event.lost?.length ? [h("h4", {}, "Lost"), h("ul", {}, event.lost.map((each) => h("li", {}, said(each))))] : null,
    event.clues?.length ? listed(event.clues) : null,
    event.query ? h("details", {}, h("summary", {}, "Query"), code(event.query, "Query")) : null,
  ];
}

async function search(payload, source, result) {
  if (!payload.trim()) return void tell("Paste a payload first.", true);
  const text = "Up to 5 events of this payload are searched by advanced hunting, each in one of 15 searches a minute. Nothing is raised or stored.";
  await confirm("Search for the event", text, async () => {
    const mine = ++asked;
    const tried = await ask("POST", "try", { source }, payload);
    if (mine === asked) result.replaceChildren(h("h3", {}, "What was found"), ...tried.events.map((event) => h("div", { class: "card" },
      h("h3", {}, `Event ${event.event + 1}`),
      facts([["Verdict", event.verdict?.outcome], ["Grade", event.verdict?.grade], ["Why", event.verdict?.reason ?? event.error],
        ...Object.entries(event.verdict?.reference ?? event.reference ?? {})]),
      event.verdict?.candidates.length ? compared(event.verdict.candidates) : null, evidence(event))));
    return `${tried.events.length} events were looked at; the result stands on the page.`;
  });
}

async function real(payload, source) {
  if (!payload.trim()) return void tell("Paste a payload first.", true);
  const key = field("Sender's key", "password");
  const text = "This one payload is posted to the webhook: what it becomes is raised in Defender, and may start an investigation on the device. Your own key is used if it may post; otherwise give a sender's key, which is not remembered.";
  await confirm("Post it for real", text, async () => {
    try {
      return became(await post(payload, { source }, key.input.value.trim()));
    } catch (error) {
      if (error.problem?.refused?.length) return h("div", {}, h("p", {}, said(error.message)), error.problem.refused.map(reasons));
      throw error.status === 401 ? new Error("This key may not post alerts (401). Give a sender's key.") : error;
    }
  }, { fields: [key], danger: true });
}
