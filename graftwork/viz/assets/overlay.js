// Numbers laid over the boxes: which, and how they are written; see overlay.py.

export function readOverlay(facts, c) {
  if (!facts.overlay) return null;
  return { ...facts.overlay, values: new Map(Array.from(c.overlayCell, (cell, i) => [cell, c.overlayValue[i]])) };
}

export function overlayText(model, cell) {
  const number = model.overlay?.values.get(cell);
  return number === undefined ? "" : numberText(number);
}

export function numberText(number) {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "NaN" : number > 0 ? "∞" : "−∞";
  const large = Math.abs(number);
  const plain = large && (large >= 1e6 || large < 1e-3) ? number.toExponential(2) : String(Number(number.toPrecision(3)));
  return plain.replace("-", "−");
}
