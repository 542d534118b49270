// Where the eye is: screen = world * scale + (x, y). Moves are eased unless motion is unwelcome.

const SMALLEST = 0.01, LARGEST = 3;

export function makeCamera(changed) {
  return { x: 0, y: 0, scale: 1, changed, timer: 0 };
}

export function zoomAt(camera, factor, x, y) {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, camera.scale * factor));
  const ratio = scale / camera.scale;
  moveTo(camera, { scale, x: x - (x - camera.x) * ratio, y: y - (y - camera.y) * ratio });
}

export function moveTo(camera, { x, y, scale = camera.scale }) {
  cancelAnimationFrame(camera.timer);
  Object.assign(camera, { x, y, scale });
  camera.changed();
}

export function panBy(camera, dx, dy) {
  moveTo(camera, { x: camera.x + dx, y: camera.y + dy });
}

export function easeTo(camera, goal) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return moveTo(camera, goal);
  const from = { x: camera.x, y: camera.y, scale: camera.scale }, begin = performance.now();
  const step = (now) => {
    const t = (now - begin) / 180, e = 1 - (1 - t) ** 3;
    if (t >= 1) return moveTo(camera, goal);
    const mix = (key) => from[key] + ((goal[key] ?? from[key]) - from[key]) * e;
    Object.assign(camera, { x: mix("x"), y: mix("y"), scale: mix("scale") });
    camera.changed();
    camera.timer = requestAnimationFrame(step);
  };
  cancelAnimationFrame(camera.timer);
  camera.timer = requestAnimationFrame(step);
}

// The camera that shows a rectangle as a whole, no larger than life.
export function fitting(rect, size, largest = 1) {
  const scale = Math.max(SMALLEST, Math.min(largest, (size.width - 48) / rect.width, (size.height - 48) / rect.height));
  return {
    scale,
    x: (size.width - rect.width * scale) / 2 - rect.x * scale,
    y: (size.height - rect.height * scale) / 2 - rect.y * scale,
  };
}

// The camera that brings a rectangle into sight with the least motion; too small is brought near.
export function showing(camera, rect, size) {
  const scale = camera.scale < 0.55 ? 0.9 : camera.scale;
  if (scale !== camera.scale) return fitting({ x: rect.x + rect.width / 2 - size.width / scale / 2, y: rect.y - 80, width: size.width / scale, height: size.height / scale }, { width: size.width + 48, height: size.height + 48 }, scale);
  const near = (at, length, origin, room) => {
    const start = at * scale + origin, end = start + length * scale;
    if (start >= 40 && end <= room - 40) return origin;
    return length * scale > room - 80 || start < 40 ? 40 - at * scale : room - 40 - (at + length) * scale;
  };
  return {
    scale,
    x: near(rect.x, rect.width, camera.x, size.width),
    y: near(rect.y, rect.height, camera.y, size.height),
  };
}
