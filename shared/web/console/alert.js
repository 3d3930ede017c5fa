// One alert: its eight fields, tries, match, Defender's answer, and what can be done.

import { ask } from "./api.js";
import { confirm } from "./ask.js";
import { button, count, facts, field, h, keeping, PORTAL, portal, said, state, table, tell, time } from "./dom.js";
import { coloured } from "./source.js";

const FIELDS = ["machineId", "eventTime", "reportId", "severity", "category", "title", "description", "recommendedAction"];
const UNKNOWN = ["AnswerUnknown", "AnswerLost"];
const UNMATCHED = ["EventNotFound", "EventAmbiguous"];

/** Whether an alert on entities may have been created without our hearing of it: what is made again is made twice. */
const doubtful = (alert) => alert.route === "entity" && (UNKNOWN.includes(alert.error?.code) || (alert.status === "discarded" && alert.attempts > 0));

const TWICE = () => [h("strong", {}, " It may create a second alert: look into the portal first"), " for an alert with this title. ", portal(`${PORTAL}alerts`)];

/** Whether the event of an alert is still to be found. */
const unmatched = (alert) => alert.route === "reference" && (alert.request.machineId === null || UNMATCHED.includes(alert.error?.code));

/** Read an alert and show it in `part`; `changed` is told how it stands, now and after each action. */
export async function fill(part, id, { failed, changed }) {
  tell("");
  const restore = keeping(part);
  const mine = part.asked = {}; // an answer to what was asked before the last is not shown
  part.replaceChildren("Asking …");
  let alert;
  try {
    alert = await ask("GET", `alerts/${encodeURIComponent(id)}`);
  } catch (error) {
    if (part.asked !== mine) return;
    part.replaceChildren();
    return void failed(error);
  }
  if (part.asked !== mine) return;
  changed(alert);
  part.replaceChildren(...parts(alert), actions(alert, () => fill(part, id, { failed, changed })));
  restore();
}

function parts(alert) {
  const { waitingFor, error } = alert;
  const waits = waitingFor && h("span", {}, `${waitingFor.what}: `, said(waitingFor.reason), waitingFor.until ? [", until ", time(waitingFor.until)] : null);
  return [
    facts([
      ["State", h("span", {}, state(alert.status), alert.merged ? " merged into an open alert" : null, alert.trial ? " a trial: nothing is raised" : null)],
      ["Waits for", waits],
      ["Raised on", alert.route === "entity" ? "the devices, users and addresses that the payload names, without an event" : "one event"],
      ["Accepted", time(alert.accepted)],
      ["Ended", alert.ended && time(alert.ended)],
      ["Source", alert.source],
      ["Sender", alert.senderName ?? alert.sender],
      ["Delivery", alert.delivery],
      ["Id", alert.id],
      [unmatched(alert) ? "Searches" : "Calls", String(alert.attempts)],
      ["Notes", alert.notes.length ? h("ul", {}, alert.notes.map((note) => h("li", {}, said(note)))) : null],
    ]),
    error && h("div", { class: "bad" }, h("h3", {}, "Error"), facts([
      ["Status", error.status && String(error.status)], ["Code", error.code], ["Message", error.message], ["Target", error.target], ["What to do", error.hint]])),
    h("h3", {}, "The eight fields"),
    facts(FIELDS.map((name) => [name, alert.request[name] ?? (alert.route === "entity" ? null : "not known yet")])),
    ...found(alert),
    alert.alert && h("div", {}, h("h3", {}, "Defender's alert"), facts(Object.entries(alert.alert).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])), portal(alert.portalUrl)),
    alert.tries.length ? table("Tries", ["Number", "Ended", "Answer", "Seconds", "Said"], alert.tries.map((each) =>
      [String(each.number), time(each.at), `${each.answer}${each.status ? ` (${each.status})` : ""}`, String(each.seconds), said([each.code, each.message].filter(Boolean).join(": ") || "–")])) : null,
  ].filter(Boolean);
}

/** Show the match, the candidates and the clues of an alert that was searched; nothing for any other. */
export function found({ match, event, candidates = [], clues = [], wrongMatch }) {
  return [
    match && h("div", {}, h("h3", {}, "Match"), facts([
      ["Grade", h("span", {}, match.grade, wrongMatch ? h("strong", {}, ", marked as wrong") : null)],
      ["Agrees", match.agree.join(", ")], ["Differs", match.differ.join(", ")],
      ["Apart", match.secondsApart === null ? null : `${match.secondsApart} s`], ["Compared", count(match.candidates, "event")],
      ["Event", event && [event.table, event.action, event.device, event.time].filter(Boolean).join(" ")],
      ["Equal events", event && String(event.twins)]])),
    candidates.length ? compared(candidates) : null,
    clues.length ? listed(clues) : null,
  ];
}

/** Return a table of the events that a search found. */
export const compared = (candidates) =>
  table("Candidates", ["Event", "Device", "Apart", "Agrees", "Differs"], candidates.map((each) => [
    said([each.table, each.action, each.file].filter(Boolean).join(" ")), said(each.device ?? ""), `${each.secondsApart ?? "–"} s`,
    said((each.agree ?? []).join(", ") || "–"), said((each.differ ?? []).join(", ") || "–")]));

/** Return a table of clues with their places. */
export const listed = (clues) =>
  table("Clues", ["Clue", "Value", "Place"], clues.map((clue) => [clue.name, said(clue.value), said(clue.place ?? "–")]));

function actions(alert, again) {
  const act = (name, text, run, more) => button(name, async () => { if (await confirm(name, text, run, more)) await again(); });
  const path = `alerts/${encodeURIComponent(alert.id)}`;
  const does = (what, happened) => async () => {
    const now = await ask("POST", `${path}/${what}`);
    return h("span", {}, happened, " It is now ", state(now.status), ".");
  };
  const ended = alert.status === "failed" || alert.status === "discarded";
  const searched = unmatched(alert) || alert.match;
  return h("div", { class: "buttons" }, [
    ended && !alert.trial ? act("Replay", ["This one alert waits again, in the turn of its sender.", doubtful(alert) ? TWICE() : null], does("replay", "It was replayed.")) : null,
    searched && ended && !alert.trial ? act("Search again", "The event of this one alert is searched again by advanced hunting, in its turn.", does("search", "It will be searched again.")) : null,
    unmatched(alert) && !alert.trial && ["failed", "waiting"].includes(alert.status) ? reference(path, again) : null,
    alert.match && !alert.wrongMatch && alert.status !== "waiting" ? act("Wrong match", "You say that this one alert is on the wrong event. That is noted for a test, and nothing changes in Defender.", marks(path)) : null,
    ["waiting", "failed"].includes(alert.status) ? act("Discard", "This one alert is not sent. It can be replayed later.", does("discard", "It was discarded."), { danger: true }) : null,
  ]);
}

/** Return the action that marks a match as wrong, and shows what is to be done and the case. */
const marks = (path) => async () => {
  const { remedy, case: noted } = await ask("POST", `${path}/wrong-match`);
  return h("div", {}, h("p", {}, said(remedy)), h("details", {}, h("summary", {}, "Case for a test"), coloured(JSON.stringify(noted), [], "The case")));
};

/** Return the button that gives an alert the reference of its event: a row of advanced hunting. */
function reference(path, again) {
  return button("Give reference", async () => {
    const row = field("Row", "area", { rows: "6", placeholder: '{"DeviceId": "…", "Timestamp": "…", "ReportId": "…"}' });
    const run = async () => {
      try {
        JSON.parse(row.input.value);
      } catch (error) {
        throw new Error(`Row: this is no JSON. ${error.message}`);
      }
      const now = await ask("POST", `${path}/reference`, {}, row.input.value);
      return h("span", {}, "It has its reference. It is now ", state(now.status), ".");
    };
    const text = "This one alert is raised on the event that you name. Paste its row of advanced hunting as JSON: DeviceId, Timestamp with every digit, ReportId.";
    if (await confirm("Give reference", text, run, { fields: [row] })) await again();
  });
}
