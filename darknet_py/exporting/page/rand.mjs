// glibc's srand and rand, number for number, and darknet's rand_uniform.

const WORDS = 31; // of state
const WARM_UP = 310; // that srand throws away
const MODULUS = 2 ** 31 - 1;

export class Rand {
  // From a seed, 0 to 2^32 - 1, after so many draws, of which a million take two milliseconds.
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
    for (let i = 0; i < WARM_UP + drawn; i++) this.word();
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
