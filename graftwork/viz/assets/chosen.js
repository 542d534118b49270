// What is chosen in a picture of attention, in the address: heads, how they are shown, what is held.

import { recalled } from "./address.js";

// The heads that an address names, or the first of all.
export function recallHeads(root, { heads }, most) {
  const found = recalled(root).numbers("heads", heads.length).filter((head) => head >= 0);
  return found.length ? [...new Set(found)].slice(-most).map((head) => heads[head]) : [heads[0]];
}

// Takes up the rest of what an address says; only what can be chosen here counts.
export function recallChoices(view) {
  const { word, number } = recalled(view.root), { model } = view;
  const offered = (choice, name) => (choice && [...choice.options].some(({ value }) => value === word(name)) ? Number(choice.value = word(name)) : null);
  view.arcs = offered(view.formChoice, "form") ?? view.arcs;
  view.order = offered(view.orderChoice, "order") ?? view.order;
  model.example = offered(view.exampleChoice, "example") ?? model.example;
  const source = offered(view.sourceChoice, "show");
  if (source !== null) view.shown = view.sources[source][2];
  view.stretched = word("stretch") === "true";
  view.stretch.setAttribute("aria-pressed", String(view.stretched));
  const side = Math.max(0, number("side", 2)), extents = [model.queries, model.keys], at = number("at", extents[side]);
  if (at >= 0) Object.assign(view, { side, at, other: number("other", extents[1 - side]), locked: true });
}

export function choicesOf(view) {
  const { chosen, arcs, order, stretched, side, at, other, locked, exampleChoice, sourceChoice } = view;
  return {
    heads: chosen.map(({ index }) => index).join("."), form: arcs, order, stretch: stretched,
    example: exampleChoice?.value, show: sourceChoice?.value, ...(locked ? { side, at, other: other >= 0 && other } : {}),
  };
}
