// The numbers of a network, from the text of a page.
//
// The page has them in base64: first all tensors of 32 bits, then all of 16, little endian, as
// every browser has its numbers in memory.

const PIECE = 1 << 22; // letters that are read without a pause

// Lets the browser do other things.
const pause = () => new Promise((resolve) => setTimeout(resolve));

// The bytes of a base64 text without white space.
export async function bytesOfBase64(text) {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let place = 0;
  for (let first = 0; first < text.length; first += PIECE) {
    const piece = atob(text.slice(first, first + PIECE));
    for (let i = 0; i < piece.length; i++) bytes[place++] = piece.charCodeAt(i);
    await pause();
  }
  return bytes;
}

// The number that 16 bits mean: 1 sign, 5 exponent, 10 fraction.
export function numberOfHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function numbersOfHalves(halves) {
  const table = new Float32Array(1 << 16);
  for (let bits = 0; bits < table.length; bits++) table[bits] = numberOfHalf(bits);
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) numbers[i] = table[halves[i]];
  return numbers;
}

// The tensors by name, vectors or lists of rows. listed: [name, shape, bits] of each, in their order.
export async function readTensors(listed, text) {
  const { buffer } = await bytesOfBase64(text.trim());
  const tensors = new Map();
  let place = 0;
  for (const [name, shape, bits] of listed) {
    const [rows, width] = shape.length > 1 ? shape : [1, ...shape];
    const size = rows * width;
    const values =
      bits === 32
        ? new Float32Array(buffer, place, size)
        : numbersOfHalves(new Uint16Array(buffer, place, size));
    const row = (_, index) => values.subarray(index * width, (index + 1) * width);
    tensors.set(name, shape.length > 1 ? Array.from({ length: rows }, row) : values);
    place += (size * bits) / 8;
    await pause();
  }
  return tensors;
}
