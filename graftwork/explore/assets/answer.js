// What a run gave: the tokens of the prompt, the likeliest next ones, and the code.

import { copyText, element, fill } from "./dom.js";
import { byId } from "./parts.js";

const percent = (number) => (number === null ? "none" : `${(100 * number).toFixed(number < 0.1 ? 2 : 1)} %`);

// Shows an answer; `choose(position)` asks for the next token after another one.
export function showAnswer({ tokens, at, rows, divergence, code }, edited, choose) {
  const choosing = byId("tokens").contains(document.activeElement);
  fill(byId("tokens"), tokens.map((text, i) => element("button", {
    type: "button", class: "token", "aria-pressed": String(i === at), title: `Position ${i}`, onclick: () => choose(i),
  }, shown(text))));
  if (choosing) byId("tokens").children[at].focus();
  fill(byId("rows"), head(edited), element("tbody", {}, rows.map((row) => line(row, edited))));
  fill(byId("divergence"), edited && divergence !== null
    ? `The edits changed the distribution by ${divergence.toPrecision(3)} nats (KL divergence).` : "");
  fill(byId("code"), code);
  for (const id of ["rows", "code"]) byId(id).closest(".part").hidden = false;
}

// Spaces and line ends are seen.
function shown(text) {
  return text.replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅";
}

function head(edited) {
  const words = edited ? ["Token", "Before", "After"] : ["Token", "Probability"];
  return element("thead", {}, element("tr", {}, words.map((word) => element("th", { scope: "col" }, word))));
}

function line({ text, token, before, after }, edited) {
  const name = element("th", { scope: "row", title: `Token ${token}` }, shown(text));
  return element("tr", {}, name, edited ? cell(before, "was") : null, cell(after, change(before, after)));
}

function change(before, after) {
  return after === before ? "" : after > before ? "more" : "less";
}

function cell(number, kind) {
  const bar = element("span", { class: `bar-of ${kind}`, "aria-hidden": "true" });
  bar.style.inlineSize = `${100 * (number ?? 0)}%`;
  const sign = kind === "more" ? "▲ " : kind === "less" ? "▼ " : "";
  return element("td", {}, bar, element("span", { class: "number" }, sign + percent(number)));
}

export function listenToCopy() {
  const copy = byId("copy");
  copy.addEventListener("click", async () => {
    copy.textContent = (await copyText(byId("code").textContent)) ? "Copied" : "Select it by hand";
    setTimeout(() => (copy.textContent = "Copy"), 1400);
  });
}
