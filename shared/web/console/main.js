// Signing in and out, and which part is shown.

import * as api from "./api.js";
import { h, tell } from "./dom.js";
import * as alerts from "./alerts.js";
import * as overview from "./overview.js";
import * as refused from "./refused.js";
import * as senders from "./senders.js";
import * as tryout from "./tryout.js";

const PARTS = { overview, alerts, refused, try: tryout, senders };
const view = document.getElementById("view");
const form = document.getElementById("sign-in");
const nav = document.querySelector("nav");
const out = document.getElementById("sign-out");
const LOOK_MS = 10_000;
let leave = () => {};
let attempts = 0; // at signing in: the last counts

/** Show the part that the address names: `#alerts?status=failed`. */
function show() {
  leave();
  leave = () => {};
  document.querySelectorAll("dialog").forEach((each) => each.close());
  const on = api.signedIn();
  form.reset();
  form.hidden = on;
  nav.hidden = out.hidden = !on;
  view.replaceChildren();
  if (!on) {
    document.title = "Sign in – Defender alert webhook";
    form.elements.key.focus();
    return;
  }
  const [name, query] = location.hash.slice(1).split("?");
  const part = Object.hasOwn(PARTS, name) ? PARTS[name] : overview;
  document.title = `${part.NAME} – Defender alert webhook`;
  for (const link of nav.querySelectorAll("a")) {
    if (PARTS[link.hash.slice(1)] === part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = h("section", { "aria-labelledby": "part-name" }, h("h2", { id: "part-name" }, part.NAME));
  view.append(place);
  leave = part.show(place, { query: new URLSearchParams(query), failed }) ?? leave;
}

/** Say why something could not be shown; a key that is not accepted signs out. */
function failed(error) {
  if (error.late) return;
  if (error.status === 401) signOut(error.message, true);
  else tell(error.message ?? String(error), true);
}

function signOut(words, bad = false) {
  api.forget();
  show();
  tell(words, bad);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = form.elements.key.value.trim();
  const mine = ++attempts;
  tell("Signing in …");
  try {
    await api.check(key);
  } catch (error) {
    if (mine === attempts) tell(error.message, true);
    form.elements.key.select();
    return;
  }
  if (mine !== attempts) return;
  api.remember(key);
  tell("");
  show();
  document.getElementById("part").focus();
});
nav.addEventListener("click", (event) => {
  if (event.target.hash !== location.hash) return; // no other part: this one is shown anew
  tell("");
  show();
});
out.addEventListener("click", () => signOut("You are signed out."));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("part").focus();
});
window.addEventListener("hashchange", () => {
  tell("");
  show();
  if (document.activeElement === document.body) document.getElementById("part").focus();
});

/** Sign out whoever was away for too long. A timer may sleep as long as the device: what wakes it is no sign of life. */
function look() {
  if (!api.signedIn() || !api.isIdle()) return true;
  signOut("You were signed out after 30 minutes without a key press or a click.");
  return false;
}
for (const kind of ["pointerdown", "keydown"]) window.addEventListener(kind, () => look() && api.touch(), { passive: true, capture: true });
for (const kind of ["visibilitychange", "pageshow"]) window.addEventListener(kind, look, { capture: true });
setInterval(look, LOOK_MS);
if (api.signedIn() && api.isIdle()) api.forget();
show();
