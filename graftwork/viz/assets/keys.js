// Help: which keys a picture knows.

import { button, element } from "./dom.js";

// rows: [key, what it does]; the dialog, and the button that opens it.
export function makeKeys(rows, note) {
  const dialog = element("dialog", { class: "keys", "aria-label": "Keys" },
    button("×", "Close", () => dialog.close(), { class: "shut" }),
    element("h3", {}, "Keys"),
    element("dl", {}, rows.flatMap(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)])),
    note ? element("p", { class: "soft" }, note) : null);
  return { dialog, opener: button("?", "Keys (?)", () => dialog.showModal(), { class: "icon" }) };
}
