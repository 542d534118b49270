// What is open, selected and followed, in the address.

import { recalled, remember } from "./address.js";
import { isGroup, setStep } from "./data.js";
import { keep } from "./scene.js";

const MOST_OPEN = 4000;

export function rememberState({ root, scene }) {
  const { model, open, selected, axis, apart } = scene;
  if (open.size > MOST_OPEN) return;
  remember(root, {
    of: model.count, open: [...open].sort((a, b) => a - b).map((cell) => cell.toString(36)).join("."),
    at: selected > 0 && selected, axis: axis >= 0 && axis, step: model.number > 0 && model.number, apart,
  });
}

// Takes up what an address says, if it is of this graph; gives the cell to select, or -1.
export function recallState({ root, scene }) {
  const { word, number } = recalled(root), { model } = scene;
  if (Number(word("of")) !== model.count) return -1;
  scene.open = new Set(word("open").split(".").map((cell) => Number.parseInt(cell, 36)).filter((cell) => isGroup(model, cell)));
  scene.open.add(0);
  scene.axis = number("axis", model.axes.length);
  setStep(model, Math.max(0, number("step", model.differences.length)));
  scene.apart = Boolean(model.difference && word("apart"));
  keep(scene);
  return number("at", model.count);
}
