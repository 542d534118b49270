// The scrubber through passes: which step is shown, what it did, and which rules did it.

import { ADDED, CHANGED, SIGNS, boxOf, originOf, setStep } from "./data.js";
import { button, element, fill } from "./dom.js";
import { grouped, shorten } from "./measure.js";
import { keep } from "./scene.js";

const MOST_RULES = 8;

// The bar of a replay, or nothing where there is one step only.
export function makeSteps(scene, actions) {
  const { differences } = scene.model;
  if (differences.length < 2) return null;
  const slider = element("input", {
    type: "range", min: "0", max: String(differences.length - 1), value: "0", "aria-label": "Pass",
    oninput: () => actions.step(Number(slider.value)),
  });
  const name = element("span", { class: "name" }), rules = element("span", { class: "rules", role: "group", "aria-label": "Rules" });
  const move = (by) => () => actions.step(scene.model.number + by);
  const bar = element("div", { class: "steps", role: "group", "aria-label": "Passes" },
    button("‹", "Previous pass ([)", move(-1), { class: "icon" }), slider,
    button("›", "Next pass (])", move(1), { class: "icon" }), name, rules);
  return { scene, actions, bar, slider, name, rules };
}

// The counts of changes, and the ways to them; nothing where nothing is compared.
export function makeChanges(scene, actions, drawer) {
  if (!scene.model.difference) return null;
  const counts = element("span", { class: "counts" });
  const sides = button("◫", "Before and after side by side (s)", actions.apart, { class: "icon", "aria-pressed": String(scene.apart) });
  const bar = element("div", { class: "changes", role: "group", "aria-label": "Changes" }, counts,
    button("‹", "Previous change (p)", () => actions.next(-1), { class: "icon" }),
    button("›", "Next change (n)", () => actions.next(1), { class: "icon" }),
    button("±", "Only what changed and what is around it (c)", actions.changes, { class: "icon" }), sides,
    button("Text", "Show the difference as text", () => { drawer.hidden = !drawer.hidden; }));
  return { bar, counts, sides };
}

export function refreshSteps(steps) {
  if (!steps) return;
  const { scene, actions, slider, name, rules } = steps, { model } = scene;
  const last = model.differences.length - 1, words = model.difference.name;
  slider.value = String(model.number);
  slider.setAttribute("aria-valuetext", words);
  fill(name, model.number ? element("span", { class: "soft" }, `${model.number} of ${last}  `) : null, shorten(words, 120));
  fill(rules, rulesOf(model).map(([rule, count]) =>
    button(`${shorten(rule, 30)} ×${grouped(count)}`, `Find what ${rule} made`, () => actions.find(`pass:${rule} changed:`))));
}

// Goes to a step; gives whether there is one.
export function goToStep(scene, number) {
  const { model } = scene;
  if (!(number in model.differences)) return false;
  setStep(model, number);
  keep(scene);
  return true;
}

// The rules and passes that made what is new in this step, and how many nodes, the most first.
function rulesOf(model) {
  const made = new Map();
  for (let cell = 0; cell < model.count; cell++) {
    if (model.c.change[cell] !== ADDED && model.c.change[cell] !== CHANGED) continue;
    const rule = originOf(model, cell).passes.at(-1);
    if (rule && !/\s/.test(rule)) made.set(rule, (made.get(rule) ?? 0) + 1);
  }
  return [...made].sort((a, b) => b[1] - a[1]).slice(0, MOST_RULES);
}

// What changed, the outermost of it, in the order of the outline.
export function changedCells(model) {
  model.changed ??= Array.from({ length: model.count }, (_, cell) => cell)
    .filter((cell) => model.c.change[cell] && !model.c.change[model.c.parent[cell]])
    .sort((a, b) => boxOf(model, a) - boxOf(model, b));
  return model.changed;
}

export function differenceOf(model) {
  const { counts, axes, lines } = model.difference;
  const line = ([sign, words], before) =>
    element("span", { class: `line sign-${"+-~@ ".indexOf(sign)}` }, sign === "@" ? `⋯ ${words}\n` : `${sign} ${before}${words}\n`);
  return [
    element("p", {}, `${counts[0]} added, ${counts[1]} removed, ${counts[2]} changed`),
    axes.length ? element("pre", { class: "lines" }, axes.map((row) => line(row, "axis "))) : null,
    lines.length ? null : element("p", { class: "soft" }, "The nodes are the same."),
    element("pre", { class: "lines" }, lines.map((row) => line(row, ""))),
  ];
}

// How many cells were added, removed and changed, and how many axes, which a rename changes alone.
export function countsOf(model) {
  const { counts, axes } = model.difference;
  const words = counts.map((count, i) => element("span", { class: `change-${i + 1}` }, SIGNS[i + 1] + grouped(count)));
  return axes.length ? [...words, element("span", { class: "soft" }, axes.length === 1 ? "1 axis" : `${axes.length} axes`)] : words;
}
