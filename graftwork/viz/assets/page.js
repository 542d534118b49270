// What the pictures of a page share: light or dark, a voice for screen readers, and what is selected.

import { button, element } from "./dom.js";

// kind -> (root, facts, columns, page, chunks): fills a section with a picture; chunks are what
// it inflates when it is looked at.
export const views = new Map();

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

export function makePage() {
  const voice = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  document.body.append(voice);
  const page = { theme: null, voice, painters: [], listeners: [], drawings: new Map(), selection: {} };
  prefersDark.addEventListener("change", () => repaint(page));
  if (parent !== window) joinParent(page);
  return page;
}

// Every picture is there.
export function ready() {
  document.body.setAttribute("data-ready", "");
  if (parent !== window) parent.postMessage({ ready: true }, "*");
}

export function say(page, text) {
  page.voice.textContent = text;
}

// --- light and dark

export function isDark(page) {
  return page.theme === null ? prefersDark.matches : page.theme === "dark";
}

export function onTheme(page, paint) {
  page.painters.push(paint);
}

function repaint(page) {
  for (const paint of page.painters) paint();
}

export function themeButton(page) {
  const swap = () => {
    page.theme = isDark(page) ? "light" : "dark";
    document.documentElement.setAttribute("data-theme", page.theme);
    repaint(page);
  };
  return button("◐", "Light or dark", swap, { class: "icon" });
}

// --- one selection for all pictures: { site, and axis name -> position }

export function onSelection(page, root, hear) {
  page.listeners.push({ root, hear });
}

// Says to the other pictures what was selected in `root`.
export function tellSelection(page, root, selection) {
  page.selection = selection;
  for (const listener of page.listeners) if (listener.root !== root) listener.hear(selection);
}

// In a frame, what stands around it takes part by messages, like another picture.
function joinParent(page) {
  onSelection(page, parent, (selection) => parent.postMessage({ selection }, "*"));
  addEventListener("message", ({ source, data }) => {
    if (source === parent && data?.selection) tellSelection(page, parent, data.selection);
  });
}

// --- saving

// How a picture draws itself as it looks now: a function that gives SVG.
export function onSave(page, root, draw) {
  page.drawings.set(root, draw);
}

// --- keys

// Keys go to the picture that has the focus, and to the first where none has it.
export function onKeys(root, hear) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const home = target.closest?.(".view") ?? document.querySelector(".view");
    const typing = target.closest?.("input, textarea, select, dialog[open]");
    if (home !== root || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest?.("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
    const act = hear(event);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// --- parts

export function makeBar(page, title, ...tools) {
  return element("header", { class: "bar" }, element("h2", {}, title), ...tools, themeButton(page));
}

// Puts a picture in place of the one that stands still; what is not there is left out.
export function show(root, ...children) {
  root.style.setProperty("--height", `${root.dataset.height}px`);
  root.querySelector(".still").remove();
  root.append(...children.filter(Boolean));
}
