// The colours of numbers that are laid over boxes, thin enough to read on; and their legend.

import { element, fill } from "./dom.js";
import { numberText } from "./overlay.js";
import { eachShown } from "./scene.js";

const STRONGEST = 0.75;
const MORE = [224, 122, 31];
const LESS = [63, 124, 224];

// The least and greatest finite number of the closed boxes, around zero if signs differ.
function rangeOf(scene) {
  const { values } = scene.model.overlay;
  let low = Infinity, high = -Infinity;
  eachShown(scene, (cell) => {
    const number = values.get(cell);
    if (!Number.isFinite(number)) return;
    low = Math.min(low, number);
    high = Math.max(high, number);
  });
  if (low > high) return [0, 0];
  if (low >= 0 || high <= 0) return [low, high];
  const reach = Math.max(-low, high);
  return [-reach, reach];
}

// The tint of a box over its ground, or nothing where it has no finite number.
export function tintOf(scene, cell) {
  const { overlay } = scene.model;
  if (!overlay) return "";
  const number = overlay.values.get(cell);
  if (number === undefined || !Number.isFinite(number)) return "";
  scene.range ??= rangeOf(scene);
  return tint(scene.range, number);
}

function tint([low, high], number) {
  const from = low < 0 ? 0 : low, reach = low < 0 ? Math.max(-low, high) : high - low;
  const strength = reach ? Math.min(1, Math.abs(number - from) / reach) * STRONGEST : 0;
  return `rgba(${(number < from ? LESS : MORE).join()},${strength.toFixed(3)})`;
}

export function makeTintScale(model) {
  if (!model.overlay) return null;
  return element("div", { class: "scale", role: "img" });
}

// The legend: from which number to which, and what closed groups show.
export function refreshTintScale(scale, scene) {
  if (!scale) return;
  scene.range ??= rangeOf(scene);
  const [low, high] = scene.range, { label, reduce } = scene.model.overlay;
  const band = element("span", { class: "band" });
  const stops = [0, 0.25, 0.5, 0.75, 1].map((t) => tint(scene.range, low + (high - low) * t));
  band.style.background = `linear-gradient(to right, ${stops.join()}), var(--panel)`;
  scale.setAttribute("aria-label", `${label}, from ${numberText(low)} to ${numberText(high)}; closed groups show the ${reduce}`);
  fill(scale, element("b", { class: "name" }, label), element("span", {}, numberText(low)), band,
    element("span", {}, numberText(high)), element("span", { class: "soft" }, `${reduce} in closed groups`));
}
