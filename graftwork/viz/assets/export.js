// What is open, as SVG: painted as on the screen, without what is selected or pointed at.

import { paint } from "./paint.js";
import { Recorder } from "./record.js";
import { rootOf } from "./scene.js";

export function svgOf(scene, palette) {
  const { width, height } = rootOf(scene), recorder = new Recorder();
  const plain = { ...scene, selected: -1, hovered: -1, hoveredWire: -1 };
  paint(recorder, plain, { x: 0, y: 0, scale: 1 }, palette, { width, height, ratio: 1 });
  return recorder.svg(width, height, scene.model.title);
}
