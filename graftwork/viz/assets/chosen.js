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
  const counts = [model.queries, model.keys], side = Math.max(0, number("side", 2)), at = number("at", counts[side]);
  if (at >= 0) Object.assign(view, { side, at, other: number("other", counts[1 - side]), locked: true });
}

// A query and a key: the one that is held, and the other.
export function pairOf({ side }, held, other) {
  return side ? [other, held] : [held, other];
}

// Frames the cell that is held, if it is a cell.
export function markHeld(view) {
  if (view.locked && view.other >= 0) for (const { mark } of view.facets) mark(...pairOf(view, view.at, view.other));
}

export function choicesOf({ root, chosen, stretched, side, at, other, locked }) {
  const choices = [...root.querySelectorAll("select")].map(({ ariaLabel, value }) => [ariaLabel, value]);
  return { heads: chosen.map(({ index }) => index).join("."), ...Object.fromEntries(choices), stretch: stretched, ...(locked ? { side, at, ...(other < 0 ? {} : { other }) } : {}) };
}
