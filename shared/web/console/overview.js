// How things stand: two requests every five seconds while somebody looks.

import { ask } from "./api.js";
import { confirm } from "./ask.js";
import { button, count, facts, field, h, keeping, portal, said, span, state, table, tell, time } from "./dom.js";

export const NAME = "Overview";
const RENEW_MS = 5_000;
const TICK_MS = 1_000;
const LATE_MS = 15_000;

export function show(place, { failed }) {
  const news = h("p", { class: "note", role: "status" }, "Asking …");
  const body = h("div", { class: "overview" });
  place.append(news, body);
  let alive = true, busy = 0, latest = null, got = 0;

  /** Say what is wrong, once, and of when that is what is shown. */
  function say(words) {
    const line = h("span", {}, words, got ? [" What you see is from ", time(new Date(got).toISOString()), "."] : null);
    if (news.textContent !== line.textContent) news.replaceChildren(line);
    news.className = "bad";
  }

  async function renew(force = false) {
    if (alive && busy && Date.now() - busy >= LATE_MS) say("The app does not answer.");
    if (!alive || busy || (document.hidden && !force)) return;
    busy = Date.now();
    try {
      const [status, { outcomes }] = await Promise.all([ask("GET", "status"), ask("GET", "outcomes")]);
      if (!alive) return;
      latest = { status, outcomes };
      got = Date.now();
      draw();
      if (document.querySelector("#message.bad")) tell("");
      if (news.className || news.textContent) news.replaceChildren();
      news.className = "note";
    } catch (error) {
      if (!alive) return;
      if (error.status === 401) return void failed(error);
      say(`This page could not be renewed: ${error.message}`);
    } finally {
      busy = 0;
    }
  }

  function draw() {
    const restore = keeping(body);
    body.replaceChildren(...parts(latest, () => renew(true), failed, got));
    restore();
  }

  const visible = () => void renew();
  const renewing = setInterval(renew, RENEW_MS);
  const ticking = setInterval(() => latest && !document.hidden && countDown(body), TICK_MS);
  document.addEventListener("visibilitychange", visible);
  renew(true);
  return () => {
    alive = false;
    clearInterval(renewing);
    clearInterval(ticking);
    document.removeEventListener("visibilitychange", visible);
  };
}

/** Let the seconds on the page run on between two renewals. */
function countDown(body) {
  for (const each of body.querySelectorAll("[data-opens]")) {
    const left = Math.max(0, Math.ceil((Number(each.dataset.opens) - Date.now()) / 1000));
    each.textContent = left ? `opens in ${left} s` : "opens now";
  }
}

function parts({ status, outcomes }, renew, failed, got) {
  return [
    h("div", { class: "wide standing" },
      status.pause ? paused(status.pause) : h("p", {}, state("running"), " Defender may be called."),
      status.pause?.byOperator
        ? button("Resume", () => resume(status.stages, renew), { "data-keep": "pause" })
        : button("Pause", () => pause(status.stages, renew), { "data-keep": "pause" }),
      status.stages.length > 1 ? onlyOne(status.stages[0], renew) : null),
    h("section", { class: "wide", "aria-labelledby": "window" }, h("h3", { id: "window" }, "Window"), ...slots(status, got)),
    h("section", { "aria-labelledby": "backlog" }, h("h3", { id: "backlog" }, "Backlog"), ...backlog(status, renew)),
    ...status.stages.slice(1).map((stage) => further(stage, renew)), ...status.off.map(off),
    h("section", { "aria-labelledby": "permission" }, h("h3", { id: "permission" }, "Permission"), ...permission(status, renew, failed)),
    h("section", { class: "wide", "aria-labelledby": "outcomes" }, h("h3", { id: "outcomes" }, "Newest outcomes"), newest(outcomes)),
  ];
}

const paused = (pause, words = "Defender is not called") =>
  h("p", { class: "bad" }, state("paused"), ` ${words}: `, said(pause.reason.replace(/[.\s]+$/, "")), ". ",
    pause.byOperator ? "It lasts until somebody resumes." : pause.holds ? ["It ends at ", time(pause.until), "."]
      : ["It ended at ", time(pause.until), ": the next call shows whether all is well."]);

function slots({ window, now }, got) {
  const behind = got - Date.parse(now); // the server's clock and this one differ
  const one = (slot) => {
    const opens = slot.opens && Date.parse(slot.opens) + behind;
    const left = slot.opens && Math.max(0, Math.ceil((opens - Date.now()) / 1000));
    const words = slot.state === "free" ? "free" : slot.state === "calling" ? "in use" : h("span", { "data-opens": opens }, `opens in ${left} s`);
    return h("li", { class: `slot ${slot.state}` }, words);
  };
  const order = { calling: 0, closed: 1, free: 2 };
  const sorted = [...window.slots].sort((a, b) => order[a.state] - order[b.state] || String(a.opens).localeCompare(String(b.opens)));
  return [
    h("p", {}, `${count(window.used, "call")} of ${window.calls} in the last ${window.seconds} s. `,
      window.open ? `${window.open} may be made now.` : window.nextOpens ? ["The next may be made at ", time(window.nextOpens), "."] : "None until somebody resumes."),
    h("ul", { class: "slots", "aria-label": "Slots" }, sorted.map(one)),
  ];
}

const age = (group) => (group.oldestSeconds === null ? "–" : span(group.oldestSeconds));

function backlog({ backlog, failed, unreadable }, renew) {
  const more = (group) => (group.atLeast ? " or more" : "");
  const rows = Object.entries(backlog.bySeverity).map(([name, group]) => [
    h("a", { href: `#alerts?status=waiting&severity=${name}`, "data-keep": `severity-${name}` }, name), String(group.count), age(group)]);
  return [
    h("p", {}, `${count(backlog.waiting, "alert waits", "alerts wait")}${more(backlog)}, ${backlog.sending} being sent.`),
    table("Waiting alerts by severity", ["Severity", "Waiting", "Oldest"], rows),
    h("p", {}, h("a", { href: "#alerts?status=failed", "data-keep": "failed" }, `${count(failed.count, "alert has", "alerts have")} failed${more(failed)}`), ". ",
      unreadable.count ? `${count(unreadable.count, "row")} of the table cannot be read and ${unreadable.count === 1 ? "was" : "were"} moved aside: see operations/unreadable.` : null),
    failed.count ? h("div", { class: "buttons" }, button("Replay the failed", () => replay(failed, renew), { "data-keep": "replay" })) : null,
  ].filter(Boolean);
}

/** Return the button that pauses or resumes a stage alone. */
const onlyOne = (stage, renew) => {
  const name = `${stage.pause?.byOperator ? "Resume" : "Pause"} ${stage.name}`;
  return button(name, () => (stage.pause?.byOperator ? resume : pause)([stage], renew, stage.name), { "data-keep": `only-${stage.name}` });
};

const part = (stage, ...children) =>
  h("section", { "aria-labelledby": `stage-${stage.name}` }, h("h3", { id: `stage-${stage.name}` }, `Stage ${stage.name}`), children);

const waits = ({ backlog }) => [
  ["Waiting", `${backlog.waiting}${backlog.atLeast ? " or more" : ""}, ${backlog.sending} under way`],
  ...Object.entries(backlog.bySeverity).filter(([, group]) => group.count).map(([name, group]) => [`… ${name}`, `${group.count}, the oldest ${age(group)}`]),
];

/** Show a stage beside the first one, which the rest of the page is about. */
const further = (stage, renew) => part(stage,
  stage.pause ? paused(stage.pause, "This stage rests") : h("p", {}, state("running"), " Its API may be called."),
  facts([
    ["Window", `${count(stage.window.used, "call")} of ${stage.window.calls} in the last ${stage.window.seconds} s`],
    ["Next call", stage.window.open ? "now" : stage.window.nextOpens ? time(stage.window.nextOpens) : "when somebody resumes"],
    ...waits(stage),
    ...(stage.search ? searching(stage.search) : []),
    ["Permission", stage.tokenProblem ?? (stage.token ? `right: ${stage.token.roles.join(", ") || "no role"}` : "no token was asked for yet")],
    ["Note", stage.note],
  ]),
  h("div", { class: "buttons" }, onlyOne(stage, renew)));

/** Show a stage that is off although something waits in it. */
const off = (stage) => part(stage,
  h("p", {}, state("off"), " The settings switch this stage off. What waits in it goes on once it is on again, or is ",
    h("a", { href: "#alerts?status=waiting", "data-keep": `off-${stage.name}` }, "discarded"), "."),
  facts(waits(stage)));

const searching = ({ mode, missingTables, trial }) => [
  ["Mode", mode === "trial" ? "trial: nothing is raised" : "events are searched and raised"],
  ["Missing tables", missingTables.map((each) => each.table).join(", ")],
  ...(mode === "trial" ? Object.entries(trial).map(([name, each]) => [`Trial, ${name}`, `${each.count}${each.atLeast ? " or more" : ""}`]) : []),
];

function permission({ token, tokenProblem, permission: sentence }, renew, failed) {
  const denied = /denies the calls/.test(sentence);
  const words = tokenProblem ?? (denied ? sentence : token
    ? `The permission is right: the token has ${token.roles.join(", ") || "no role"}.`
    : "No token was asked for yet on this instance.");
  const look = async () => {
    tell("Asking for a token …");
    try {
      await ask("GET", "status", { refresh: "true" });
      tell("");
      await renew();
    } catch (error) {
      failed(error);
    }
  };
  return [h("p", { class: tokenProblem || denied ? "bad" : null }, words),
    h("div", { class: "buttons" }, button("Check the permission", look, { "data-keep": "permission" }))];
}

function newest(outcomes) {
  if (!outcomes.length) return h("p", {}, "No alert has ended yet.");
  const cells = (alert) => [time(alert.ended), [state(alert.status), alert.route === "entity" ? " on entities" : null, alert.trial ? " a trial" : null], alert.request.severity,
    h("a", { href: `#alerts?id=${alert.id}`, "data-keep": `outcome-${alert.id}` }, said(alert.request.title, 100)),
    said(alert.senderName ?? alert.source, 40), portal(alert.portalUrl, { "data-keep": `portal-${alert.id}` }) ?? said(alert.error?.code ?? "–", 60)];
  return table("The last alerts that ended", ["Ended", "Outcome", "Severity", "Title", "From", "Defender"], outcomes.map(cells));
}

const CALLS = { reference: "Defender is not called", search: "Nothing is searched", entity: "No alert without an event is raised" };

/** Return how much waits and is being sent in some stages. */
const together = (stages) => ({
  waiting: stages.reduce((sum, { backlog }) => sum + backlog.waiting, 0),
  sending: stages.reduce((sum, { backlog }) => sum + backlog.sending, 0),
  atLeast: stages.some(({ backlog }) => backlog.atLeast),
});

/** Pause every stage, or one alone. */
async function pause(stages, renew, stage = "") {
  const reason = field("Reason", "text", { maxlength: "300" });
  const backlog = together(stages);
  const words = `${stage ? CALLS[stage] ?? "Its API is not called" : "Defender is not called any more, and nothing is searched,"} until somebody resumes. ${count(backlog.waiting, "alert waits", "alerts wait")}${backlog.atLeast ? " or more" : ""}; `
    + `new ones are accepted and wait as well. ${count(backlog.sending, "call")} under way ${backlog.sending === 1 ? "is" : "are"} not cut off.`;
  const run = async () => `Paused: ${held(await ask("POST", "pause", { reason: reason.input.value.trim(), stage }), stage).reason}.`;
  if (await confirm(["Pause", stage].filter(Boolean).join(" "), words, run, { fields: [reason] })) await renew();
}

/** Return the pause of a stage that an answer shows, of the first one if none is named. */
const held = (answer, stage) => (stage ? answer.stages.find((each) => each.name === stage) : answer).pause;

/** Resume every stage, or one alone. */
async function resume(stages, renew, stage = "") {
  const backlog = together(stages);
  const words = `${stage ? "Its API" : "Defender"} is called again. ${count(backlog.waiting, "alert waits", "alerts wait")}${backlog.atLeast ? " or more" : ""}, and will be sent as fast as the window allows.`;
  const run = async () => {
    const left = held(await ask("POST", "resume", { stage }), stage);
    return left ? `Resumed. The API itself asked for a pause: ${left.reason}.` : "Resumed.";
  };
  if (await confirm(["Resume", stage].filter(Boolean).join(" "), words, run)) await renew();
}

async function replay(failed, renew) {
  const words = `${count(failed.count, "alert that has failed waits", "alerts that have failed wait")} again${failed.atLeast ? " (or more)" : ""}, the oldest failure first, each once. `
    + "Left out is what may have been created already, and what belongs to a stage that is off: each of those needs a look.";
  const run = async (progress) => {
    let replayed = 0, answer;
    do {
      answer = await ask("POST", "alerts/replay", { status: "failed", top: "200", continuation: answer?.continuation });
      replayed += answer.replayed;
      progress(`${count(replayed, "alert waits", "alerts wait")} again so far …`);
    } while (answer.continuation);
    return `${count(replayed, "alert waits", "alerts wait")} again; ${answer.remaining}${answer.atLeast ? " or more" : ""} failed ones remain.`;
  };
  if (await confirm("Replay the failed", words, run)) await renew();
}
