// The picture that is shown, in a frame without an origin, and the tabs that choose it.
//
// What is selected in the picture is told by messages, as between the pictures of one page; they
// count only from and to the window of the frame.

import { element, fill } from "./dom.js";
import { byId } from "./parts.js";

// `choose(kind)` hears which picture is wanted, `hear(selection)` what is selected in it.
export function makeFrame(choose, hear) {
  const frame = byId("picture"), shown = { frame, kind: "graph", selection: null, choose };
  addEventListener("message", ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    if (data?.ready && shown.selection) tell(shown, shown.selection);
    if (!data?.selection) return;
    shown.selection = data.selection;
    hear(data.selection);
  });
  byId("tabs").addEventListener("keydown", (event) => walk(shown, event));
  return shown;
}

// Tells the picture what is selected around it.
export function tell(shown, selection) {
  const layer = /(?:^|\.)blocks\.(\d+)\./.exec(selection.site ?? "");
  shown.selection = layer ? { layer: Number(layer[1]), ...selection } : selection;
  shown.frame.contentWindow.postMessage({ selection: shown.selection }, "*");
}

export function takePictures(shown, kinds) {
  shown.selection = null;
  fill(byId("tabs"), kinds.map(([kind, title]) => element("button", {
    type: "button", role: "tab", id: `tab-${kind}`, "aria-controls": "panel", onclick: () => select(shown, kind),
  }, title)));
  mark(shown);
}

function select(shown, kind) {
  shown.kind = kind;
  mark(shown);
  shown.choose(kind);
}

function mark(shown) {
  for (const tab of byId("tabs").children) {
    const chosen = tab.id === `tab-${shown.kind}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  byId("panel").setAttribute("aria-labelledby", `tab-${shown.kind}`);
}

function walk(shown, event) {
  const tabs = [...byId("tabs").children], at = tabs.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}

export function showPicture(shown, { picture, title }) {
  shown.frame.title = title;
  shown.frame.inert = false;
  byId("waiting").hidden = true;
  const path = `/pictures/${picture}`;
  if (shown.frame.getAttribute("src") !== path) shown.frame.src = path;
}

// Says why there is none.
export function showWords(shown, words) {
  shown.frame.inert = true;
  byId("waiting").hidden = false;
  byId("waiting").textContent = words;
}
