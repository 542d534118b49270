// What is open, selected and marked, and where everything is: the state that all parts share.

import { boxOf, childrenOf, groupsAround, isComposite, isGroup, isStub, makesOf, readsOf, typeOf } from "./data.js";
import { coneOf } from "./cone.js";
import { placeGroup } from "./place.js";

export function makeScene(model) {
  const scene = {
    model,
    open: new Set(model.opened),
    placed: new Map(),
    selected: -1,
    hovered: -1,
    hoveredWire: -1,
    axis: -1,
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
  scene.placed.clear();
  scene.range = null;
}

export function isKept(scene, cell) {
  return !scene.kept || scene.kept[cell] > 0;
}

export function keptChildren(scene, cell) {
  return childrenOf(scene.model, cell).filter((child) => isKept(scene, child));
}

export function rootOf(scene) {
  return placeGroup(scene, 0);
}

// Every closed box of the picture.
export function eachShown(scene, visit) {
  const todo = [rootOf(scene)];
  while (todo.length) {
    for (const box of todo.pop().boxes) {
      if (box.inner) todo.push(box.inner);
      else visit(box.cell);
    }
  }
}

function touch(scene, group) {
  scene.range = null;
  scene.placed.delete(group);
  for (const around of groupsAround(scene.model, group)) scene.placed.delete(around);
}

export function setOpen(scene, group, open) {
  if (group === 0 || !isGroup(scene.model, group) || scene.open.has(group) === open) return false;
  if (open) scene.open.add(group);
  else scene.open.delete(group);
  touch(scene, group);
  return true;
}

// Opens or closes a group with all that is inside; composites stay what they are.
export function setOpenAll(scene, group, open) {
  const { model } = scene;
  for (let cell = group; cell < Math.min(model.end[group], model.outline); cell++) {
    if (cell && (cell === group || !open || !isComposite(model, cell))) setOpen(scene, cell, open);
  }
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
  const path = [cell, ...groupsAround(scene.model, cell)].reverse();
  let placed = rootOf(scene), x = 0, y = 0, box = null;
  for (const step of path.slice(1)) {
    box = placed.boxes.find((candidate) => candidate.cell === step);
    if (!box) return null;
    x += box.x;
    y += box.y;
    placed = box.inner;
  }
  if (!box) return { x: 0, y: 0, width: placed.width, height: placed.height };
  return { x, y, width: box.width, height: box.height, box };
}

// What is at a point: a box, the header of an open group, one of a box's rows.
export function hitTest(scene, x, y) {
  let placed = rootOf(scene), found = null;
  while (placed) {
    const box = placed.boxes.find((b) => x >= b.x && x <= b.x + b.width && y >= b.y && y <= b.y + b.height);
    if (!box) return found;
    x -= box.x;
    y -= box.y;
    found = { box, cell: box.cell, row: box.inner ? null : rowAt(box.content, y), toggle: onToggle(scene, box, x, y) };
    placed = box.inner;
  }
  return found;
}

function rowAt(content, y) {
  if (!content.rows.length || y < content.rowsTop) return null;
  return content.rows[Math.floor((y - content.rowsTop) / content.rowHeight)] ?? null;
}

function onToggle(scene, box, x, y) {
  return isGroup(scene.model, box.cell) && y < 32 && x > box.width - 32;
}

// The line whose label is at a point, or that passes very near.
export function wireAt(scene, x, y, reach) {
  let placed = rootOf(scene), found = -1;
  while (placed) {
    for (const line of placed.lines) {
      if (y < line.top - 2 || y > line.bottom + 20) continue;
      const { label } = line;
      if (label && Math.abs(x - label.x) < label.width / 2 && Math.abs(y - label.y) < 9) return line.wire;
      if (line.pieces.some((piece) => nearPiece(piece, x, y, reach))) found = line.wire;
    }
    const box = placed.boxes.find((b) => x >= b.x && x <= b.x + b.width && y >= b.y && y <= b.y + b.height);
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
  const placed = parent < 0 ? null : scene.placed.get(parent);
  if (!placed) return -1;
  const cells = placed.ranks.find((beside) => beside.includes(cell)) ?? [];
  return cells[cells.indexOf(cell) + step] ?? -1;
}

export function firstChild(scene, cell) {
  return keptChildren(scene, cell)[0] ?? -1;
}
