// Everything that changes something asks first, in a dialog, and shows the answer there.

import { button, h, tell } from "./dom.js";

/**
 * Ask whether to do it. `name` is the button and the heading; `text` says what it will do to how many; `fields` are
 * shown below it. `run` does it and returns the answer in words or as an element. Resolves to whether it was done.
 */
export function confirm(name, text, run, { fields = [], danger = false } = {}) {
  return new Promise((resolve) => {
    let done = false;
    const words = h("p", {}, text);
    const answer = h("div", { role: "status" });
    const go = button(name, act, { class: danger ? "danger" : "primary" });
    const cancel = button("Cancel", () => dialog.close());
    const dialog = h("dialog", { "aria-labelledby": "dialog-name" },
      h("h2", { id: "dialog-name" }, name), words, fields.map((each) => each.element), answer,
      h("div", { class: "buttons" }, go, cancel));
    async function act() {
      go.disabled = true;
      answer.replaceChildren("…");
      answer.className = "";
      try {
        const said = await run((progress) => answer.replaceChildren(progress));
        answer.replaceChildren(said);
        done = true;
        go.remove();
        cancel.textContent = "Close";
        cancel.focus();
      } catch (error) {
        answer.replaceChildren(error.message);
        answer.className = "bad";
        go.disabled = false;
      }
    }
    dialog.addEventListener("close", () => {
      dialog.remove();
      tell("");
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
