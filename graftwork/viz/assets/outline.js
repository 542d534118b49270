// The outline: the same scene as a tree, for reading, for keys and for screen readers. Only the
// rows in sight exist.

import { GROUP, SIGNS, WORDS, isGroup, opOf, opsInside, titleOf } from "./data.js";
import { element, fill } from "./dom.js";
import { shorten } from "./measure.js";
import { overlayText } from "./overlay.js";
import { keptChildren } from "./scene.js";

const HEIGHT = 26;

export function makeOutline(scene, actions) {
  const rows = element("div", { class: "rows", role: "presentation" });
  const list = element("div", {
    class: "outline", role: "tree", tabindex: "0", "aria-label": "Outline of the graph",
  }, rows);
  const outline = { scene, actions, list, rows, lines: [], drawn: "" };
  list.addEventListener("scroll", () => draw(outline));
  list.addEventListener("keydown", (event) => onOutlineKey(outline, event));
  new ResizeObserver(() => draw(outline)).observe(list);
  return outline;
}

// Lists the rows anew: after something opened or closed, or was selected.
export function refreshOutline(outline) {
  const { scene } = outline;
  outline.lines = [];
  const todo = keptChildren(scene, 0).reverse().map((cell) => [cell, 1, 0, 0]);
  number(todo);
  while (todo.length) {
    const line = todo.pop();
    outline.lines.push(line);
    const [cell, level] = line;
    if (!scene.open.has(cell)) continue;
    const inner = keptChildren(scene, cell).reverse().map((child) => [child, level + 1, 0, 0]);
    number(inner);
    todo.push(...inner);
  }
  outline.rows.style.height = `${outline.lines.length * HEIGHT}px`;
  outline.drawn = "";
  draw(outline);
}

function number(siblings) {
  siblings.forEach((line, i) => {
    line[2] = siblings.length - i;
    line[3] = siblings.length;
  });
}

export function scrollOutlineTo(outline, cell) {
  const i = outline.lines.findIndex(([row]) => row === cell);
  if (i < 0) return;
  const top = i * HEIGHT, { list } = outline;
  if (top < list.scrollTop || top + HEIGHT > list.scrollTop + list.clientHeight) {
    list.scrollTop = top - list.clientHeight / 2;
  }
  draw(outline);
}

function draw(outline) {
  const { list, rows, lines, scene } = outline;
  const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4);
  const last = Math.min(lines.length, first + Math.ceil(list.clientHeight / HEIGHT) + 8);
  const key = `${first},${last},${scene.selected},${lines.length}`;
  if (outline.drawn === key) return;
  outline.drawn = key;
  fill(rows, lines.slice(first, last).map((line, i) => row(outline, line, first + i)));
  const active = lines.slice(first, last).some(([cell]) => cell === scene.selected);
  if (active) list.setAttribute("aria-activedescendant", `row-${scene.selected}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(outline, [cell, level, place, size], i) {
  const { scene, actions } = outline, { model } = scene;
  const group = isGroup(model, cell), open = scene.open.has(cell), op = opOf(model, cell);
  const change = model.c.change[cell], title = shorten(titleOf(model, cell), 120);
  const soft = model.overlay ? overlayText(model, cell) : group && model.c.kind[cell] === GROUP ? String(opsInside(model, cell)) : op && op[0] !== title ? op[0] : "";
  const made = element("div", {
    class: `row change-${change}`, role: "treeitem", id: `row-${cell}`, "aria-level": level,
    "aria-posinset": place, "aria-setsize": size, "aria-selected": String(scene.selected === cell),
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
  const at = lines.findIndex(([cell]) => cell === scene.selected);
  const cell = at < 0 ? -1 : lines[at][0];
  const go = (i) => i >= 0 && i < lines.length && actions.select(lines[i][0], true);
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
