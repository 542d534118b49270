// What is open, selected and followed, as the part of an address behind its `#`.

import { isGroup, setStep } from "./data.js";
import { keep } from "./scene.js";

const LONGEST = 4000;

// A sandboxed page has no address of its own, and a page of several pictures none for each.
function hasAddress() {
  return location.protocol !== "about:";
}

function stateOf({ model, open, selected, axis, apart }) {
  const words = new URLSearchParams({ of: model.count, open: [...open].sort((a, b) => a - b).map((cell) => cell.toString(36)).join(".") });
  if (selected > 0) words.set("at", selected);
  if (axis >= 0) words.set("axis", axis);
  if (model.number) words.set("step", model.number);
  if (apart) words.set("apart", "1");
  return words.toString();
}

export function rememberState(scene) {
  if (!hasAddress() || !document.body.classList.contains("alone")) return;
  if (scene.open.size > LONGEST) return;
  const words = stateOf(scene);
  if (words.length < LONGEST) history.replaceState(null, "", `#${words}`);
}

// Takes up what an address says, if it is of this graph; gives the cell to select, or -1.
export function recallState(scene) {
  const words = new URLSearchParams(hasAddress() ? location.hash.slice(1) : ""), { model } = scene;
  if (Number(words.get("of")) !== model.count || !document.body.classList.contains("alone")) return -1;
  const number = (name, limit) => {
    const value = Number.parseInt(words.get(name) ?? "", 10);
    return value >= 0 && value < limit ? value : -1;
  };
  scene.open = new Set((words.get("open") ?? "").split(".").map((word) => Number.parseInt(word, 36)).filter((cell) => isGroup(model, cell)));
  scene.open.add(0);
  scene.axis = number("axis", model.axes.length);
  setStep(model, Math.max(0, number("step", model.differences.length)));
  scene.apart = Boolean(model.difference && words.get("apart"));
  keep(scene);
  return number("at", model.count);
}
