// Everything that changes something asks first, in a dialog, and shows the answer there.

import { signedIn } from "./api.js";
import { button, h, tell } from "./dom.js";

/**
 * Ask whether to do it. `name` is the button and the heading; `text` says what it will do to how many; `fields` are
 * shown below it. `run` does it and returns the answer in words or as an element; it may tell its progress, which throws
 * once nobody looks any more. Resolves to whether it was begun, after its end: the page may be another one then.
 */
export function confirm(name, text, run, { fields = [], danger = false } = {}) {
  return new Promise((resolve) => {
    let begun = false, running = false;
    const opener = document.activeElement;
    const words = h("p", {}, text);
    const answer = h("div", { role: "status" });
    const go = button(name, act, { class: danger ? "danger" : "primary" });
    const cancel = button("Cancel", () => dialog.close());
    const dialog = h("dialog", { "aria-labelledby": "dialog-name" },
      h("h2", { id: "dialog-name" }, name), words, fields.map((each) => each.element), answer,
      h("div", { class: "buttons" }, go, cancel));
    const progress = (said) => {
      if (!dialog.open) throw new Error(`${said} Stopped.`);
      answer.replaceChildren(said);
    };
    async function act() {
      begun = running = go.disabled = true;
      cancel.textContent = "Do not wait";
      progress("…");
      answer.className = "";
      try {
        answer.replaceChildren(await run(progress));
        go.remove();
        cancel.textContent = "Close";
        cancel.focus();
      } catch (error) {
        go.disabled = false;
        cancel.textContent = "Cancel";
        answer.replaceChildren(error.message);
        answer.className = "bad";
        go.focus();
      }
      running = false;
      if (dialog.open) return;
      resolve(begun); // and then it is told, as what is drawn anew takes away what was told before
      if (signedIn()) setTimeout(() => tell(answer.textContent));
    }
    dialog.addEventListener("keydown", (event) => {
      if (event.repeat && event.target.matches("button")) event.preventDefault(); // the key that has opened it is still down
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!opener.isConnected) document.querySelector(`[data-keep="${opener.dataset.keep}"]`)?.focus();
      if (!running) resolve(begun);
    });
    tell("");
    document.body.append(dialog);
    dialog.showModal();
  });
}
