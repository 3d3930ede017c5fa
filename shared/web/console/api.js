// The operator's requests. The key is in this tab's session storage, and goes out in a header only.

import { count } from "./dom.js";

const BASE = new URL("../", import.meta.url); // …/api/
const KEY = "operators-key";
const USED = "last-used";
const IDLE_MS = 30 * 60_000;
const ANSWER_MS = 240_000;

export const signedIn = () => sessionStorage.getItem(KEY) !== null;

export function remember(key) {
  sessionStorage.setItem(KEY, key);
  touch();
}

export function forget() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(USED);
}

/** Note that somebody is there. */
export function touch() {
  if (signedIn()) sessionStorage.setItem(USED, String(Date.now()));
}

export const isIdle = () => Date.now() - Number(sessionStorage.getItem(USED) ?? 0) >= IDLE_MS;

/**
 * What went wrong, in words; `status` is 0 where no answer came, `problem` the problem document if there is one. `late`: it
 * is the answer to a key that is not the one of this session any more.
 */
export class Failure extends Error {
  late = false;
  constructor(status, message, problem = null) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

/** Ask `operations/{path}`; return the JSON of the answer. Throw `Failure`. */
export async function ask(method, path, query = {}, body = undefined) {
  const key = sessionStorage.getItem(KEY);
  try {
    return await send(method, `operations/${path}`, query, body, key);
  } catch (error) {
    error.late = key !== sessionStorage.getItem(KEY);
    throw error;
  }
}

/** Post a payload to the webhook, with a sender's key or the operator's own. Throw `Failure`. */
export const post = (payload, query, key) =>
  send("POST", "alerts", query, payload, key || sessionStorage.getItem(KEY));

/** Ask for the status with a key that is not remembered yet. */
export const check = (key) => send("GET", "operations/status", {}, undefined, key);

/**
 * Discard all waiting alerts that fit, portion by portion, and return the answer in words; `progress` is told how many so
 * far. Throw `Failure`.
 */
export async function discard(filters, progress) {
  let discarded = 0, sending = 0, answer;
  do {
    try {
      answer = await ask("POST", "discard", { ...filters, continuation: answer?.continuation });
    } catch (error) {
      throw discarded ? new Failure(error.status, `${count(discarded, "alert")} discarded, then: ${error.message}`) : error;
    }
    [discarded, sending] = [discarded + answer.discarded, sending + answer.sending];
    progress(`${count(discarded, "alert")} discarded so far …`);
  } while (answer.continuation);
  const left = answer.remaining ? `; ${answer.remaining} changed at the same moment and may still wait` : "";
  return `${count(discarded, "alert")} discarded; ${sending} being sent${left}.`;
}

async function send(method, path, query, body, key) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  if (/[^\x20-\x7e]/.test(key ?? "")) throw new Failure(0, "This key has a sign that no key has: copy it once more.");
  const headers = { "x-functions-key": key ?? "" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer, text;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    answer = await fetch(url, { method, headers, body, signal, cache: "no-store", credentials: "omit", redirect: "error" });
    text = await answer.text();
  } catch {
    const why = navigator.onLine ? "The app does not answer" : "This browser is offline";
    throw new Failure(0, `${why}: look at your network and the function app, then try again.`);
  }
  const document = parsed(text);
  if (answer.ok && document !== null) return document;
  throw new Failure(answer.status, words(answer, document), document);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function words(answer, problem) {
  if (answer.status === 401) return "The key is not accepted (401). Use a function key of OperationsFunction.";
  if (answer.ok) return "What came is no answer of the app: something in front of it may have answered.";
  const detail = problem?.detail ?? "The app, or something in front of it, gave no reason.";
  const after = answer.headers.get("Retry-After");
  return `${detail} (${answer.status}${after ? `, try again in ${after} s` : ""})`;
}
