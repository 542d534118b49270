// What is open, selected and marked, and where everything is: the state that all parts share.

import { boxOf, childrenOf, groupsAround, isComposite, isGroup, isStub, makesOf, readsOf, typeOf } from "./data.js";
import { coneOf } from "./cone.js";
import { drawnGroup } from "./lines.js";
import { isHidden, isRowHidden, seenBits } from "./panes.js";
import { makeLayout, placeGroup } from "./place.js";
import { CHILD, standing } from "./plan.js";

export function makeScene(model) {
  const scene = {
    model,
    open: new Set(model.opened),
    layout: makeLayout(model),
    drawn: new Map(),
    selected: -1,
    hovered: -1,
    hoveredWire: -1,
    axis: -1,
    apart: false,
    cone: model.between ? { above: model.between[0], below: model.between[1] } : null,
    kept: null,
    range: null,
    hits: [],
    hitSet: new Set(),
  };
  scene.open.add(0);
  keep(scene);
  return scene;
}

// Leaves out of the picture all but a cone; null leaves out nothing.
export function setCone(scene, cone) {
  scene.cone = cone;
  keep(scene);
}

// What is to be seen: what the versions that are compared have, and of that the cone.
export function keep(scene) {
  const { model } = scene;
  scene.kept = scene.cone || model.absent ? coneOf(model, scene.cone) : null;
  forgetPlaces(scene);
}

// What was placed is to be placed anew: everything, or a group with what is around it.
function forgetPlaces(scene, group = -1) {
  const { model, layout, drawn } = scene;
  scene.range = null;
  if (group < 0) {
    layout.fresh.fill(0);
    drawn.clear();
  } else {
    for (const around of [group, ...groupsAround(model, group)]) {
      layout.fresh[model.groupIndex[around]] = 0;
      drawn.delete(around);
    }
  }
}

export function isKept(scene, cell) {
  return !scene.kept || scene.kept[cell] > 0;
}

export function keptChildren(scene, cell) {
  return childrenOf(scene.model, cell).filter((child) => isKept(scene, child));
}

export function rootOf(scene) {
  return drawnGroup(scene, 0);
}

// The next cell of the outline that is to be seen behind one that is: inside of it if it is open.
function nextSeen({ model, open }, cell) {
  return open.has(cell) ? cell + 1 : model.end[cell];
}

// Every cell that is to be seen, in the order of the outline, the whole left out.
export function seenCells(scene) {
  const { outline, end } = scene.model, seen = new Int32Array(outline);
  let count = 0;
  for (let cell = 1; cell < outline;) {
    const kept = isKept(scene, cell);
    if (kept) seen[count++] = cell;
    cell = kept ? nextSeen(scene, cell) : end[cell];
  }
  return seen.subarray(0, count);
}

// Every closed box of the picture.
export function eachShown(scene, visit) {
  for (const cell of seenCells(scene)) if (!scene.open.has(cell)) visit(cell);
}

function flip(scene, group, open) {
  if (group === 0 || !isGroup(scene.model, group) || scene.open.has(group) === open) return false;
  if (open) scene.open.add(group);
  else scene.open.delete(group);
  return true;
}

export function setOpen(scene, group, open) {
  const flipped = flip(scene, group, open);
  if (flipped) forgetPlaces(scene, group);
  return flipped;
}

// Opens or closes a group with all that is inside; composites stay what they are.
export function setOpenAll(scene, group, open) {
  const { model } = scene;
  for (let cell = group; cell < Math.min(model.end[group], model.outline); cell++) {
    if (cell === group || !open || !isComposite(model, cell)) flip(scene, cell, open);
  }
  forgetPlaces(scene);
}

// Opens what is around a cell, so that its box is to be seen.
export function reveal(scene, cell) {
  let opened = false;
  for (const group of groupsAround(scene.model, boxOf(scene.model, cell)).reverse()) {
    opened = setOpen(scene, group, true) || opened;
  }
  return opened;
}

// The innermost open place of a cell: itself, or the closed group that holds it.
export function shownAs(scene, cell) {
  let shown = boxOf(scene.model, cell);
  for (const group of groupsAround(scene.model, shown)) if (!scene.open.has(group)) shown = group;
  return shown;
}

// The rectangle of a box that is to be seen, in the coordinates of the whole.
export function rectOf(scene, cell) {
  const { model, layout, open } = scene, around = groupsAround(model, cell);
  placeGroup(scene, 0);
  if (!around.every((group) => open.has(group)) || !isKept(scene, cell)) return null;
  const path = [cell, ...around].slice(0, -1), sum = (column) => path.reduce((total, step) => total + column[step], 0);
  return { x: sum(layout.x), y: sum(layout.y), width: layout.width[cell], height: layout.height[cell] };
}

// The box of a placed group that is at a point, as a side shows it.
function boxAt(placed, side, x, y) {
  return placed.boxes.find((b) => x >= b.x && x <= b.x + b.width && y >= b.y && y <= b.y + b.height && !isHidden(side, b.cell));
}

// What is at a point: a box, the header of an open group, one of a box's rows.
export function hitTest(scene, side, x, y) {
  let placed = rootOf(scene), found = /** @type {{ box: any, cell: number, row: any, toggle: boolean } | null} */ (null);
  while (placed) {
    const box = boxAt(placed, side, x, y);
    if (!box) return found;
    x -= box.x;
    y -= box.y;
    found = { box, cell: box.cell, row: box.inner ? null : rowAt(box.content, side, y), toggle: onToggle(scene, box, x, y) };
    placed = box.inner;
  }
  return found;
}

function rowAt(content, side, y) {
  if (!content.rows.length || y < content.rowsTop) return null;
  const row = content.rows[Math.floor((y - content.rowsTop) / content.rowHeight)];
  return row && !isRowHidden(side, row) ? row : null;
}

function onToggle(scene, box, x, y) {
  return isGroup(scene.model, box.cell) && y < 32 && x > box.width - 32;
}

// The line whose label is at a point, or that passes very near.
export function wireAt(scene, side, x, y, reach) {
  let placed = rootOf(scene), found = -1;
  while (placed) {
    for (const line of placed.lines) {
      if (y < line.top - 2 || y > line.bottom + 20) continue;
      const { label } = line;
      if (label && seenBits(side, line.bits) && Math.abs(x - label.x) < label.width / 2 && Math.abs(y - label.y) < 9) return line.wire;
      if (line.pieces.some((piece) => seenBits(side, piece[4]) && nearPiece(piece, x, y, reach))) found = line.wire;
    }
    const box = boxAt(placed, side, x, y);
    if (!box) return found;
    found = -1;
    x -= box.x;
    y -= box.y;
    placed = box.inner;
  }
  return found;
}

function nearPiece([x0, y0, x1, y1], x, y, reach) {
  if (y < Math.min(y0, y1) || y > Math.max(y0, y1)) return false;
  const t = y1 === y0 ? 0 : (y - y0) / (y1 - y0), ease = t * t * (3 - 2 * t);
  return Math.abs(x0 + (x1 - x0) * ease - x) < reach;
}

export function cellHasAxis(model, cell, axis) {
  const wires = [...makesOf(model, cell), ...readsOf(model, cell)];
  return wires.some((wire) => typeOf(model, wire).axes.includes(axis));
}

// --- walking along the graph

export function firstReader(scene, cell) {
  for (const wire of wiresOut(scene, cell)) {
    for (const reader of scene.model.readers.of(wire)) {
      const shown = shownAs(scene, reader);
      if (shown !== cell && isKept(scene, shown) && !isInside(scene.model, reader, cell)) return shown;
    }
  }
  return -1;
}

export function firstMaker(scene, cell) {
  const { model } = scene;
  for (let inner = cell; inner < model.end[cell]; inner++) {
    if (isStub(model, cell)) break;
    for (const wire of readsOf(model, inner)) {
      const maker = model.c.wireMaker[wire];
      if (!isStub(model, maker) && isKept(scene, maker) && !isInside(model, maker, cell)) return shownAs(scene, maker);
    }
  }
  return -1;
}

function isInside(model, cell, group) {
  const box = boxOf(model, cell);
  return box >= group && box < model.end[group];
}

function wiresOut(scene, cell) {
  const { model } = scene, wires = [];
  for (let inner = model.end[cell] - 1; inner >= cell; inner--) wires.push(...makesOf(model, inner));
  return isStub(model, cell) ? makesOf(model, cell) : wires;
}

// The box to the left or right in the same rank.
export function neighbour(scene, cell, step) {
  const parent = scene.model.c.parent[cell];
  if (parent < 0) return -1;
  const { plan, order } = standing(scene, parent), children = childrenOf(scene.model, parent);
  const rank = plan.rank[plan.ofChild[children.indexOf(cell)]];
  const beside = order.filter((slot) => plan.what[slot] === CHILD && plan.rank[slot] === rank);
  const cells = beside.map((slot) => children[plan.ref[slot]]);
  return cells[cells.indexOf(cell) + step] ?? -1;
}

export function firstChild(scene, cell) {
  return keptChildren(scene, cell)[0] ?? -1;
}
