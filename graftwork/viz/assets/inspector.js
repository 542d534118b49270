// The panel that says everything about what is selected.

import { GROUP, OP, PARAMETER, SIGNS, WORDS, addressOf, attrsOf, changesInside, isGroup, isGuessed, isStub, makesOf, noteOf, opOf, opsInside, originOf, readChangesOf, readsOf, replacementsOf, rowOf, sitesOf, titleOf, typeOf } from "./data.js";
import { button, copyText, element, fill } from "./dom.js";
import { badgeText, grouped } from "./measure.js";
import { overlayText } from "./overlay.js";
import { inAxisColour } from "./palette.js";

const KINDS = ["module", "op", "input", "output", "parameter", "constant"];

export function makeInspector(scene, actions) {
  const body = element("div", { class: "inspected" });
  const panel = element("aside", { class: "inspector", "aria-label": "What is selected", hidden: true }, body);
  return { scene, actions, panel, body };
}

export function refreshInspector(inspector) {
  const { scene, actions, panel, body } = inspector, { model } = scene, cell = scene.selected;
  panel.hidden = cell <= 0;
  if (cell <= 0) return;
  const close = button("×", "Close (Esc)", () => actions.select(-1), { class: "close" });
  fill(body, head(model, cell), close, [
    finder(model, cell), cones(model, cell, actions), changes(scene, cell, actions), laidOver(model, cell), sites(model, cell), parameter(model, cell),
    attributes(model, cell), reads(scene, cell, actions), makes(scene, cell, actions),
    origin(model, cell), doc(model, cell),
  ]);
  panel.scrollTop = 0;
}

function section(title, ...children) {
  return element("section", {}, element("h3", {}, title), ...children);
}

function head(model, cell) {
  const op = opOf(model, cell), kind = model.c.kind[cell], title = titleOf(model, cell);
  const what = kind === OP ? op[0] : isGroup(model, cell) && kind === GROUP
    ? [noteOf(model, cell) || KINDS[kind], `${grouped(opsInside(model, cell))} ops`].join(", ") : KINDS[kind];
  return element("header", {}, element("h2", {}, title), element("p", { class: "what" }, what));
}

// --- how to find it in Python

function expressionOf(model, cell) {
  const kind = model.c.kind[cell], { quoted } = originOf(model, cell);
  const site = ownSite(model, cell);
  if (site) return model.sites[site];
  if (kind === PARAMETER) {
    const key = model.parameters[parameterIndex(model, cell)][3];
    return key ? `graph.params[${key}]` : "";
  }
  if (kind === GROUP) return quoted && quoted !== "''" ? `graph.select(module=${quoted})` : "";
  const nth = model.c.nth[cell] < 0 ? "" : `.nth(${model.c.nth[cell]})`, op = opOf(model, cell);
  if (op && quoted && model.c.way[cell] === 1) return `graph.select(module=${quoted}, op=${quote(op[4])})${nth}`;
  if (op && quoted && model.c.way[cell] === 2) {
    return `graph.select(op=${quote(op[4])}).where(lambda f: f.module == ${quoted})${nth}`;
  }
  return addressOf(model, cell);
}

// The first site of an op is its own, unless all of its sites lie inside of it.
function ownSite(model, cell) {
  const names = sitesOf(model, cell);
  const owns = model.c.kind[cell] !== GROUP && names.length > model.c.inner[cell];
  return owns && Object.hasOwn(model.sites, names[0]) ? names[0] : "";
}

function quote(name) {
  return `'${name}'`;
}

function parameterIndex(model, cell) {
  let index = 0;
  for (let stub = model.outline; stub < cell; stub++) index += Number(model.c.kind[stub] === PARAMETER);
  return index;
}

function finder(model, cell) {
  const expression = expressionOf(model, cell);
  if (!expression) return null;
  const copy = button("Copy", "Copy the expression", async () => {
    copy.textContent = (await copyText(expression)) ? "Copied" : "Select it by hand";
    setTimeout(() => (copy.textContent = "Copy"), 1400);
  }, { class: "copy" });
  return element("div", { class: "finder" }, element("code", { class: "expression" }, expression), copy);
}

// --- only a part of the graph

function cones(model, cell, actions) {
  if (isStub(model, cell)) return null;
  return element("div", { class: "cones", role: "group", "aria-label": "Show only" },
    element("span", { class: "soft" }, "Only"),
    button("leads here", "Show only what leads here (u)", () => actions.cone("up")),
    button("follows", "Show only what follows (d)", () => actions.cone("down")),
    button("between", "Show only what is between this place and the next that you choose (b)", () => actions.cone("between")));
}

// --- what was laid over

function laidOver(model, cell) {
  const shown = overlayText(model, cell), { label, reduce } = model.overlay ?? {};
  if (!shown) return null;
  return section(label, element("p", {}, shown, isGroup(model, cell) ? element("span", { class: "soft" }, ` ${reduce} of what is inside`) : null));
}

// --- what changed

function changes(scene, cell, actions) {
  const { model } = scene, { by, of } = replacementsOf(model, cell);
  const change = model.c.change[cell];
  const inside = isGroup(model, cell) ? badgeText(changesInside(model, cell)) : "";
  if (!change && !inside && !by.length && !of.length) return null;
  const was = change === 3 ? (model.was[cell]?.[model.number] ?? []) : [];
  const links = (words, cells) => (cells.length ? element("p", {}, words, cells.map((other) => cellLink(scene, other, actions))) : null);
  return section("Change",
    change ? element("p", { class: `change-${change}` }, element("b", {}, SIGNS[change] + " "), WORDS[change]) : null,
    inside ? element("p", {}, `inside: ${inside}`) : null,
    links("gives what was given by ", of), links("its value is now given by ", by),
    change !== 2 && isGuessed(model, cell) ? element("p", { class: "soft" }, "matched with what it was by structure, not by provenance") : null,
    was.length ? table(was.map((line) => ["was", line])) : null);
}

function sites(model, cell) {
  const names = sitesOf(model, cell);
  if (!names.length) return null;
  const inner = model.c.inner[cell];
  return section("Canonical sites", element("ul", { class: "chips" }, names.map((name, i) =>
    element("li", {}, name, inner && i >= names.length - inner ? element("span", { class: "soft" }, " inside") : null))));
}

function parameter(model, cell) {
  if (model.c.kind[cell] !== PARAMETER) return null;
  const [count, aliases, trainable] = model.parameters[parameterIndex(model, cell)];
  return section("Parameter", table([
    ["numbers", count === null ? "" : grouped(count)],
    ["tied with", aliases.join(", ")],
    ["trainable", trainable ? "yes" : "no"],
  ]));
}

function attributes(model, cell) {
  const words = attrsOf(model, cell);
  return words.length ? section("Attributes", table(words)) : null;
}

function table(rows) {
  return element("dl", {}, rows.filter(([, value]) => value !== "").flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}

function origin(model, cell) {
  const { module, source, op, passes } = originOf(model, cell);
  if (!module && !source && !op && !passes.length) return null;
  return section("Origin", table([
    ["module", module], ["source", source], ["framework", op], ["passes", passes.join(" → ")],
  ]));
}

function doc(model, cell) {
  const op = opOf(model, cell);
  return op && op[2] ? section("Op", element("p", { class: "doc" }, op[2])) : null;
}

// --- wires

function reads(scene, cell, actions) {
  const { model } = scene;
  if (isGroup(model, cell) && model.c.kind[cell] === GROUP) return groupReads(scene, cell, actions);
  const gone = new Map(), wires = readsOf(model, cell), states = readChangesOf(model, cell);
  wires.forEach((wire, i) => gone.set(wire, states[i]));
  const now = Array.from(rowOf(model.c.operands, model.c.operandsEnds, cell));
  const words = operandWords(opOf(model, cell), now.length);
  const list = now.map((wire, i) => wireItem(scene, wire, model.c.wireMaker[wire], words[i], gone.get(wire), actions));
  for (const wire of wires) {
    if (gone.get(wire) === 2 && !now.includes(wire)) list.push(wireItem(scene, wire, model.c.wireMaker[wire], "", 2, actions));
  }
  return list.length ? section("Reads", element("ul", { class: "wires" }, list)) : null;
}

function operandWords(op, count) {
  const words = op ? op[3].split(" ").filter(Boolean) : [];
  while (words.length && words.length < count) words.push(words[words.length - 1]);
  return words.map((word) => word.replace(/[*?]/g, ""));
}

function groupReads(scene, cell, actions) {
  const { model } = scene, seen = new Set(), list = [];
  for (let inner = cell; inner < model.end[cell] && list.length < 40; inner++) {
    for (const wire of readsOf(model, inner)) {
      const maker = model.c.wireMaker[wire];
      if (seen.has(wire) || maker >= model.outline || (maker >= cell && maker < model.end[cell])) continue;
      seen.add(wire);
      list.push(wireItem(scene, wire, maker, "", 0, actions));
    }
  }
  return list.length ? section("Reads", element("ul", { class: "wires" }, list)) : null;
}

function makes(scene, cell, actions) {
  const { model } = scene, list = [];
  const group = model.c.kind[cell] === GROUP, end = group ? model.end[cell] : cell + 1;
  for (let inner = cell; inner < end && list.length < 60; inner++) {
    for (const wire of makesOf(model, inner)) {
      const readers = Array.from(model.readers.of(wire)).filter((r) => !group || r < cell || r >= end);
      if (group && !readers.length) continue;
      list.push(wireItem(scene, wire, -1, "", 0, actions));
      for (const reader of readers.slice(0, 20)) list.push(readerItem(scene, reader, actions));
      if (readers.length > 20) list.push(element("li", { class: "soft" }, `and ${readers.length - 20} more`));
    }
  }
  return list.length ? section("Makes", element("ul", { class: "wires" }, list)) : null;
}

function wireItem(scene, wire, maker, word, change, actions) {
  const { model } = scene;
  return element("li", { class: change ? `change-${change}` : "" },
    change ? element("span", { class: "sign" }, SIGNS[change] + " ") : null,
    word ? element("span", { class: "operand" }, word) : null,
    maker < 0 ? null : cellLink(scene, maker, actions),
    typeWords(model, wire, actions));
}

function readerItem(scene, reader, actions) {
  return element("li", { class: "reader" }, "→ ", cellLink(scene, reader, actions));
}

function cellLink(scene, cell, actions) {
  const { model } = scene, op = opOf(model, cell), title = titleOf(model, cell);
  const { module } = originOf(model, cell);
  const soft = op && op[0] !== title ? op[0] : "";
  return element("button", { type: "button", class: "link", title: module, onclick: () => actions.select(cell, true) },
    title, soft ? element("span", { class: "soft" }, ` ${soft}`) : null);
}

export function typeWords(model, wire, actions) {
  const { dtype, axes } = typeOf(model, wire);
  return element("span", { class: "type" }, element("span", { class: "dtype" }, dtype), axes.map((axis) =>
    axis < 0 ? "?" : axisWord(model, axis, actions)));
}

export function axisWord(model, axis, actions) {
  return inAxisColour(element("button", { type: "button", class: "axis", title: "Follow this axis", onclick: () => actions.follow(axis) }, model.axes[axis][1]), axis);
}
