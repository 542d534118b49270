// The life of the axis that is followed: what happens to it, and where.

import { OP, formRow } from "./data.js";
import { button, element, fill } from "./dom.js";
import { grouped, shorten } from "./measure.js";
import { inAxisColour } from "./palette.js";

// What a cell does to an axis, as words and the other axis, or null.
export function actOn(model, cell, axis) {
  const row = formRow(model, cell, "acts");
  for (let i = 0; i < row.length; i += 3) {
    if (row[i] === axis) return { words: model.strings[row[i + 1]], other: row[i + 2] };
  }
  return null;
}

// All that happens to an axis: words -> the cells that do it and the other axis, the most first.
function lifeOf(model, axis) {
  const life = new Map();
  for (let cell = 0; cell < model.outline; cell++) {
    if (model.c.kind[cell] !== OP || model.absent?.[cell]) continue;
    const act = actOn(model, cell, axis);
    if (!act) continue;
    const known = life.get(act.words) ?? { cells: [], other: act.other };
    known.cells.push(cell);
    life.set(act.words, known);
  }
  return [...life];
}

export function makeLife() {
  return element("div", { class: "life", role: "group", "aria-label": "Life of the axis", hidden: true });
}

export function refreshLife(list, scene, actions) {
  const { model, axis } = scene;
  list.hidden = axis < 0;
  if (axis < 0) return;
  const events = lifeOf(model, axis).map(([words, { cells, other }]) => element("span", { class: "event" },
    button(`${shorten(words, 60)} ×${grouped(cells.length)}`, `Find where ${model.axes[axis][0]} is ${words}`, () => actions.mark(cells)),
    other >= 0 ? inAxisColour(button("→", `Follow ${model.axes[other][0]}`, () => actions.follow(other), { class: "axis" }), other) : null));
  fill(list, inAxisColour(element("b", {}, shorten(model.axes[axis][1], 60)), axis), events,
    events.length ? null : element("span", { class: "soft" }, "from the inputs to the outputs"));
}
