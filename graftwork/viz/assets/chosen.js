// What is chosen in a picture of attention, in the address: heads, how they are shown, what is held.

import { recalled } from "./address.js";

// The heads that an address names, or the first of all.
export function recallHeads(root, { heads }, most) {
  const found = recalled(root).numbers("heads", heads.length).filter((head) => head >= 0);
  return found.length ? [...new Set(found)].slice(-most).map((head) => heads[head]) : [heads[0]];
}

// Makes the choices that an address names, by their labels, of those that are offered.
export function recallChoices(view) {
  const { word, number } = recalled(view.root), { model } = view;
  for (const choice of view.root.querySelectorAll("select")) {
    const told = word(choice.ariaLabel);
    if (told === choice.value || ![...choice.options].some(({ value }) => value === told)) continue;
    choice.value = told;
    choice.dispatchEvent(new Event("change"));
  }
  if (word("stretch")) view.stretch.click();
  const side = Math.max(0, number("side", 2)), at = number("at", [model.queries, model.keys][side]);
  if (at >= 0) Object.assign(view, { side, at, locked: true });
}

export function choicesOf({ root, chosen, stretched, side, at, locked }) {
  const choices = [...root.querySelectorAll("select")].map(({ ariaLabel, value }) => [ariaLabel, value]);
  return { heads: chosen.map(({ index }) => index).join("."), ...Object.fromEntries(choices), stretch: stretched, ...(locked ? { side, at } : {}) };
}
