// The network: a list of operations for one symbol, which compute in their order.
//
// Every value of the list has a place, at which each reader has a buffer; place 0 is the symbol.
// An operation is {do, x: [places, or names of tensors, or {number}], y: [places], ...}; the rest
// are its parameters.

import { FUNCTIONS, logistic } from "./activations.mjs";

// y = W x for the rows of W, four of them at a time, which read x once.
function multiply(rows, x, y) {
  const count = rows.length;
  const width = x.length;
  let row = 0;
  for (; row + 4 <= count; row += 4) {
    const a = rows[row];
    const b = rows[row + 1];
    const c = rows[row + 2];
    const d = rows[row + 3];
    let ya = 0;
    let yb = 0;
    let yc = 0;
    let yd = 0;
    for (let i = 0; i < width; i++) {
      const xi = x[i];
      ya += a[i] * xi;
      yb += b[i] * xi;
      yc += c[i] * xi;
      yd += d[i] * xi;
    }
    y[row] = ya;
    y[row + 1] = yb;
    y[row + 2] = yc;
    y[row + 3] = yd;
  }
  for (; row < count; row++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += rows[row][i] * x[i];
    y[row] = sum;
  }
}

// y = W x for x that is 1 at the symbol and 0 elsewhere.
function lookUp(rows, symbol, y) {
  for (let row = 0; row < rows.length; row++) y[row] = rows[row][symbol];
}

// y = gains x + shifts, rounded as numpy rounds it; y may be x. gains may be missing.
function affine(x, gains, shifts, y) {
  if (gains) for (let i = 0; i < y.length; i++) y[i] = Math.fround(x[i] * gains[i]) + shifts[i];
  else for (let i = 0; i < y.length; i++) y[i] = x[i] + shifts[i];
}

// Probabilities exp(x/T) / sum of x.subarray(first, end), into p at the same places.
// Returns log(sum exp(x/T)).
function softmax(x, temperature, p, first, end) {
  const f = Math.fround;
  // Bounded, so that the largest x, at 0 after the subtraction, does not become 0 times infinity.
  const inverse = f(Math.min(1 / temperature, 1e30));
  let peak = -Infinity;
  for (let i = first; i < end; i++) if (x[i] > peak) peak = x[i];
  let sum = 0;
  for (let i = first; i < end; i++) {
    p[i] = Math.exp(f(f(x[i] - peak) * inverse));
    sum += p[i];
  }
  for (let i = first; i < end; i++) p[i] /= sum;
  return Math.log(sum) + peak * inverse;
}

// The softmax of each of the equal parts of x, into p.
function softmaxes(x, groups, temperature, p) {
  const size = x.length / groups;
  for (let first = 0; first < x.length; first += size) {
    softmax(x, temperature, p, first, first + size);
  }
}

// What an operation does, by its name: (y, x, the operation, the reader) -> a function that computes
// y, a buffer, from x, a list of buffers.
const OPERATIONS = {
  // Connected layers side by side: W x, with a bias or batch norm. No x means the symbol.
  connect: (y, [x], { rows, gains, shifts }, reader) => () => {
    if (x) multiply(rows, x, y);
    else lookUp(rows, reader.symbol, y);
    affine(y, gains, shifts, y);
  },

  normalize: (y, [x], { gains, shifts }) => () => affine(x, gains, shifts, y),

  add: (y, [a, b]) => () => {
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
  },

  subtract: (y, [a, b]) => () => {
    for (let i = 0; i < y.length; i++) y[i] = a[i] - b[i];
  },

  multiply: (y, [a, b]) => () => {
    for (let i = 0; i < y.length; i++) y[i] = a[i] * b[i];
  },

  // The function of the gates has a loop of its own, into which browsers compile it.
  activate: (y, [x], { f }) => {
    if (f === "logistic") {
      return () => {
        for (let i = 0; i < y.length; i++) y[i] = logistic(x[i]);
      };
    }
    const compute = FUNCTIONS[f];
    return () => {
      for (let i = 0; i < y.length; i++) y[i] = compute(x[i]);
    };
  },

  softmax: (y, [x], { groups, temperature }) => () => softmaxes(x, groups, temperature, y),

  dropout: (y, [x]) => () => y.set(x),

  one_hot: (y, x, operation, reader) => () => {
    y.fill(0);
    y[reader.symbol] = 1;
  },
};

// A network from its description, which is JSON in the page, and its tensors.
export class Network {
  constructor(description, tensors) {
    const prepared = ({ x, rows, gains, shifts, ...operation }) => ({
      ...operation,
      x: x.map((input) => (typeof input === "string" ? tensors.get(input) : input)),
      rows: tensors.get(rows),
      gains: tensors.get(gains),
      shifts: tensors.get(shifts),
    });
    this.layers = description.layers.map((layer) => ({
      ...layer,
      operations: layer.operations.map(prepared),
    }));
    this.widths = description.widths;
    this.outputs = description.outputs;
    this.outputLayer = description.output_layer;
    this.initialDraws = description.initial_draws;
  }

  reader() {
    return new Reader(this);
  }
}

// A network that reads symbols, one after the other, from a zero state.
class Reader {
  constructor(network) {
    this.network = network;
    this.symbol = 0;
    const buffers = network.widths.map((width, place) => place && new Float32Array(width));
    const functionOf = ({ x, y, ...operation }) => {
      const size = y.reduce((sum, place) => sum + network.widths[place], 0);
      const output = new Float32Array(size);
      let first = 0;
      for (const place of y) {
        buffers[place] = output.subarray(first, (first += network.widths[place]));
      }
      const inputs = x.map((input) => {
        if (typeof input === "number") return buffers[input];
        return input.number === undefined ? input : output.slice().fill(input.number);
      });
      return OPERATIONS[operation.do](output, inputs, operation, this);
    };
    this.layers = network.layers.map(({ operations, y, states }) => {
      const functions = operations.map(functionOf);
      return {
        functions,
        y: buffers[y],
        states: states.map((places) => places.map((place) => buffers[place])),
      };
    });
    // Of an output layer that is a softmax: what comes in, and how it computes.
    const last = network.layers[network.outputLayer].operations.at(-1);
    if (last?.do === "softmax") this.softmax = { ...last, x: buffers[last.x[0]] };
  }

  // One that goes on from here by itself.
  copy() {
    const copy = this.network.reader();
    this.layers.forEach(({ states }, index) => {
      states.forEach(([before], part) => copy.layers[index].states[part][0].set(before));
    });
    return copy;
  }

  // Read a symbol, with the first `count` layers only where that is given.
  step(symbol, count = this.layers.length) {
    this.symbol = symbol;
    for (let index = 0; index < count; index++) {
      const { functions, states } = this.layers[index];
      for (const compute of functions) compute();
      for (const [before, after] of states) before.set(after);
    }
  }

  // The probabilities at another temperature, into p. Where the network does not end in a softmax
  // there is none, and they stay as they are.
  probabilitiesAt(temperature, p) {
    if (!this.softmax || temperature === this.softmax.temperature) {
      p.set(this.layers[this.network.outputLayer].y);
      return;
    }
    softmaxes(this.softmax.x, this.softmax.groups, temperature, p);
  }

  // -log of the network's own probability of a symbol, in nats, as `valid` counts it.
  loss(symbol) {
    if (!this.softmax) {
      const { y } = this.layers[this.network.outputLayer];
      return -Math.log(Math.max(y[symbol], 2 ** -126));
    }
    const { x, groups, temperature } = this.softmax;
    const size = x.length / groups;
    const first = symbol - (symbol % size);
    const logSum = softmax(x, temperature, new Float32Array(x.length), first, first + size);
    return logSum - x[symbol] / temperature;
  }
}
