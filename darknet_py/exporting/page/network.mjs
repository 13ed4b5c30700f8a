// The network: darknet's layers, forward, one symbol at a time.
//
// A layer is made twice: once for the network, with its parameters, and once for every reader,
// with its state and its buffers. A reader's layer has `y`, its outputs after the last symbol, and
// `step(x)`, where x is the y of the layer below, or for the first layer the symbol itself where
// that layer takes symbols.

import { activate, logistic } from "./activations.mjs";

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

// Batch norm with its rolling statistics is y = gain x + shift, rounded as numpy rounds it.
function affineOfNorm(tensors, name, formulas) {
  const f = Math.fround;
  const values = (kind) => tensors.get(`${name}.${kind}`)?.values;
  const scales = values("scale");
  const means = values("rolling_mean");
  const variances = values("rolling_variance");
  const biases = values("bias") ?? new Float32Array(scales.length);
  const gains = new Float32Array(scales.length);
  const shifts = new Float32Array(scales.length);
  for (let i = 0; i < scales.length; i++) {
    const root = f(Math.sqrt(f(variances[i] + f(formulas.rootEpsilon))));
    gains[i] = scales[i] / f(root + f(formulas.deviationEpsilon));
    shifts[i] = biases[i] - f(means[i] * gains[i]);
  }
  return { gains, shifts };
}

function affine(y, gains, shifts) {
  if (gains) for (let i = 0; i < y.length; i++) y[i] = Math.fround(y[i] * gains[i]) + shifts[i];
  else for (let i = 0; i < y.length; i++) y[i] += shifts[i];
}

// y = f(W x + bias), or with batch norm f(norm(W x) scale + bias): what other layers consist of.
class Connected {
  constructor(tensors, name, activation, formulas) {
    const { shape, values } = tensors.get(`${name}.weight`);
    const [outputs, inputs] = shape;
    this.outputs = outputs;
    this.rows = Array.from({ length: outputs }, (_, row) =>
      values.subarray(row * inputs, (row + 1) * inputs),
    );
    this.activation = activation;
    if (tensors.has(`${name}.scale`)) {
      Object.assign(this, affineOfNorm(tensors, name, formulas));
    } else {
      this.gains = null;
      this.shifts = tensors.get(`${name}.bias`).values;
    }
  }

  buffer() {
    return new Float32Array(this.outputs);
  }

  // Of x, an array or a symbol, into y.
  step(x, y) {
    if (typeof x === "number") lookUp(this.rows, x, y);
    else multiply(this.rows, x, y);
    affine(y, this.gains, this.shifts);
    activate(this.activation, y);
  }
}

// Probabilities exp(x/T) / sum of x.subarray(first, end), into p at the same places.
// Returns log(sum exp(x/T)).
export function softmax(x, temperature, p, first = 0, end = x.length) {
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

// Layers that pass on what they get.
function passes() {
  return () => ({
    y: null,
    step(x) {
      this.y = x;
    },
  });
}

function gates(names, index, part) {
  return Object.fromEntries(names.map((name) => [name, part(`${index}.${name}`, "linear")]));
}

// A layer by its kind: (its description, its index, `part`, which makes a Connected of a name and
// an activation, `norm`) -> () -> the layer of a reader: y, its output; state, what it remembers, if
// anything; step. See the Python file of the same layer for the formulas.
const KINDS = {
  connected(layer, index, part) {
    const connected = part(`${index}`, layer.activation);
    return () => ({
      y: connected.buffer(),
      step(x) {
        connected.step(x, this.y);
      },
    });
  },

  rnn(layer, index, part) {
    const input = part(`${index}.input`, layer.activation);
    const self = part(`${index}.self`, layer.self_activation);
    const output = part(`${index}.output`, layer.activation);
    return () => {
      const s = input.buffer();
      const a = input.buffer();
      const b = self.buffer();
      return {
        y: output.buffer(),
        state: [s],
        step(x) {
          input.step(x, a);
          self.step(s, b);
          if (layer.shortcut) for (let i = 0; i < s.length; i++) b[i] += s[i];
          for (let i = 0; i < s.length; i++) s[i] = a[i] + b[i];
          output.step(s, this.y);
        },
      };
    };
  },

  gru(layer, index, part) {
    const { uz, ur, uh, wz, wr, wh } = gates(["uz", "ur", "uh", "wz", "wr", "wh"], index, part);
    return () => {
      const s = wh.buffer();
      const [z, r, h, ws] = [uz.buffer(), ur.buffer(), uh.buffer(), wh.buffer()];
      function gate(u, w, x, g) {
        u.step(x, g);
        w.step(s, ws);
        for (let i = 0; i < g.length; i++) g[i] = logistic(g[i] + ws[i]);
      }
      return {
        y: s,
        state: [s],
        step(x) {
          gate(uz, wz, x, z);
          gate(ur, wr, x, r);
          for (let i = 0; i < r.length; i++) r[i] *= s[i];
          uh.step(x, h);
          wh.step(r, ws);
          for (let i = 0; i < h.length; i++) h[i] += ws[i];
          activate(layer.activation, h);
          for (let i = 0; i < s.length; i++) s[i] = (s[i] - h[i]) * z[i] + h[i];
        },
      };
    };
  },

  lstm(layer, index, part) {
    const names = ["uf", "ui", "uo", "ug", "wf", "wi", "wo", "wg"];
    const { uf, ui, uo, ug, wf, wi, wo, wg } = gates(names, index, part);
    return () => {
      const h = wf.buffer();
      const c = wf.buffer();
      const [f, i, o, g, w] = [h, h, h, h, h].map(() => wf.buffer());
      function gate(u_, w_, x, y, activation) {
        u_.step(x, y);
        w_.step(h, w);
        for (let k = 0; k < y.length; k++) y[k] += w[k];
        activate(activation, y);
      }
      return {
        y: h,
        state: [h, c],
        step(x) {
          gate(uf, wf, x, f, "logistic");
          gate(ui, wi, x, i, "logistic");
          gate(uo, wo, x, o, "logistic");
          gate(ug, wg, x, g, "tanh");
          for (let k = 0; k < c.length; k++) {
            c[k] = f[k] * c[k] + i[k] * g[k];
            h[k] = o[k] * Math.tanh(c[k]);
          }
        },
      };
    };
  },

  activation(layer) {
    return () => ({
      y: new Float32Array(layer.outputs),
      step(x) {
        this.y.set(x);
        activate(layer.activation, this.y);
      },
    });
  },

  batchnorm(layer, index, part, norm) {
    const { gains, shifts } = norm(`${index}`);
    return () => ({
      y: new Float32Array(layer.outputs),
      step(x) {
        this.y.set(x);
        affine(this.y, gains, shifts);
      },
    });
  },

  // logSums: of each group, see `softmax`.
  softmax(layer) {
    const size = layer.outputs / layer.groups;
    return () => ({
      y: new Float32Array(layer.outputs),
      logSums: new Float64Array(layer.groups),
      step(x) {
        for (let group = 0; group < layer.groups; group++) {
          const first = group * size;
          this.logSums[group] = softmax(x, layer.temperature, this.y, first, first + size);
        }
      },
    });
  },

  logistic(layer) {
    return () => ({
      y: new Float32Array(layer.outputs),
      step(x) {
        this.y.set(x);
        activate("logistic", this.y);
      },
    });
  },

  dropout: passes,
  cost: passes,
};

// A convolution of a text, an image of 1 x 1, is a matrix; the page has it as one.
KINDS.crnn = KINDS.rnn;

// A network from its description, which is JSON in the page, and its tensors.
export class Network {
  constructor(description, tensors) {
    const formulas = {
      rootEpsilon: description.root_epsilon,
      deviationEpsilon: description.deviation_epsilon,
    };
    const part = (name, activation) => new Connected(tensors, name, activation, formulas);
    const norm = (name) => affineOfNorm(tensors, name, formulas);
    this.layers = description.layers;
    this.inputs = description.inputs;
    this.outputs = description.outputs;
    this.outputLayer = description.output_layer;
    this.initialDraws = description.initial_draws;
    this.makers = this.layers.map((layer, index) => KINDS[layer.kind](layer, index, part, norm));
  }

  reader() {
    return new Reader(this);
  }
}

// A network that reads symbols, one after the other, from a zero state.
class Reader {
  constructor(network) {
    this.network = network;
    this.layers = network.makers.map((make) => make());
    this.coded = network.layers[0].takes_symbols ? null : new Float32Array(network.inputs);
    this.last = network.layers[network.outputLayer];
  }

  // One that goes on from here by itself.
  copy() {
    const copy = this.network.reader();
    this.layers.forEach((layer, index) => {
      layer.state?.forEach((values, part) => copy.layers[index].state[part].set(values));
    });
    return copy;
  }

  // Read a symbol, with the first `count` layers only where that is given.
  step(symbol, count = this.layers.length) {
    let x = symbol;
    if (this.coded) {
      this.coded.fill(0);
      this.coded[symbol] = 1;
      x = this.coded;
    }
    for (let index = 0; index < count; index++) {
      const layer = this.layers[index];
      layer.step(x);
      x = layer.y;
    }
  }

  // What `Network.predict` gives: the probabilities of the next symbol.
  get probabilities() {
    return this.layers[this.layers.length - 1].y;
  }

  // The probabilities at another temperature, into p. Where the network does not end in a softmax
  // there is none, and they stay as they are.
  probabilitiesAt(temperature, p) {
    const index = this.network.outputLayer;
    const { kind, groups, temperature: own } = this.last;
    if (kind !== "softmax" || temperature === own) {
      p.set(this.layers[index].y);
      return;
    }
    const x = index > 0 ? this.layers[index - 1].y : this.coded;
    const size = x.length / groups;
    for (let first = 0; first < x.length; first += size) {
      softmax(x, temperature, p, first, first + size);
    }
  }

  // -log of the network's own probability of a symbol, in nats, as `valid` counts it.
  loss(symbol) {
    const index = this.network.outputLayer;
    const layer = this.layers[index];
    if (this.last.kind !== "softmax") {
      return -Math.log(Math.max(layer.y[symbol], 2 ** -126));
    }
    const x = index > 0 ? this.layers[index - 1].y : this.coded;
    const group = Math.floor(symbol / (x.length / this.last.groups));
    return layer.logSums[group] - x[symbol] / this.last.temperature;
  }
}
