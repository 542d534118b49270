// The search of a graph: its field, the list of hits under it, and their marks in the scene.

import { originOf, titleOf } from "./data.js";
import { grouped, shorten } from "./measure.js";
import { shownAs } from "./scene.js";
import { find } from "./search.js";
import { element, fill } from "./dom.js";

export function listenToQuery(app) {
  const { query } = app;
  query.addEventListener("input", () => search(app));
  query.addEventListener("focus", () => listHits(app));
  query.addEventListener("blur", () => { app.hitList.hidden = true; });
  query.addEventListener("keydown", (event) => onQueryKey(app, event));
}

export function search(app) {
  const { scene, model } = app;
  scene.hits = find(model, app.query.value);
  markHits(scene);
  app.at = -1;
  app.count.textContent = app.query.value.trim() ? grouped(scene.hits.length) : "";
  listHits(app);
  app.actions.redraw();
}

// Marks hits, or the closed groups that hide them.
export function markHits(scene) {
  scene.hitSet = new Set(scene.hits.slice(0, 2000).map((cell) => shownAs(scene, cell)));
}

function listHits(app) {
  const { scene, model, hitList, query } = app, shown = scene.hits.slice(0, 30);
  hitList.hidden = !shown.length || document.activeElement !== query;
  query.setAttribute("aria-expanded", String(!hitList.hidden));
  fill(hitList, shown.map((cell, i) => element("div", {
    class: "hit", role: "option", id: `hit-${i}`, "aria-selected": String(i === app.at),
    onmousedown: (event) => { event.preventDefault(); app.actions.select(cell, true); hitList.hidden = true; },
  }, element("span", { class: "name" }, shorten(titleOf(model, cell), 120)),
    element("span", { class: "soft" }, shorten(originOf(model, cell).module, 120)))));
  if (app.at >= 0) query.setAttribute("aria-activedescendant", `hit-${app.at}`);
  else query.removeAttribute("aria-activedescendant");
}

function onQueryKey(app, event) {
  const { scene } = app;
  const last = Math.min(scene.hits.length, 30) - 1;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    app.at = Math.max(0, Math.min(last, app.at + (event.key === "ArrowDown" ? 1 : -1)));
    listHits(app);
    event.preventDefault();
  } else if (event.key === "Enter" && scene.hits.length) {
    app.actions.select(scene.hits[Math.max(0, app.at)], true);
    app.hitList.hidden = true;
    app.stage.focus();
  } else if (event.key === "Escape") {
    app.query.value = "";
    search(app);
    app.stage.focus();
  }
}
