// The outline: the same scene as a tree, for reading, for keys and for screen readers. Only the
// rows in sight exist.

import { GROUP, SIGNS, WORDS, groupsAround, isGroup, opOf, opsInside, titleOf } from "./data.js";
import { element, fill } from "./dom.js";
import { shorten } from "./measure.js";
import { overlayText } from "./overlay.js";
import { keptChildren, seenCells } from "./scene.js";

const HEIGHT = 26;

export function makeOutline(scene, actions) {
  const rows = element("div", { class: "rows", role: "presentation" });
  const list = element("div", {
    class: "outline", role: "tree", tabindex: "0", "aria-label": "Outline of the graph",
  }, rows);
  const outline = { scene, actions, list, rows, lines: new Int32Array(0), drawn: "" };
  list.addEventListener("scroll", () => drawRows(outline));
  list.addEventListener("keydown", (event) => onOutlineKey(outline, event));
  new ResizeObserver(() => drawRows(outline)).observe(list);
  return outline;
}

// Lists the rows anew: after something opened or closed, or was selected.
export function refreshOutline(outline) {
  outline.lines = seenCells(outline.scene);
  outline.rows.style.height = `${outline.lines.length * HEIGHT}px`;
  outline.drawn = "";
  drawRows(outline);
}

// The line of a cell, or -1; they stand in ascending order.
function lineOf({ lines }, cell) {
  let from = 0, to = lines.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (lines[middle] < cell) from = middle + 1;
    else to = middle;
  }
  return lines[from] === cell ? from : -1;
}

export function scrollOutlineTo(outline, cell) {
  const i = lineOf(outline, cell);
  if (i < 0) return;
  const top = i * HEIGHT, { list } = outline;
  if (top < list.scrollTop || top + HEIGHT > list.scrollTop + list.clientHeight) {
    list.scrollTop = top - list.clientHeight / 2;
  }
  drawRows(outline);
}

function drawRows(outline) {
  const { list, rows, lines, scene } = outline;
  const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4);
  const last = Math.min(lines.length, first + Math.ceil(list.clientHeight / HEIGHT) + 8);
  const key = `${first},${last},${scene.selected},${lines.length}`;
  if (outline.drawn === key) return;
  outline.drawn = key;
  const shown = Array.from(lines.subarray(first, last));
  fill(rows, shown.map((cell, i) => row(outline, cell, first + i)));
  if (shown.includes(scene.selected)) list.setAttribute("aria-activedescendant", `row-${scene.selected}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(outline, cell, i) {
  const { scene, actions } = outline, { model } = scene;
  const level = groupsAround(model, cell).length, siblings = keptChildren(scene, model.c.parent[cell]);
  const group = isGroup(model, cell), open = scene.open.has(cell), op = opOf(model, cell);
  const change = model.c.change[cell], title = shorten(titleOf(model, cell), 120);
  const soft = model.overlay ? overlayText(model, cell) : group && model.c.kind[cell] === GROUP ? String(opsInside(model, cell)) : op && op[0] !== title ? op[0] : "";
  const made = element("div", {
    class: `row change-${change}`, role: "treeitem", id: `row-${cell}`, "aria-level": level,
    "aria-posinset": siblings.indexOf(cell) + 1, "aria-setsize": siblings.length, "aria-selected": String(scene.selected === cell),
    "aria-expanded": group ? String(open) : null, onclick: () => actions.select(cell, true),
    ondblclick: () => actions.toggle(cell),
  },
    element("span", { class: "twist", "aria-hidden": "true", onclick: (event) => { event.stopPropagation(); if (group) actions.toggle(cell); } }, group ? (open ? "▾" : "▸") : ""),
    change ? element("span", { class: "sign" }, SIGNS[change]) : null,
    element("span", { class: "name" }, title),
    soft ? element("span", { class: "soft" }, soft) : null,
    change ? element("span", { class: "unseen" }, WORDS[change]) : null,
  );
  made.style.top = `${i * HEIGHT}px`;
  made.style.paddingLeft = `${8 + Math.min(level - 1, 12) * 14}px`;
  return made;
}

function onOutlineKey(outline, event) {
  const { scene, lines, actions } = outline;
  const at = lineOf(outline, scene.selected);
  const cell = at < 0 ? -1 : lines[at];
  const go = (i) => i >= 0 && i < lines.length && actions.select(lines[i], true);
  const keys = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at < 0 ? 0 : at - 1),
    Home: () => go(0),
    End: () => go(lines.length - 1),
    ArrowRight: () => (scene.open.has(cell) || !isGroup(scene.model, cell) ? go(at + 1) : actions.toggle(cell)),
    ArrowLeft: () => (scene.open.has(cell) ? actions.toggle(cell) : actions.select(scene.model.c.parent[cell], true)),
    Enter: () => cell >= 0 && actions.toggle(cell),
    " ": () => cell >= 0 && actions.toggle(cell),
  };
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  keys[event.key]();
}
