// The picture of a graph: builds its parts, and joins keys and panels to the scene.

import { boxOf, isGroup, isStub, makeModel, originOf, sitesOf, titleOf, WORDS } from "./data.js";
import { shorten } from "./measure.js";
import { paletteOf } from "./palette.js";
import { easeTo, fitting, makeCamera, moveTo, panBy, showing, zoomAt } from "./camera.js";
import { firstChild, firstMaker, firstReader, isKept, makeScene, neighbour, rectOf, reveal, setCone, setOpen, setOpenAll, shownAs } from "./scene.js";
import { makeTintScale, refreshTintScale } from "./tint.js";
import { makeLife, refreshLife } from "./life.js";
import { paint } from "./paint.js";
import { listenToQuery, markHits, search } from "./finder.js";
import { listenToPointers } from "./pointer.js";
import { button, contextOf, element, fill } from "./dom.js";
import { makeOutline, refreshOutline, scrollOutlineTo } from "./outline.js";
import { makeInspector, refreshInspector } from "./inspector.js";
import { forcedPalette, onForced } from "./forced.js";
import { svgOf } from "./export.js";
import { recallState, rememberState } from "./state.js";
import { isDark, onKeys, onSave, onSelection, onTheme, say, show, tellSelection, themeButton, views } from "./page.js";
import { makeHelp, makeLegend, refreshLegend } from "./legend.js";
import { paneWidth, sidesOf } from "./panes.js";
import { changedCells, countsOf, differenceOf, goToStep, makeChanges, makeSteps, refreshSteps } from "./steps.js";

views.set("graph", (root, facts, columns, page) => {
  const model = makeModel(facts, columns), scene = makeScene(model);
  const app = { root, page, model, scene, size: { width: 0, height: 0, ratio: 1 }, fitted: false, pending: 0, at: -1, from: -1 };
  app.camera = makeCamera(() => redraw(app));
  app.actions = {
    select: (cell, show) => select(app, cell, show),
    toggle: (cell, all) => toggle(app, cell, all),
    look: (cell) => lookAt(app, cell),
    redraw: () => redraw(app),
    follow: (axis) => follow(app, axis),
    cone: (which) => showCone(app, which),
    step: (number) => toStep(app, number),
    next: (by) => step(app, by),
    changes: () => showChanges(app),
    apart: () => setApart(app, !scene.apart),
    find: (words) => findWords(app, words),
    mark: (cells) => mark(app, cells),
  };
  app.wanted = recallState(app);
  build(app);
  listen(app);
  refreshOutline(app.outline);
  refreshCut(app);
  refreshDifference(app);
  refreshLegend(app.legend, scene);
  refreshLife(app.life, scene, app.actions);
  window.graftwork = { scene, camera: app.camera, frames: 0, app };
});

// --- parts

function build(app) {
  const { model, scene, actions } = app;
  app.canvas = element("canvas", { "aria-hidden": "true" });
  app.stage = element("div", {
    class: "stage", tabindex: "0", role: "application", "aria-roledescription": "graph",
    "aria-label": `${model.title}. Arrow keys walk along the graph, Enter opens, question mark helps.`,
  }, app.canvas);
  app.tip = element("div", { class: "tip", role: "presentation", hidden: true });
  app.outline = makeOutline(scene, actions);
  app.inspector = makeInspector(scene, actions);
  app.legend = makeLegend(scene, actions);
  app.help = makeHelp(() => app.help.close());
  app.side = element("nav", { class: "side", "aria-label": "Outline" }, app.outline.list);
  app.drawer = model.difference ? element("div", { class: "drawer difference", hidden: true }) : null;
  app.steps = makeSteps(scene, actions);
  app.changes = makeChanges(scene, actions, app.drawer);
  app.scale = makeTintScale(model);
  app.cut = element("div", { class: "cut", role: "group", "aria-label": "Only a part", hidden: true });
  app.life = makeLife();
  app.keys = element("div", { class: "keys" }, app.scale, app.life, app.legend);
  const center = element("div", { class: "center" }, app.stage, zoomButtons(app), app.keys, app.cut, app.tip, app.drawer);
  show(app.root, header(app), app.steps?.bar ?? "", element("div", { class: "main" }, app.side, center, app.inspector.panel), app.help);
}

function header(app) {
  const { model } = app;
  app.query = element("input", {
    type: "search", placeholder: "Search  /", "aria-label": "Search", autocomplete: "off", spellcheck: "false",
    role: "combobox", "aria-expanded": "false", "aria-controls": "hits",
  });
  app.count = element("span", { class: "count", "aria-live": "polite" });
  app.hitList = element("div", { class: "hits", id: "hits", role: "listbox", "aria-label": "Hits", hidden: true });
  return element("header", { class: "bar" },
    button("☰", "Outline", () => { app.side.hidden = !app.side.hidden; }, { class: "icon" }),
    element("h2", {}, model.title.split(":")[0]),
    app.changes?.bar,
    element("div", { class: "search" }, app.query, app.count, app.hitList),
    element("div", { class: "tools" },
      button("Open all", "Open all groups", () => everything(app, true)),
      button("Close all", "Close all groups", () => everything(app, false)),
      themeButton(app.page),
      button("?", "Help", () => app.help.showModal(), { class: "icon" })));
}

function zoomButtons(app) {
  const zoom = (factor) => zoomAt(app.camera, factor, app.size.width / 2, app.size.height / 2);
  return element("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
    button("+", "Nearer (+)", () => zoom(1.3)), button("−", "Farther (−)", () => zoom(1 / 1.3)),
    button("⤢", "Fit into sight (f)", () => fit(app)));
}

// --- drawing

// Draws soon; in a frame that is not shown no animation frame comes, so a timer does as well.
function redraw(app) {
  if (app.pending) return;
  const now = () => {
    if (!app.pending) return;
    cancelAnimationFrame(app.pending);
    clearTimeout(app.timer);
    app.pending = 0;
    drawNow(app);
  };
  app.pending = requestAnimationFrame(now);
  app.timer = setTimeout(now, 60);
}

const paletteNow = (app) => forcedPalette() ?? paletteOf(isDark(app.page));

function drawNow(app) {
  if (!app.size.width || !app.size.height) return;
  window.graftwork.boxes = paint(contextOf(app.canvas), app.scene, app.camera, paletteNow(app), app.size);
  window.graftwork.frames++;
}

function resize(app) {
  const { width: whole, height } = app.stage.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const width = whole / sidesOf(app.scene).length;
  app.size = { width, height, ratio };
  app.canvas.width = Math.round(whole * ratio);
  app.canvas.height = Math.round(height * ratio);
  if (!width || !height) return;
  if (app.fitted) return drawNow(app);
  firstLook(app);
  if (app.wanted > 0) select(app, app.wanted, true);
}

// Whole if that can be read; else its beginning.
function firstLook(app) {
  app.fitted = true;
  refreshTintScale(app.scale, app.scene);
  const whole = /** @type {{ width: number, height: number }} */ (rectOf(app.scene, 0)), goal = fitting(whole, app.size);
  const scale = Math.max(goal.scale, Math.min(1, (app.size.width - 48) / whole.width));
  const top = scale > goal.scale ? 16 : goal.y;
  moveTo(app.camera, { scale, x: (app.size.width - whole.width * scale) / 2, y: top });
  drawNow(app);
}

function fit(app) {
  const { scene } = app;
  const rect = scene.selected > 0 && scene.open.has(scene.selected) ? rectOf(scene, shownAs(scene, scene.selected)) : null;
  easeTo(app.camera, fitting(rect ?? rectOf(scene, 0), app.size, 1.2));
}

// --- doing

function refresh(app) {
  rememberState(app);
  markHits(app.scene);
  refreshTintScale(app.scale, app.scene);
  refreshOutline(app.outline);
  redraw(app);
}

function select(app, cell, show = false) {
  const { scene, model } = app;
  if (cell === 0) cell = -1;
  scene.selected = cell;
  if (app.from >= 0 && cell >= 0 && cell !== app.from) return showBetween(app, app.from, cell);
  if (cell >= 0 && !isKept(scene, boxOf(model, cell))) cut(app, null, "");
  refreshInspector(app.inspector);
  if (cell >= 0 && show) {
    if (reveal(scene, cell)) markHits(scene);
    lookAt(app, boxOf(model, cell));
  }
  refreshOutline(app.outline);
  rememberState(app);
  if (cell >= 0) {
    scrollOutlineTo(app.outline, boxOf(model, cell));
    sayCell(app, cell);
    tellSelection(app.page, app.root, { site: sitesOf(model, cell)[0] });
  }
  redraw(app);
}

// What another picture selected.
function selectSite(app, site) {
  const { model, scene } = app;
  for (let cell = 0; cell < model.count; cell++) {
    if (!sitesOf(model, cell).includes(site)) continue;
    scene.selected = cell;
    reveal(scene, cell);
    refreshInspector(app.inspector);
    lookAt(app, boxOf(model, cell));
    return refresh(app);
  }
}

function lookAt(app, cell) {
  const rect = rectOf(app.scene, cell);
  app.size.width = paneWidth(app);
  // above the legends
  const free = { ...app.size, height: app.size.height - app.keys.clientHeight };
  if (rect && app.size.width) easeTo(app.camera, showing(app.camera, rect, free));
}

function sayCell(app, cell) {
  const { model, scene } = app, change = model.c.change[cell];
  const state = isGroup(model, cell) ? (scene.open.has(cell) ? ", open" : ", closed") : "";
  say(app.page, `${titleOf(model, cell)}${change ? `, ${WORDS[change]}` : ""}${state}, ${originOf(model, cell).module}`);
}

// Opens or closes a group, and keeps it where it was on the screen.
function toggle(app, cell, all = false) {
  const { scene } = app;
  if (!isGroup(app.model, cell) || cell === 0) return;
  const before = rectOf(scene, cell), open = !scene.open.has(cell);
  if (all) setOpenAll(scene, cell, open);
  else setOpen(scene, cell, open);
  keepPlace(app, cell, before);
  refresh(app);
  sayCell(app, cell);
}

function keepPlace(app, cell, before) {
  const after = rectOf(app.scene, cell), { camera } = app;
  if (!before || !after) return;
  const middle = (rect) => rect.x + rect.width / 2;
  moveTo(camera, {
    x: camera.x + (middle(before) - middle(after)) * camera.scale,
    y: camera.y + (before.y - after.y) * camera.scale,
  });
}

// Shows only what leads to the selected place, what follows it, or what is between it and the
// place that is selected next.
function showCone(app, which) {
  const { scene, model } = app, cell = scene.selected;
  if (cell <= 0 || isStub(model, cell)) return;
  const title = shorten(titleOf(model, cell), 40);
  if (which === "up") cut(app, { below: [cell] }, `Only what leads to ${title}`);
  if (which === "down") cut(app, { above: [cell] }, `Only what follows ${title}`);
  if (which === "between") {
    app.from = cell;
    refreshCut(app, `Between ${title} and … select another place`);
    say(app.page, "Select another place");
  }
}

// Shows only what changed and what is around it, with each press one step farther.
function showChanges(app) {
  if (!app.model.difference) return;
  const near = (app.scene.cone?.near ?? 0) + 1;
  cut(app, { near }, `Only what changed, and ${near === 1 ? "what it reads and feeds" : `what is up to ${near} steps from it`}`);
}

function showBetween(app, from, to) {
  const { model } = app, ends = [from, to].map((end) => boxOf(model, end)).sort((a, b) => a - b);
  app.from = -1;
  cut(app, { above: [ends[0]], below: [ends[1]] }, `Only between ${ends.map((end) => shorten(titleOf(model, end), 40)).join(" and ")}`);
  select(app, to, true);
}

function cut(app, cone, words) {
  app.from = -1;
  setCone(app.scene, cone);
  refreshCut(app, words);
  refresh(app);
  if (app.fitted) firstLook(app);
  if (words) say(app.page, words);
}

// What the picture is cut to, in words, and the way back.
function refreshCut(app, words = "Only what is between two places") {
  const { cone } = app.scene;
  app.cut.hidden = !cone && app.from < 0;
  fill(app.cut, element("span", { class: "name" }, words), button("Show all", "Show the whole graph (Esc)", () => cut(app, null, "")));
}

function everything(app, open) {
  setOpenAll(app.scene, 0, open);
  refresh(app);
  firstLook(app);
}

function follow(app, axis) {
  app.scene.axis = app.scene.axis === axis ? -1 : axis;
  refreshLegend(app.legend, app.scene);
  refreshLife(app.life, app.scene, app.actions);
  rememberState(app);
  redraw(app);
}

// To the next hit of the search; without a search, to the next change.
function step(app, by) {
  const { scene, model } = app;
  const cells = scene.hits.length ? scene.hits : changedCells(model);
  if (!cells.length) return;
  const found = cells.indexOf(scene.selected), at = found >= 0 ? found : by > 0 ? -1 : 0;
  select(app, cells[(at + by + cells.length) % cells.length], true);
}

function refreshDifference(app) {
  if (!app.model.difference) return;
  fill(app.drawer, differenceOf(app.model));
  fill(app.changes.counts, countsOf(app.model));
  refreshSteps(app.steps);
}

// Shows what another pass did; what is not there in it is selected no more.
function toStep(app, number) {
  const { scene, model } = app;
  if (!goToStep(scene, number)) return;
  refreshDifference(app);
  refreshLife(app.life, scene, app.actions);
  if (scene.selected >= 0 && model.absent?.[scene.selected]) scene.selected = -1;
  refreshInspector(app.inspector);
  search(app);
  refresh(app);
  say(app.page, `${model.difference.name}: ${app.changes.counts.textContent}`);
}

// Before and after in two panes, or in one picture; what was in the middle stays there.
function setApart(app, apart) {
  if (!app.model.difference) return;
  const { width } = app.size;
  app.scene.apart = apart;
  app.changes.sides.setAttribute("aria-pressed", String(apart));
  resize(app);
  panBy(app.camera, (app.size.width - width) / 2, 0);
  rememberState(app);
  say(app.page, apart ? "Before and after, side by side" : "Before and after in one picture");
}

// Marks cells as if a search had found them, and goes to the first.
function mark(app, cells) {
  app.scene.hits = cells;
  markHits(app.scene);
  step(app, 1);
}

function findWords(app, words) {
  app.query.value = words;
  search(app);
  step(app, 1);
}

// --- keys

function listen(app) {
  new ResizeObserver(() => resize(app)).observe(app.stage);
  listenToPointers(app);
  listenToQuery(app);
  onKeys(app.root, (event) => keyActions(app, event)[event.key]);
  onTheme(app.page, () => redraw(app));
  onForced(() => redraw(app));
  onSave(app.page, app.root, () => svgOf(app.scene, paletteNow(app)));
  onSelection(app.page, app.root, ({ site }) => site && selectSite(app, site));
}

function keyActions(app, event) {
  const { scene, model, camera, size } = app, cell = scene.selected;
  const from = cell < 0 ? -1 : shownAs(scene, cell);
  const go = (to) => to >= 0 && select(app, to, true);
  const begin = () => go(firstChild(scene, 0));
  const zoom = (factor) => zoomAt(camera, factor, size.width / 2, size.height / 2);
  const open = () => from >= 0 && toggle(app, from, event.shiftKey);
  return {
    ArrowDown: () => (from < 0 ? begin() : go(scene.open.has(from) ? firstChild(scene, from) : firstReader(scene, from))),
    ArrowUp: () => (from < 0 ? begin() : go(firstMaker(scene, from))),
    ArrowLeft: () => (from < 0 ? begin() : go(neighbour(scene, from, -1))),
    ArrowRight: () => (from < 0 ? begin() : go(neighbour(scene, from, 1))),
    Enter: open, " ": open,
    Backspace: () => from >= 0 && go(model.c.parent[from]),
    "/": () => { app.query.focus(); app.query.select(); },
    n: () => step(app, 1), p: () => step(app, -1), f: () => fit(app),
    0: () => easeTo(camera, { scale: 1, x: size.width / 2 - (size.width / 2 - camera.x) / camera.scale, y: size.height / 2 - (size.height / 2 - camera.y) / camera.scale }),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    a: () => follow(app, scene.axis + 1 < model.axes.length ? scene.axis + 1 : scene.axis),
    u: () => showCone(app, "up"), d: () => showCone(app, "down"), b: () => showCone(app, "between"), c: () => showChanges(app), s: () => app.actions.apart(),
    "[": () => toStep(app, app.model.number - 1), "]": () => toStep(app, app.model.number + 1),
    "?": () => app.help.showModal(),
    Escape: () => escape(app),
  };
}

function escape(app) {
  const { scene } = app;
  if (scene.axis >= 0) follow(app, scene.axis);
  else if (scene.cone || app.from >= 0) cut(app, null, "");
  else if (scene.hits.length) {
    app.query.value = "";
    search(app);
  } else select(app, -1);
}
