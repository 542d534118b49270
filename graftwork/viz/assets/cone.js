// What is left out of the picture: all but what leads to a place, follows it, or lies between two.
// cone.py does the same for the still picture.

import { GROUP, OP, boxOf, groupsAround, isStub, makesOf, readsOf } from "./data.js";

// All cells that steps down (to readers) or up (to makers) lead to, as a column of flags.
function reachFrom(model, seeds, down) {
  const found = new Uint8Array(model.count), todo = [];
  const add = (cell) => {
    if (found[cell] || isStub(model, cell)) return;
    found[cell] = 1;
    todo.push(cell);
  };
  for (const seed of seeds) for (let cell = seed; cell < model.end[seed]; cell++) add(cell);
  while (todo.length) {
    const cell = todo.pop();
    if (down) for (const wire of makesOf(model, cell)) for (const reader of model.readers.of(wire)) add(reader);
    else for (const wire of readsOf(model, cell)) add(model.c.wireMaker[wire]);
    for (const around of groupsAround(model, cell)) if (model.c.kind[around] === OP) add(around);
  }
  return found;
}

// What changed, and what so many steps along wires lead to, as a column of flags.
function nearChanges(model, steps) {
  const found = new Uint8Array(model.count);
  let edge = [];
  const add = (cell) => {
    if (cell < 0 || found[cell] || isStub(model, cell)) return;
    found[cell] = 1;
    edge.push(cell);
  };
  model.c.change.forEach((change, cell) => { if (change && model.c.kind[cell] !== GROUP) add(boxOf(model, cell)); });
  for (let step = 0; step < steps; step++) {
    const last = edge;
    edge = [];
    for (const cell of last) {
      for (const wire of makesOf(model, cell)) for (const reader of model.readers.of(wire)) add(reader);
      for (const wire of readsOf(model, cell)) add(model.c.wireMaker[wire]);
    }
  }
  for (let cell = 0; cell < model.outline; cell++) if (found[cell]) for (const around of groupsAround(model, cell)) found[around] = 1;
  return found;
}

// The cells of a cone, with what is inside of them and around them. `above` and `below` are seeds:
// only what follows `above`, and only what leads to `below`; `near` is how many steps there are at
// most to a change; any may be missing.
export function coneOf(model, cone) {
  const { above, below, near } = cone ?? {}, around = near === undefined ? null : nearChanges(model, near);
  const follows = above ? reachFrom(model, above, true) : null, leads = below ? reachFrom(model, below, false) : null;
  const kept = new Uint8Array(model.count);
  for (let cell = 0; cell < model.outline; cell++) {
    if ((follows && !follows[cell]) || (leads && !leads[cell]) || (around && !around[cell]) || model.absent?.[cell]) continue;
    if (model.groupIndex[cell] < 0 || model.c.kind[cell] === OP) kept[cell] = 1;
  }
  for (let cell = 0; cell < model.outline; cell++) {
    if (model.c.kind[cell] !== OP || model.groupIndex[cell] < 0) continue;
    kept.fill(kept[cell], cell, model.end[cell]);
    for (let inner = cell; inner < model.end[cell]; inner++) if (model.absent?.[inner]) kept[inner] = 0;
    cell = model.end[cell] - 1;
  }
  for (let cell = model.outline - 1; cell > 0; cell--) if (kept[cell]) kept[model.c.parent[cell]] = 1;
  kept.fill(1, model.outline);
  kept[0] = 1;
  return kept;
}
