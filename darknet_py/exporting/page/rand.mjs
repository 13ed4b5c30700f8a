// glibc's srand and rand, number for number, and darknet's rand_uniform.

const WORDS = 31; // of state
const WARM_UP = 310; // that srand throws away
const MODULUS = 2 ** 31 - 1;
const FAR = 4096; // words from which on a jump is quicker than the steps

// A step drops the oldest of the 31 words and adds a sum of two, so it is a product with a constant
// matrix, modulo 2^32, and many steps are one with its power.
function matrixOfStep() {
  const matrix = new Uint32Array(WORDS * WORDS);
  for (let row = 0; row + 1 < WORDS; row++) matrix[row * WORDS + row + 1] = 1;
  matrix[(WORDS - 1) * WORDS] = 1;
  matrix[(WORDS - 1) * WORDS + WORDS - 3] = 1;
  return matrix;
}

// a b, where b has so many columns.
function product(a, b, columns) {
  const out = new Uint32Array(WORDS * columns);
  for (let row = 0; row < WORDS; row++) {
    for (let k = 0; k < WORDS; k++) {
      const factor = a[row * WORDS + k];
      if (!factor) continue;
      for (let column = 0; column < columns; column++) {
        out[row * columns + column] += Math.imul(factor, b[k * columns + column]);
      }
    }
  }
  return out;
}

// The words, oldest first, so many steps on.
function advanced(words, steps) {
  let matrix = matrixOfStep();
  for (let left = steps; left > 0; left = Math.floor(left / 2)) {
    if (left % 2) words = product(matrix, words, 1);
    if (left > 1) matrix = product(matrix, matrix, WORDS);
  }
  return words;
}

export class Rand {
  // From a seed, 0 to 2^32 - 1, after so many draws.
  constructor(seed, drawn = 0) {
    let word = (seed >= 2 ** 31 ? seed - 2 ** 32 : seed) || 1;
    const words = [word];
    while (words.length < WORDS) {
      word = (((16807 * word) % MODULUS) + MODULUS) % MODULUS;
      words.push(word);
    }
    // A ring: the word of now is the sum of those 31 and 3 places before.
    this.ring = Uint32Array.from([...words.slice(3), ...words.slice(0, 3)]);
    this.place = 0;
    this.skip(WARM_UP + drawn);
  }

  // ForwardContext over so many draws.
  skip(count) {
    if (count >= FAR) {
      const { ring, place } = this;
      const words = Uint32Array.from(ring, (_, i) => ring[(place + i) % WORDS]);
      this.ring = advanced(words, count);
      this.place = 0;
      return;
    }
    for (let i = 0; i < count; i++) this.word();
  }

  word() {
    const { ring, place } = this;
    ring[place] += ring[place >= 3 ? place - 3 : place + WORDS - 3];
    this.place = place + 1 === WORDS ? 0 : place + 1;
    return ring[place];
  }

  // A draw: 0 to 2^31 - 1.
  rand() {
    return this.word() >>> 1;
  }

  // rand_uniform(0, 1): rounded to 32 bits, so that 1 can occur.
  uniform() {
    return Math.fround(this.rand()) / 2 ** 31;
  }
}
