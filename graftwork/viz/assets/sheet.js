// Grids and arcs as they look, for saving: side by side under a title, with the colours of their numbers.

import { makeDrawing } from "./drawing.js";
import { styleOf } from "./matrix.js";
import { isDark } from "./page.js";
import { written } from "./scales.js";

const ACROSS = 1120, DOWN = 640, EDGE = 16;

// parts: { title, draw(context, width, height, style) gives the height that it took }; without a
// scale there are no colours to explain.
export function drawSheet({ root, page }, title, scale, parts) {
  const { context, text } = makeDrawing(), style = styleOf(root);
  const across = parts.length === 1 ? 1 : Math.min(3, Math.ceil(Math.sqrt(parts.length)));
  const room = (ACROSS - EDGE) / across - EDGE, high = parts.length === 1 ? DOWN : 300;
  context.fillStyle = style.ground;
  const ground = context.fillRect(0, 0, ACROSS, DOWN);
  write(context, title, EDGE, 28, style.text, "600 15px system-ui, sans-serif");
  if (scale) drawColours(context, scale, isDark(page), style);
  let top = 48, tallest = 0;
  parts.forEach((part, i) => {
    if (i && i % across === 0) [top, tallest] = [top + tallest + EDGE, 0];
    context.save();
    context.translate(EDGE + (i % across) * (room + EDGE), top);
    if (part.title) write(context, part.title, 6, 10, style.soft, "600 11px system-ui, sans-serif");
    context.translate(0, part.title ? 18 : 0);
    tallest = Math.max(tallest, part.draw(context, room, high, style) + (part.title ? 18 : 0));
    context.restore();
  });
  const height = Math.ceil(top + tallest + EDGE);
  ground.setAttribute("height", String(height));
  return text(ACROSS, height, title);
}

function write(context, words, x, y, colour, font, align = "left") {
  Object.assign(context, { fillStyle: colour, font, textAlign: align, textBaseline: "alphabetic" });
  context.fillText(words, x, y);
}

// The colours and the numbers at their ends, in the upper right corner.
function drawColours(context, scale, dark, style) {
  const wide = 130, steps = 65, left = ACROSS - EDGE - 70 - wide, font = "11px system-ui, sans-serif";
  for (let i = 0; i < steps; i++) {
    context.fillStyle = scale.css(scale.low + ((scale.high - scale.low) * i) / (steps - 1), dark);
    context.fillRect(left + (i * wide) / steps, 18, wide / steps + 0.5, 11);
  }
  write(context, written(scale.low), left - 6, 28, style.soft, font, "right");
  write(context, written(scale.high), left + wide + 6, 28, style.soft, font);
}
