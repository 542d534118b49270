// A canvas that writes down what is painted, as SVG: so the exported picture is the painted one.

const round = (x) => Number(x.toFixed(2));

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" };

function xml(text) {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]);
}

function xmlAttributes(values) {
  return Object.entries(values).filter(([, value]) => value !== "").map(([name, value]) => ` ${name}="${xml(String(value))}"`).join("");
}

// What `paint` needs of a canvas' context.
export class Recorder {
  parts = [];
  path = "";
  clipped = "";
  clips = 0;
  dash = [];
  globalAlpha = 1;
  fillStyle = "";
  strokeStyle = "";
  lineWidth = 1;
  font = "";

  setTransform() {}

  // Moves what `draw` paints.
  moved(x, y, draw) {
    this.parts.push(`<g transform="translate(${round(x)} ${round(y)})">`);
    draw();
    this.parts.push("</g>");
  }

  save() {}

  restore() {
    this.clipped = "";
  }

  clip() {
    this.clipped = `clip-${this.clips++}`;
    this.parts.push(`<clipPath id="${this.clipped}"><path d="${this.path}"/></clipPath>`);
  }

  beginPath() {
    this.path = "";
  }

  moveTo(x, y) {
    this.path += `M${round(x)} ${round(y)}`;
  }

  lineTo(x, y) {
    this.path += `L${round(x)} ${round(y)}`;
  }

  bezierCurveTo(...places) {
    this.path += `C${places.map(round).join(" ")}`;
  }

  arc(x, y, radius) {
    this.path += `M${round(x - radius)} ${round(y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
  }

  roundRect(x, y, width, height, radii) {
    const limit = Math.max(0, Math.min(width, height) / 2);
    const [a, b, c, d] = (Array.isArray(radii) ? radii : [radii, radii, radii, radii]).map((radius) => Math.min(radius, limit));
    const turn = (r, dx, dy) => (r ? `a${round(r)} ${round(r)} 0 0 1 ${round(dx)} ${round(dy)}` : "");
    this.path += `M${round(x + a)} ${round(y)}h${round(width - a - b)}${turn(b, b, b)}v${round(height - b - c)}${turn(c, -c, c)}`
      + `h${round(c + d - width)}${turn(d, -d, -d)}v${round(a + d - height)}${turn(a, a, -a)}z`;
  }

  fillRect(x, y, width, height) {
    this.put("rect", { x: round(x), y: round(y), width: round(width), height: round(height), fill: this.fillStyle });
  }

  fill() {
    this.put("path", { d: this.path, fill: this.fillStyle });
  }

  stroke() {
    this.put("path", {
      d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": round(this.lineWidth), "stroke-dasharray": this.dash.join(" "),
    });
  }

  setLineDash(dash) {
    this.dash = dash;
  }

  fillText(text, x, y) {
    const place = xmlAttributes({ x: round(x), y: round(y), fill: this.fillStyle, style: `font:${this.font}`, opacity: this.opacity });
    this.parts.push(`<text${place}>${xml(text)}</text>`);
  }

  put(tag, values) {
    const clip = this.clipped && `url(#${this.clipped})`;
    this.parts.push(`<${tag}${xmlAttributes({ ...values, opacity: this.opacity, "clip-path": clip })}/>`);
  }

  get opacity() {
    return this.globalAlpha === 1 ? "" : String(this.globalAlpha);
  }

  svg(width, height, title) {
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}">`
      + `<title>${xml(title)}</title><style>text{white-space:pre;dominant-baseline:central}</style>${this.parts.join("")}</svg>`;
  }
}
