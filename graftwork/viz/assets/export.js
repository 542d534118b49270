// What is open, as SVG: painted as on the screen, without what is selected or pointed at. Sides
// stand under their names.

import { paintName, paintSide } from "./paint.js";
import { sidesOf } from "./panes.js";
import { Recorder } from "./record.js";
import { rootOf } from "./scene.js";

const NAME = 36;

export function svgOf(scene, palette) {
  const { width, height } = rootOf(scene), recorder = new Recorder(), sides = sidesOf(scene);
  const plain = { ...scene, selected: -1, hovered: -1, hoveredWire: -1 }, size = { width, height, ratio: 1 };
  const draw = (side) => paintSide(recorder, plain, side, { x: 0, y: 0, scale: 1 }, palette, size);
  if (!scene.apart) {
    draw(sides[0]);
    return recorder.svg(width, height, scene.model.title);
  }
  recorder.fillStyle = palette.ground;
  recorder.fillRect(0, 0, width * sides.length, NAME);
  sides.forEach((side, i) => {
    recorder.moved(i * width, NAME, () => draw(side));
    recorder.moved(i * width, 0, () => paintName(recorder, side, palette));
  });
  return recorder.svg(width * sides.length, height + NAME, scene.model.title);
}
