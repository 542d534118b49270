// Taking the picture away: all that is open, as SVG, or as PNG at up to twice its size.

import { button, element } from "./dom.js";
import { paint } from "./paint.js";
import { Recorder } from "./record.js";
import { rootOf } from "./scene.js";

const LARGEST = 8192;

// What is open, without what is selected or pointed at.
function plain(scene) {
  return { ...scene, selected: -1, hovered: -1, hoveredWire: -1 };
}

export function svgOf(scene, palette) {
  const { width, height } = rootOf(scene), recorder = new Recorder();
  paint(recorder, plain(scene), { x: 0, y: 0, scale: 1 }, palette, { width, height, ratio: 1 });
  return recorder.svg(width, height, scene.model.title);
}

function pngOf(scene, palette) {
  const { width, height } = rootOf(scene), scale = Math.min(2, LARGEST / width, LARGEST / height);
  const canvas = element("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
  const size = { width: canvas.width, height: canvas.height, ratio: 1 };
  paint(canvas.getContext("2d"), plain(scene), { x: 0, y: 0, scale }, palette, size);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// The dialog that asks for the format; `paletteNow` gives the colours of the moment.
export function makeExport(scene, paletteNow) {
  const close = () => dialog.close();
  const take = (make, name) => async () => {
    download(await make(), name);
    close();
  };
  const dialog = element("dialog", { class: "help export", "aria-label": "Export" },
    button("×", "Close", close, { class: "close" }),
    element("h2", {}, "Save what is open"),
    element("div", { class: "choices" },
      button("SVG", "Save as SVG", take(async () => new Blob([svgOf(scene, paletteNow())], { type: "image/svg+xml" }), "graph.svg")),
      button("PNG", "Save as PNG", take(() => pngOf(scene, paletteNow()), "graph.png"))));
  return dialog;
}
