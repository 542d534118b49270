// Integers digit by digit, each digit in its colour; truth values as full and empty boxes.

import { inkOn } from "./scales.js";

const ON_LIGHT = ["#e4e6ea", "#8db4e2", "#8fcdb4", "#f2c078", "#c9a6e4", "#f0a3b5", "#b7cf7a", "#7fc7da", "#e0b0a0", "#6f7b91"].map(channels);
const ON_DARK = ["#2b3039", "#3f71ad", "#2f8466", "#a8741f", "#7c52a3", "#a84a63", "#6b8530", "#2b8199", "#93604d", "#a9b4c8"].map(channels);
const NARROWEST = 3, DIGIT = 7;

function channels(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

// A scale for makeMatrix that colours whole numbers by their last digit.
export function digitScale(scale) {
  return { ...scale, low: -Infinity, high: Infinity, rgb: (number, dark) => colourOf(Math.abs(number) % 10, dark) };
}

function colourOf(digit, dark) {
  return (dark ? ON_DARK : ON_LIGHT)[digit];
}

// Paints the digits of a number side by side, with their signs where there is room.
export function paintDigits(context, { x, y, wide, high }, number, dark) {
  const digits = [...String(Math.abs(number))], room = (wide - 3) / digits.length;
  if (digits.length > 1 && room >= NARROWEST) {
    digits.forEach((digit, i) => {
      context.fillStyle = `rgb(${colourOf(Number(digit), dark).join(",")})`;
      context.fillRect(x + 1.5 + i * room, y + 0.5, room, high - 1);
    });
  }
  context.textAlign = "center";
  context.textBaseline = "middle";
  digits.forEach((digit, i) => {
    context.fillStyle = inkOn(colourOf(Number(digit), dark));
    const below = number < 0 && i === 0, words = below && room >= 2 * DIGIT ? `−${digit}` : digit;
    if (below && words === digit && room >= NARROWEST) context.fillRect(x + 2, y + 2, Math.max(2, Math.min(room - 3, 6)), 2);
    if (room >= DIGIT && high >= 11) context.fillText(words, x + 1.5 + (i + 0.5) * room, y + high / 2);
  });
}

const TRUE = [[38, 70, 120], [150, 190, 240]], FALSE = [[232, 234, 238], [36, 40, 48]];

export function truthScale(scale) {
  return { ...scale, low: 0, high: 1, rgb: (number, dark) => (number ? TRUE : FALSE)[+dark] };
}

export function paintTruth(context, { x, y, wide, high }, number, dark) {
  if (!number || Math.min(wide, high) < 9) return;
  context.strokeStyle = inkOn(TRUE[+dark]);
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x + wide / 2 - 3.5, y + high / 2);
  context.lineTo(x + wide / 2 - 1, y + high / 2 + 3);
  context.lineTo(x + wide / 2 + 4, y + high / 2 - 3.5);
  context.stroke();
  context.lineWidth = 1;
}
