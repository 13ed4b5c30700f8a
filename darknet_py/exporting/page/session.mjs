// A text that a network reads and writes, with what is known of each symbol.

import { Rand } from "./rand.mjs";
import { draw, largest, odds } from "./sampling.mjs";
import { Pieces } from "./symbols.mjs";

// Numbers that a text may keep at most: one for each unit of a layer, for each symbol.
const MOST_NUMBERS = 1 << 25;
const MOST_SYMBOLS = 100000;
// Steps of the network at most, to find the likeliest characters of several bytes.
const MOST_STEPS = 40;

// Where a symbol is from, if it is not drawn; also the class of its span on the page.
export const PROMPT = "prompt";
export const CHOSEN = "chosen";

export function sum(numbers) {
  return numbers.reduce((a, b) => a + b, 0);
}

export class Session {
  // From a zero state. seed: of the draws, which begin where those of `generate` do.
  constructor(network, symbols, seed) {
    this.network = network;
    this.pieces = new Pieces(symbols);
    this.reader = network.reader();
    this.rand = new Rand(seed, network.initialDraws);
    this.p = new Float32Array(network.outputs);
    this.symbols = [];
    this.losses = []; // in nats; 0 for the first symbol
    this.origins = [];
    this.trace = null;
    const widest = Math.max(...network.layers.map((layer) => layer.outputs));
    this.most = Math.min(MOST_SYMBOLS, Math.floor(MOST_NUMBERS / widest));
  }

  get length() {
    return this.symbols.length;
  }

  // Whether no more symbols have room.
  get isFull() {
    return this.length >= this.most;
  }

  // Let the network read a symbol.
  feed(symbol, origin = "drawn") {
    this.origins.push(origin);
    this.losses.push(this.length ? this.reader.loss(symbol) : 0);
    this.symbols.push(symbol);
    this.pieces.push(symbol);
    this.reader.step(symbol);
    if (this.trace?.rows.length === this.length - 1) this.trace.add(this.reader);
  }

  // An empty prompt lets symbol 0 be read, which is no part of the text.
  feedNothing() {
    this.reader.step(0);
    this.isEmptyStart = true;
  }

  // The probabilities with which the next symbol is drawn after what a reader has read: a buffer.
  odds(sampling, reader = this.reader) {
    reader.probabilitiesAt(sampling.temperature || 1, this.p);
    odds(this.p, sampling);
    return this.p;
  }

  // The likeliest to come next as {p, symbols}, the likeliest first: a token, or the bytes of a
  // whole character, of which some may have been read.
  following(sampling, count) {
    const { symbols: known, begun } = this.pieces;
    const found = [];
    const open = [{ p: 1, symbols: [], reader: this.reader }];
    let steps = 0;
    while (open.length && found.length < count) {
      const { p, symbols, reader } = open.shift();
      const isWhole = symbols.length && known.areWhole(symbols, begun);
      if (isWhole || steps >= MOST_STEPS) {
        found.push({ p, symbols });
        continue;
      }
      let after = reader;
      if (symbols.length) {
        after = reader.copy();
        after.step(symbols[symbols.length - 1]);
        steps++;
      }
      const next = this.odds(sampling, after);
      for (const symbol of largest(next, count)) {
        open.push({ p: p * next[symbol], symbols: [...symbols, symbol], reader: after });
      }
      // What follows one of them cannot be likelier than it.
      open.sort((a, b) => b.p - a.p);
    }
    return found;
  }

  // Draw a symbol and read it.
  write(sampling) {
    const p = this.odds(sampling);
    this.feed(draw(p, this.rand.uniform(), sampling));
  }

  // Keep the outputs of a layer's units from now on, and those so far by `catchUp`.
  watch(layer) {
    if (this.trace?.layer !== layer) this.trace = new Trace(this, layer);
  }

  // Where piece i is from, by its last symbol.
  origin(i) {
    return this.origins[this.pieces.ends[i] - 1];
  }

  // Surprise of piece i, in nats: that of all of its symbols.
  surprise(i) {
    const first = i ? this.pieces.ends[i - 1] : 0;
    return sum(this.losses.slice(first, this.pieces.ends[i]));
  }
}

// The outputs of a layer's units after each symbol of a session.
export class Trace {
  constructor(session, layer) {
    this.session = session;
    this.layer = layer;
    this.units = session.network.layers[layer].outputs;
    this.rows = [];
    // What reads the text again up to where the session is.
    this.behind = session.network.reader();
    if (session.isEmptyStart) this.behind.step(0, layer + 1);
  }

  get isComplete() {
    return this.rows.length === this.session.length;
  }

  // Take in what a reader of the next symbol has.
  add(reader) {
    this.rows.push(Float32Array.from(reader.layers[this.layer].y));
  }

  // Read one more of the symbols that are already there.
  catchUp() {
    if (this.isComplete) return;
    this.behind.step(this.session.symbols[this.rows.length], this.layer + 1);
    this.add(this.behind);
  }

  // Mean of a unit along the text, and how far its output goes from it, the rarest 3 % aside.
  range(unit) {
    const n = this.rows.length;
    if (!n) return { mean: 0, reach: 1 };
    let mean = 0;
    for (const row of this.rows) mean += row[unit] / n;
    const distances = Float32Array.from(this.rows, (row) => Math.abs(row[unit] - mean)).sort();
    return { mean, reach: Math.max(1e-9, distances[Math.floor(0.97 * (n - 1))]) };
  }

  // The units that change most slowly along the text, of those that vary at all: what they answer
  // to is longer than a symbol. Only the last symbols are looked at.
  slowest(count, last = 2000) {
    const rows = this.rows.slice(-last);
    if (rows.length < 3) return [];
    const mean = new Float64Array(this.units);
    const power = new Float64Array(this.units);
    const slowness = new Float64Array(this.units);
    for (const row of rows) for (let u = 0; u < this.units; u++) mean[u] += row[u] / rows.length;
    for (let t = 0; t < rows.length; t++) {
      for (let u = 0; u < this.units; u++) {
        const now = rows[t][u] - mean[u];
        power[u] += now * now;
        if (t) slowness[u] += now * (rows[t - 1][u] - mean[u]);
      }
    }
    const most = power.reduce((a, b) => Math.max(a, b), 0);
    const varied = Array.from(power.keys()).filter((u) => power[u] > 1e-3 * most);
    const score = (u) => slowness[u] / power[u];
    return varied.sort((a, b) => score(b) - score(a) || a - b).slice(0, count);
  }
}
