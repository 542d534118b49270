// A canvas that keeps what is painted on it as SVG. It knows what grid.js needs of a canvas.

import { contextOf } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ANCHORS = { left: "start", center: "middle", right: "end" };
const BASELINES = { middle: "central", bottom: "text-after-edge", top: "text-before-edge", alphabetic: "auto" };

function svgElement(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, typeof value === "number" ? String(Math.round(100 * value) / 100) : value);
  return made;
}

// A font as attributes; pages forbid styles in them.
function fontOf(font) {
  const [, weight, size, family] = /** @type {RegExpExecArray} */ (/^(?:(\d+) )?([\d.]+)px (.*)$/.exec(font));
  return { "font-weight": weight ?? "400", "font-size": `${size}px`, "font-family": family };
}

// The context to paint on; `text(width, height, title)` gives the picture.
export function makeDrawing() {
  const root = svgElement("svg", { xmlns: SVG }), ruler = contextOf(document.createElement("canvas"));
  let group = root, clips = 0, box = {}, path = "", dash = "none";
  const saved = [];
  const put = (tag, attributes) => group.appendChild(svgElement(tag, attributes));
  const into = (attributes) => { group = put("g", attributes); };
  const context = {
    fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, font: "11px sans-serif", textAlign: "left", textBaseline: "alphabetic", imageSmoothingEnabled: true, globalAlpha: 1,
    save: () => saved.push(group),
    restore: () => { group = saved.pop(); },
    translate: (x, y) => into({ transform: `translate(${x} ${y})` }),
    rotate: (angle) => into({ transform: `rotate(${(angle * 180) / Math.PI})` }),
    beginPath: () => { path = ""; box = {}; },
    rect: (x, y, width, height) => { box = { x, y, width, height }; },
    clip: () => {
      const id = `clip${++clips}`, clip = put("clipPath", { id });
      clip.appendChild(svgElement("rect", box));
      into({ "clip-path": `url(#${id})` });
    },
    moveTo: (x, y) => { path += `M${x} ${y}`; },
    lineTo: (x, y) => { path += `L${x} ${y}`; },
    bezierCurveTo: (...points) => { path += `C${points.join(" ")}`; },
    setLineDash: (lengths) => { dash = lengths.join(" ") || "none"; },
    stroke: () => put("path", { d: path, fill: "none", stroke: context.strokeStyle, "stroke-width": context.lineWidth, "stroke-opacity": context.globalAlpha, "stroke-dasharray": dash }),
    fillRect: (x, y, width, height) => put("rect", { x, y, width, height, fill: context.fillStyle }),
    strokeRect: (x, y, width, height) => put("rect", { x, y, width, height, fill: "none", stroke: context.strokeStyle, "stroke-width": context.lineWidth }),
    measureText: (text) => {
      ruler.font = context.font;
      return ruler.measureText(text);
    },
    fillText: (text, x, y, most = Infinity) => {
      const tight = context.measureText(text).width > most ? { textLength: most, lengthAdjust: "spacingAndGlyphs" } : {};
      put("text", {
        x, y, fill: context.fillStyle, ...fontOf(context.font), "text-anchor": ANCHORS[context.textAlign],
        "dominant-baseline": BASELINES[context.textBaseline], ...tight,
      }).textContent = text;
    },
    drawImage: (image, left, top, across, down, x, y, width, height) => {
      const frame = put("svg", { x, y, width, height, viewBox: `${left} ${top} ${across} ${down}`, preserveAspectRatio: "none" });
      frame.appendChild(svgElement("image", { width: image.width, height: image.height, "image-rendering": "pixelated", href: image.toDataURL() }));
    },
  };
  const text = (width, height, title) => {
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, role: "img" })) root.setAttribute(name, String(value));
    const name = svgElement("title", {});
    name.textContent = title;
    root.prepend(name);
    return new XMLSerializer().serializeToString(root);
  };
  return { context, text };
}
