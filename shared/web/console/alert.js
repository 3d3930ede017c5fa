// One alert: its eight fields, tries, match, Defender's answer, and what can be done.

import { ask } from "./api.js";
import { confirm } from "./ask.js";
import { button, facts, field, h, portal, said, state, table, time } from "./dom.js";
import { code } from "./source.js";

const FIELDS = ["machineId", "eventTime", "reportId", "severity", "category", "title", "description", "recommendedAction"];
const UNMATCHED = ["EventNotFound", "EventAmbiguous"];

/** Read an alert and show it in `part`; `changed` is told how it stands, now and after each action. */
export async function fill(part, id, { failed, changed }) {
  part.replaceChildren("Asking …");
  let alert;
  try {
    alert = await ask("GET", `alerts/${encodeURIComponent(id)}`);
  } catch (error) {
    part.replaceChildren();
    return void failed(error);
  }
  changed(alert);
  part.replaceChildren(...parts(alert), actions(alert, () => fill(part, id, { failed, changed })));
}

function parts(alert) {
  const { waitingFor, error } = alert;
  const waits = waitingFor && h("span", {}, `${waitingFor.what}: `, said(waitingFor.reason), waitingFor.until ? [", until ", time(waitingFor.until)] : null);
  return [
    facts([
      ["State", h("span", {}, state(alert.status), alert.merged ? " merged into an open alert" : null)],
      ["Waits for", waits],
      ["Stage", alert.stage ?? alert.route],
      ["Accepted", time(alert.accepted)],
      ["Ended", alert.ended && time(alert.ended)],
      ["Source", alert.source],
      ["Sender", alert.senderName ?? alert.sender],
      ["Delivery", alert.delivery],
      ["Id", alert.id],
      ["Calls", String(alert.attempts)],
      ["Notes", alert.notes.length ? h("ul", {}, alert.notes.map((note) => h("li", {}, said(note)))) : null],
    ]),
    error && h("div", { class: "bad" }, h("h3", {}, "Error"), facts([
      ["Status", error.status && String(error.status)], ["Code", error.code], ["Message", error.message], ["Target", error.target], ["What to do", error.hint]])),
    h("h3", {}, "The eight fields"),
    facts(FIELDS.map((name) => [name, alert.request[name]])),
    ...found(alert),
    alert.alert && h("div", {}, h("h3", {}, "Defender's alert"), facts(Object.entries(alert.alert).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])), portal(alert.portalUrl)),
    alert.tries.length ? table("Tries", ["Number", "Ended", "Answer", "Seconds", "Said"], alert.tries.map((each) =>
      [String(each.number), time(each.at), `${each.answer}${each.status ? ` (${each.status})` : ""}`, String(each.seconds), said([each.code, each.message].filter(Boolean).join(": ") || "–")])) : null,
  ].filter(Boolean);
}

/** Show the match, the candidates and the clues of an alert that was searched; nothing for any other. */
function found(alert) {
  const { match, candidates = alert.match?.candidates, clues, query } = alert;
  const shown = [];
  if (match) {
    const rest = Object.entries(match).filter(([name]) => name !== "candidates" || !Array.isArray(match.candidates));
    shown.push(h("h3", {}, "Match"), facts(rest.map(([name, value]) => [name, words(value)])));
  }
  if (Array.isArray(candidates) && candidates.length) shown.push(compared(candidates));
  if (Array.isArray(clues) && clues.length) shown.push(listed(clues));
  else if (clues && typeof clues === "object") shown.push(h("h3", {}, "Clues"), facts(Object.entries(clues).map(([name, value]) => [name, words(value)])));
  if (query) shown.push(h("h3", {}, "Query"), code(query, "The query"));
  return shown;
}

const words = (value) => (value === null || value === undefined ? null
  : Array.isArray(value) && value.every((each) => typeof each !== "object") ? value.join(", ")
    : typeof value === "object" ? JSON.stringify(value) : String(value));

/** Return a table of the events that a search found. */
export const compared = (candidates) =>
  table("Candidates", ["Event", "Device", "Apart", "Agrees", "Differs"], candidates.map((each) => [
    said([each.table, each.action, each.file].filter(Boolean).join(" ")), said(each.device ?? ""), `${each.secondsApart ?? "–"} s`,
    said((each.agree ?? []).join(", ") || "–"), said((each.differ ?? []).join(", ") || "–")]));

/** Return a table of clues with their places. */
export const listed = (clues) =>
  table("Clues", ["Clue", "Value", "Place"], clues.map((clue) => [clue.name, said(clue.value), said(clue.place ?? "–")]));

function actions(alert, again) {
  const searched = alert.stage === "search" || alert.route === "search" || UNMATCHED.includes(alert.error?.code);
  const act = (name, text, run, more) => button(name, async () => { if (await confirm(name, text, run, more)) await again(); });
  const path = `alerts/${encodeURIComponent(alert.id)}`;
  const does = (what, happened) => async () => {
    const now = await ask("POST", `${path}/${what}`);
    return h("span", {}, happened, " It is now ", state(now.status ?? "changed"), ".");
  };
  const buttons = [];
  if (alert.status === "failed" || alert.status === "discarded") {
    buttons.push(act("Replay", "This one alert waits again, in the turn of its sender, and is then sent to Defender.", does("replay", "It was replayed.")));
  }
  if (searched && alert.status !== "created") {
    buttons.push(act("Search again", "The event of this one alert is searched again by advanced hunting, in its turn.", does("search", "It will be searched again.")));
    buttons.push(reference(path, again));
  }
  if (alert.match) {
    buttons.push(act("Wrong match", "You say that this one alert was raised on the wrong event. It is noted; close the alert in Defender yourself.", does("wrong-match", "It was noted.")));
  }
  if (alert.status === "waiting") {
    buttons.push(act("Discard", "This one alert is not sent. It can be replayed later.", does("discard", "It was discarded."), { danger: true }));
  }
  return h("div", { class: "buttons" }, buttons);
}

/** Return the button that gives an alert the reference of its event: a row of advanced hunting. */
function reference(path, again) {
  return button("Give reference", async () => {
    const row = field("Row", "area", { rows: "6", placeholder: '{"DeviceId": "…", "Timestamp": "…", "ReportId": "…"}' });
    const run = async () => {
      JSON.parse(row.input.value);
      const now = await ask("POST", `${path}/reference`, {}, row.input.value);
      return h("span", {}, "It has its reference. It is now ", state(now.status ?? "changed"), ".");
    };
    const text = "This one alert is raised on the event that you name. Paste its row of advanced hunting as JSON: DeviceId, Timestamp with every digit, ReportId.";
    if (await confirm("Give reference", text, run, { fields: [row] })) await again();
  });
}
