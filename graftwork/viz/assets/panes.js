// Before and after side by side: one scene, one camera, painted twice, each time without what only
// the other side has. So both stay in line.

import { ADDED, REMOVED, makesOf, titleOf } from "./data.js";
import { shorten } from "./measure.js";

// What is painted side by side: what each side leaves out, and the graph with its names of axes.
export function sidesOf({ model, apart }) {
  if (!apart) return [{ name: "", hidden: 0, model }];
  return [["before", ADDED], ["after", REMOVED]].map(([name, hidden], i) =>
    ({ name, hidden, model: Object.assign(Object.create(model), { version: model.difference.step[i] }) }));
}

export function isHidden({ model, hidden }, cell) {
  return hidden > 0 && model.c.change[cell] === hidden;
}

// Whether a row of a box is left out: what it names, or that the box reads it.
export function isRowHidden(side, row) {
  return isHidden(side, row.cell) || (side.hidden > 0 && row.change === side.hidden);
}

// Of the changes that pieces of a wire are there for (a bit each), those that a side shows.
export function seenBits({ hidden }, bits) {
  return hidden ? bits & ~(1 << hidden) : bits;
}

// What the second line of a changed box was, on the side of before; else null.
export function wordsBefore({ model, hidden }, cell) {
  const was = hidden === ADDED ? model.was[cell]?.[model.number] : null;
  if (!was) return null;
  const [op, ...words] = was.slice(0, was.length - makesOf(model, cell).length);
  return shorten([op === titleOf(model, cell) ? "" : op, ...words].filter(Boolean).join("  "), 42);
}

// The side that a pointer is on, and where in it.
export function placeIn(app, event) {
  const { left, top } = app.stage.getBoundingClientRect(), { width } = app.size, sides = sidesOf(app.scene);
  const at = event.clientX - left, pane = Math.max(0, Math.min(sides.length - 1, Math.floor(at / width)));
  return { side: sides[pane], x: at - pane * width, y: event.clientY - top };
}

// How wide the picture of one side is.
export function paneWidth({ stage, scene }) {
  return stage.clientWidth / sidesOf(scene).length;
}
