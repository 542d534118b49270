// The picture of information flow: tokens across, streams upwards, and the edges that lead to the
// token that was asked for. A node says what its stream would say, and what made it.

import { keepAddress, recalled } from "./address.js";
import { makeBars, percentOf } from "./bars.js";
import { button, contextOf, element, fill } from "./dom.js";
import { makeKeys } from "./keys.js";
import { axisColour, paletteOf } from "./palette.js";
import { isDark, makeBar, onKeys, onSelection, onTheme, say, show, tellSelection, views } from "./page.js";
import { MLP, MOVE, STAY, makeFlow, routesTo } from "./routes.js";
import { makeStrip, quoted, colourStrip, tokenWords } from "./strip.js";
import { written } from "./scales.js";
import { tableOf } from "./table.js";

const WIDE = 66, HIGH = 16, SIDE = 54, ABOVE = 30, BELOW = 40, NEAR = 13;
const HIGHEST = 0.4;
const KEYS = [["↑ ↓", "along the strongest edge"], ["← →", "to nodes beside"], ["Enter", "pick a node"], ["[ ]", "lower, higher threshold"], ["r", "make its token the root"], ["Esc", "let go"], ["?", "these keys"]];

views.set("flow", (root, facts, columns, page) => {
  const flow = makeFlow(facts, columns);
  const view = { root, page, flow, threshold: facts.threshold, target: flow.count - 1, node: null, hovered: null };
  recall(view);
  build(view);
  reroute(view);
  showTable(view, recalled(root).word("table") === "true");
  keepAddress(root, () => told(view));
  new ResizeObserver(() => draw(view)).observe(view.stage);
  onTheme(page, () => draw(view));
  onKeys(root, (event) => keyOf(view, event));
  onSelection(page, root, (selection) => hearSelection(view, selection));
  window.graftwork = { ...window.graftwork, flow: view };
});

function told(view) {
  const { target, threshold, node, frame } = view;
  return { root: target, above: threshold, ...node, table: !frame.hidden };
}

function recall(view) {
  const { word, number } = recalled(view.root), { flow } = view, above = Number(word("above")), root = number("root", flow.count);
  const level = number("level", flow.steps + 1), at = number("at", flow.count);
  if (root >= 0) view.target = root;
  if (above > 0 && above >= flow.floor && above <= HIGHEST) view.threshold = above;
  if (level >= 0 && at >= 0) view.node = { level, at };
}

function build(view) {
  const { flow, page } = view;
  view.canvas = element("canvas", { "aria-hidden": "true" });
  view.extent = element("div", { class: "extent" });
  view.tip = element("div", { class: "tip", role: "presentation", hidden: true });
  view.stage = element("div", {
    class: "flow-stage", tabindex: "0", role: "application", "aria-roledescription": "flow graph",
    "aria-label": "Information flow. Arrow keys walk along the routes, Enter picks.",
    onscroll: () => draw(view), onpointermove: (event) => hover(view, event), onpointerleave: () => hover(view, null),
    onclick: (event) => { const node = nodeAt(view, event); if (node) pick(view, node); },
  }, view.canvas, view.extent, view.tip);
  view.output = element("span", { class: "level" });
  view.slider = element("input", {
    type: "range", min: flow.floor, max: HIGHEST, step: 0.0025, value: view.threshold, "aria-label": "Threshold",
    oninput: () => { view.threshold = Number(view.slider.value); reroute(view); },
  });
  view.strip = makeStrip("Root token", flow.words, { point: () => {}, leave: () => {}, pick: (at) => retarget(view, at) });
  view.card = element("aside", { class: "said", "aria-label": "The node that is picked" });
  view.frame = element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": "Routes as a table", hidden: true });
  view.table = button("Table", "Show the routes as a table", () => showTable(view, view.frame.hidden), { "aria-pressed": "false" });
  view.keys = makeKeys(KEYS, "The first stream is at the bottom.");
  const legend = element("div", { class: "kinds" }, [[STAY, "stays"], [MOVE, "attention"], [MLP, "MLP"]].map(([kind, word]) => element("span", { class: kind }, word)));
  show(view.root, makeBar(page, flow.title, legend, element("label", { class: "threshold" }, "threshold", view.slider, view.output), element("div", { class: "tools" }, view.table, view.keys.opener)),
    element("div", { class: "roots" }, element("span", { class: "soft" }, "root"), view.strip.root),
    element("div", { class: "texts" }, view.stage, view.frame, view.card), view.keys.dialog);
}

// --- where things are

function xOf(at) {
  return SIDE + (at + 0.5) * WIDE;
}

function yOf({ flow }, level) {
  return ABOVE + (flow.steps - level) * HIGH;
}

function nodeAt(view, event) {
  const { stage, routes } = view, box = stage.getBoundingClientRect();
  const x = event.clientX - box.left + stage.scrollLeft, y = event.clientY - box.top + stage.scrollTop;
  let best = /** @type {{ level: number, at: number } | null} */ (null), nearest = NEAR;
  routes.levels.forEach((nodes, level) => {
    for (const at of nodes.keys()) {
      const far = Math.hypot(xOf(at) - x, yOf(view, level) - y);
      if (far < nearest) [best, nearest] = [{ level, at }, far];
    }
  });
  return best;
}

function bringNear(view, { level, at }) {
  const { stage } = view, x = xOf(at), y = yOf(view, level);
  stage.scrollLeft = Math.min(Math.max(stage.scrollLeft, x + WIDE - stage.clientWidth), x - WIDE);
  stage.scrollTop = Math.min(Math.max(stage.scrollTop, y + 60 - stage.clientHeight), y - 60);
}

// --- drawing

function draw(view) {
  const { stage, canvas, extent, flow, page } = view, width = stage.clientWidth, height = stage.clientHeight;
  if (!width || !height) return;
  const ratio = window.devicePixelRatio || 1, palette = paletteOf(isDark(page));
  extent.style.width = `${2 * SIDE + flow.count * WIDE}px`;
  extent.style.height = `${ABOVE + flow.steps * HIGH + BELOW}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = contextOf(canvas);
  context.setTransform(ratio, 0, 0, ratio, -stage.scrollLeft * ratio, -stage.scrollTop * ratio);
  context.font = '11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif';
  const colours = { [STAY]: palette.wire, [MOVE]: palette.accent, [MLP]: axisColour(palette, 2) };
  view.routes.levels.forEach((nodes, level) => drawEdges(context, view, nodes, level, colours));
  view.routes.levels.forEach((nodes, level) => drawNodes(context, view, nodes, level, palette));
  drawLabels(context, view, palette);
  stage.dataset.edges = view.routes.edges;
}

function drawEdges(context, view, nodes, level, colours) {
  const { node } = view;
  for (const [at, parts] of nodes) {
    for (const { kind, from, weight } of parts) {
      const near = !node || (node.level === level && node.at === at) || (node.level === level - 1 && node.at === from);
      context.strokeStyle = colours[kind];
      context.globalAlpha = near ? 0.9 : 0.28;
      context.lineWidth = 0.6 + 5 * weight;
      const x = xOf(from), to = xOf(at), y = yOf(view, level - 1), high = yOf(view, level), bend = kind === MLP ? 10 : 0;
      context.beginPath();
      context.moveTo(x, y);
      context.bezierCurveTo(x + bend, y - HIGH * 0.5, to + bend, high + HIGH * 0.5, to, high);
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function drawNodes(context, view, nodes, level, palette) {
  for (const at of nodes.keys()) {
    const picked = isAt(view.node, level, at), hovered = isAt(view.hovered, level, at);
    context.beginPath();
    context.arc(xOf(at), yOf(view, level), picked ? 6 : hovered ? 5 : 2.6, 0, 2 * Math.PI);
    context.fillStyle = picked || hovered ? "#ffb000" : palette.soft;
    context.fill();
  }
}

function isAt(node, level, at) {
  return node !== null && node.level === level && node.at === at;
}

function drawLabels(context, view, palette) {
  const { flow, stage, target } = view, bottom = ABOVE + flow.steps * HIGH;
  const cut = (word) => { const text = word.trim() || "␣"; return text.length > 9 ? `${text.slice(0, 8)}…` : text; };
  context.textAlign = "center";
  flow.words.forEach((word, at) => {
    context.fillStyle = at === target ? palette.text : palette.soft;
    context.fillText(`${at}`, xOf(at), bottom + 32);
    context.fillText(cut(word), xOf(at), bottom + 19);
    if (at === target) context.fillText(cut(word), xOf(at), 16);
  });
  context.textAlign = "left";
  context.fillStyle = palette.soft;
  flow.streams.forEach(([name], level) => {
    const found = /blocks\.(\d+)\.resid_pre$/.exec(name);
    if (found) context.fillText(found[1], stage.scrollLeft + 8, yOf(view, level) + 4);
  });
}

// --- doing

function reroute(view) {
  view.routes = routesTo(view.flow, view.target, view.threshold);
  if (view.node && !view.routes.levels[view.node.level].has(view.node.at)) view.node = null;
  view.output.textContent = `${written(view.threshold)} · ${view.routes.edges} edges`;
  view.slider.setAttribute("aria-valuetext", view.output.textContent);
  colourStrip(view.strip, (at) => ({ rgb: null, note: "", state: at === view.target ? "held" : "" }));
  if (!view.frame.hidden) fillTable(view);
  refreshCard(view);
  draw(view);
}

function retarget(view, at) {
  view.target = at;
  reroute(view);
  say(view.page, `Routes to ${at} ${quoted(view.flow.words[at])}: ${view.routes.edges} edges`);
}

function raise(view, by) {
  view.threshold = Math.round(400 * Math.max(view.flow.floor, Math.min(HIGHEST, view.threshold + by))) / 400;
  view.slider.value = view.threshold;
  reroute(view);
  say(view.page, `Threshold ${view.output.textContent}`);
}

function showTable(view, shown) {
  view.frame.hidden = !shown;
  view.stage.hidden = shown;
  view.table.setAttribute("aria-pressed", String(shown));
  if (shown) fillTable(view);
}

// The streams from the last one down, and the tokens that the routes come by: what each node is made of.
function fillTable(view) {
  const { flow, frame, routes: { levels }, target } = view, reached = [...new Set(levels.flatMap((nodes) => [...nodes.keys()]))].sort((a, b) => a - b);
  fill(frame, tableOf({
    label: `Routes to ${target} ${quoted(flow.words[target])} above ${written(view.threshold)}: what each stream is made of`,
    rows: { name: "stream", labels: flow.streams.map(([name]) => name).reverse() },
    columns: { name: "token", labels: reached.map((at) => `${at} ${flow.words[at].trim() || "␣"}`) },
    said: (row, column) => madeOf(flow, levels[flow.steps - row].get(reached[column])),
  }));
}

// What a node is made of, the most first; nothing where there is none.
function madeOf(flow, parts) {
  if (!parts) return "";
  const name = ({ kind, from }) => ({ [STAY]: "stays", [MLP]: "MLP", [MOVE]: `from ${from} ${quoted(flow.words[from])}` })[kind];
  return [...parts].sort((a, b) => b.weight - a.weight).map((part) => `${percentOf(part.weight)} ${name(part)}`).join(", ") || "reached";
}

function hover(view, event) {
  const node = event ? nodeAt(view, event) : null, { tip, stage } = view;
  if (node?.level === view.hovered?.level && node?.at === view.hovered?.at) return;
  view.hovered = node;
  tip.hidden = !node;
  if (node) {
    const box = stage.getBoundingClientRect();
    tip.textContent = describe(view, node);
    tip.style.left = `${stage.scrollLeft + Math.min(event.clientX - box.left + 14, stage.clientWidth - 240)}px`;
    tip.style.top = `${stage.scrollTop + Math.min(event.clientY - box.top + 14, stage.clientHeight - 60)}px`;
  }
  draw(view);
}

function describe(view, { level, at }) {
  const { flow } = view, [best] = sayings(flow, level, at);
  return `${flow.streams[level][0]}, ${at} ${quoted(flow.words[at])}: says ${quoted(best.word)} ${percentOf(best.share)}`;
}

function pick(view, node) {
  view.node = node;
  bringNear(view, node);
  refreshCard(view);
  draw(view);
  say(view.page, describe(view, node));
  const site = view.flow.streams[node.level][1];
  tellSelection(view.page, view.root, { site, layer: layerOf(site), seq: node.at });
}

function layerOf(path) {
  const found = /(?:^|\.)blocks\.(\d+)\./.exec(path);
  return found ? Number(found[1]) : -1;
}

function walk(view, direction) {
  const { routes, flow } = view, { levels } = routes;
  if (!view.node) return pick(view, { level: flow.steps, at: view.target });
  const { level, at } = view.node, parts = levels[level].get(at);
  if (direction === "down" && parts.length) {
    const best = parts.reduce((a, b) => (b.weight > a.weight ? b : a));
    pick(view, { level: level - 1, at: best.from });
  } else if (direction === "up" && level < flow.steps) {
    let best = null, most = -1;
    for (const [above, its] of levels[level + 1]) for (const part of its) if (part.from === at && part.weight > most) [best, most] = [above, part.weight];
    if (best !== null) pick(view, { level: level + 1, at: best });
  } else if (direction === "left" || direction === "right") {
    const beside = [...levels[level].keys()].sort((a, b) => a - b), next = beside[beside.indexOf(at) + (direction === "left" ? -1 : 1)];
    if (next !== undefined) pick(view, { level, at: next });
  }
}

function keyOf(view, event) {
  const onStage = event.target === view.stage || event.target === document.body;
  const ways = { ArrowDown: "down", ArrowUp: "up", ArrowLeft: "left", ArrowRight: "right", Enter: null };
  if (onStage && event.key in ways) return () => (event.key === "Enter" ? pick(view, view.node ?? { level: view.flow.steps, at: view.target }) : walk(view, ways[event.key]));
  return {
    "[": () => raise(view, -0.01), "]": () => raise(view, 0.01), "?": () => view.keys.dialog.showModal(),
    r: () => retarget(view, view.node?.at ?? view.target), Escape: () => { view.node = null; refreshCard(view); draw(view); },
  }[event.key];
}

function hearSelection(view, { site, seq }) {
  const level = view.flow.streams.findIndex(([, name]) => name === site);
  if (level < 0 || !Number.isInteger(seq) || !view.routes.levels[level].has(seq)) return;
  view.node = { level, at: seq };
  bringNear(view, view.node);
  refreshCard(view);
  draw(view);
}

// --- the card of a node

function sayings(flow, level, at) {
  return Array.from({ length: flow.top }, (_, i) => {
    const cell = (level * flow.count + at) * flow.top + i, share = flow.sayShares[cell];
    return { word: flow.strings[flow.said[cell]], share, text: percentOf(share) };
  });
}

function refreshCard(view) {
  const { card, flow, node, routes } = view;
  if (!node) {
    return fill(card, element("h3", {}, "No node is picked"),
      element("p", { class: "soft" }, "Each dot is the residual stream at a token; the first is at the bottom. Lines are what it is made of. Click a dot, or press an arrow key."));
  }
  const { level, at } = node, parts = [...routes.levels[level].get(at)].sort((a, b) => b.weight - a.weight);
  fill(card, element("h3", {}, tokenWords(flow.words[at]), element("span", { class: "soft" }, `  ${at}`)),
    element("p", { class: "soft" }, flow.streams[level][0]),
    button("Make this token the root", "Show the routes to this token (r)", () => retarget(view, at), { class: "copy" }),
    element("h4", {}, "this stream would say"), makeBars("This stream would say", sayings(flow, level, at)),
    parts.length ? element("h4", {}, "it is made of") : null, element("ul", { class: "parts" }, parts.map((part) => partItem(view, part))),
    neuronList(view));
}

function partItem(view, part) {
  const { flow } = view, word = { [STAY]: "the stream before", [MLP]: "the MLP", [MOVE]: "attention to" }[part.kind];
  return element("li", { class: part.kind }, element("div", { class: "part" },
    element("span", {}, word, part.kind === MOVE ? [" ", element("b", {}, tokenWords(flow.words[part.from])), element("span", { class: "soft" }, ` ${part.from}`)] : null),
    element("b", {}, percentOf(part.weight))),
    part.heads ? [...part.heads].sort((a, b) => b.weight - a.weight).map((head) => headItem(view, part, head)) : null);
}

// A head: pressing it shows its map in the picture of attention on the same page.
function headItem(view, part, { head, weight }) {
  const { flow, node: { level, at } } = view, path = flow.attentions[level - 1], writer = flow.writers.get(`${level - 1} ${at} ${head}`);
  const tell = () => {
    tellSelection(view.page, view.root, { site: `${path}.pattern`, layer: layerOf(`${path}.`), heads: head, seq: at, kv_seq: part.from });
    say(view.page, `Head ${head} of ${path} is marked in the other pictures`);
  };
  return element("div", { class: "of-part" }, button(`head ${head}`, `Show head ${head} of ${path}`, tell, { class: "copy" }),
    element("span", { class: "soft" }, percentOf(weight)), promoted(flow, flow.writerWords, writer, flow.promoted));
}

function promoted(flow, words, row, count) {
  if (row === undefined || !count) return null;
  return element("span", { class: "promoted" }, "→ ", Array.from({ length: count }, (_, i) => [i ? ", " : "", ...tokenWords(flow.strings[words[row * count + i]])]).flat());
}

function neuronList({ flow, node: { level, at } }) {
  const row = level > 0 ? flow.neuronRows.get(level - 1) : undefined, { neurons, promoted: count } = flow;
  if (row === undefined || !neurons) return null;
  const first = (row * flow.count + at) * neurons;
  return element("section", {}, element("h4", {}, "neurons that write most, and what they promote"),
    element("ul", { class: "parts" }, Array.from({ length: neurons }, (_, i) => element("li", { class: MLP },
      element("div", { class: "part" }, element("span", {}, `neuron ${flow.neuron[first + i]}`), element("b", {}, written(flow.neuronSize[first + i]))),
      element("div", { class: "of-part" }, promoted(flow, flow.neuronWords, first + i, count))))));
}
