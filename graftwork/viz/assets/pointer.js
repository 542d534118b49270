// Pointers on the stage of a graph: moving and zooming it, picking cells, and what is under them.

import { isStub, titleOf } from "./data.js";
import { panBy, zoomAt } from "./camera.js";
import { hitTest, shownAs, wireAt } from "./scene.js";
import { element, fill } from "./dom.js";
import { placeIn } from "./panes.js";
import { typeWords } from "./inspector.js";
import { TITLE, shorten } from "./measure.js";

const MOST_LETTERS = 400;

export function listenToPointers(app) {
  const { stage } = app;
  stage.addEventListener("wheel", (event) => onStageWheel(app, event), { passive: false });
  stage.addEventListener("pointerdown", (event) => onPress(app, event));
  stage.addEventListener("pointermove", (event) => onMove(app, event));
  stage.addEventListener("pointerleave", () => hover(app, -1, -1));
  stage.addEventListener("dblclick", (event) => onDouble(app, event));
}

function worldPoint(app, event) {
  const { side, x, y } = placeIn(app, event), { camera } = app;
  return { side, x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale };
}

function onStageWheel(app, event) {
  event.preventDefault();
  const { x, y } = placeIn(app, event), unit = event.deltaMode === 1 ? 24 : 1;
  if (event.ctrlKey || event.metaKey) zoomAt(app.camera, Math.exp(-event.deltaY * unit * 0.004), x, y);
  else if (event.shiftKey && !event.deltaX) panBy(app.camera, -event.deltaY * unit, 0);
  else panBy(app.camera, -event.deltaX * unit, -event.deltaY * unit);
}

function onPress(app, event) {
  if (event.button > 1) return;
  app.press = { x: event.clientX, y: event.clientY, moved: false };
  app.stage.setPointerCapture(event.pointerId);
  const release = () => {
    app.stage.removeEventListener("pointerup", release);
    app.stage.removeEventListener("pointercancel", release);
    const { moved } = app.press;
    app.press = null;
    app.stage.classList.remove("dragging");
    if (!moved) onClick(app, event);
  };
  app.stage.addEventListener("pointerup", release);
  app.stage.addEventListener("pointercancel", release);
}

function onMove(app, event) {
  const { press } = app;
  if (!press) return onHover(app, event);
  const dx = event.clientX - press.x, dy = event.clientY - press.y;
  if (!press.moved && Math.hypot(dx, dy) < 4) return;
  app.stage.classList.add("dragging");
  app.press = { x: event.clientX, y: event.clientY, moved: true };
  panBy(app.camera, dx, dy);
}

function onClick(app, event) {
  const { side, x, y } = worldPoint(app, event), found = hitTest(app.scene, side, x, y);
  if (found?.toggle) return app.actions.toggle(found.cell);
  app.actions.select(found ? (found.row ? found.row.cell : found.cell) : -1);
  if (found?.row && !isStub(app.model, found.row.cell)) app.actions.look(shownAs(app.scene, found.row.cell));
}

function onDouble(app, event) {
  const { side, x, y } = worldPoint(app, event), found = hitTest(app.scene, side, x, y);
  if (found && !found.toggle) app.actions.toggle(found.cell, event.shiftKey);
}

function onHover(app, event) {
  const { side, x, y } = worldPoint(app, event), found = hitTest(app.scene, side, x, y);
  const wire = found && !found.box.inner ? (found.row?.wire ?? -1) : wireAt(app.scene, side, x, y, 6 / app.camera.scale);
  const cell = found && !found.box.inner ? found.cell : -1;
  app.stage.classList.toggle("pointing", Boolean(found && (!found.box.inner || found.toggle)));
  hover(app, cell, wire, event);
}

function hover(app, cell, wire, event) {
  const { scene } = app;
  showTip(app, cell, wire, event);
  if (scene.hovered === cell && scene.hoveredWire === wire) return;
  scene.hovered = cell;
  scene.hoveredWire = wire;
  app.actions.redraw();
}

// What a wire is, or the title of a box that is too long for it.
function showTip(app, cell, wire, event) {
  const { tip, model } = app, title = wire < 0 && cell > 0 ? titleOf(model, cell) : "";
  tip.hidden = !event || (wire < 0 && title.length <= TITLE);
  if (tip.hidden) return;
  fill(tip, ...(wire < 0 ? [shorten(title, MOST_LETTERS)] : wireWords(placeIn(app, event).side.model, wire, app.actions)));
  const { left, top } = app.stage.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX - left + 14, app.stage.clientWidth - 280)}px`;
  tip.style.top = `${event.clientY - top + 16}px`;
}

function wireWords(model, wire, actions) {
  const maker = titleOf(model, model.c.wireMaker[wire]), name = model.strings[model.c.wireName[wire]];
  return [element("b", {}, maker), name && name !== maker ? element("span", { class: "soft" }, ` %${name}`) : null, element("br"), typeWords(model, wire, actions)];
}
