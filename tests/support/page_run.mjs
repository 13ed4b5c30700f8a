// Runs the modules of an exported page: a list of tasks from stdin, their results to stdout, JSON.
// The first argument is the folder of the modules.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(process.argv[2] + "/").href;
const { FUNCTIONS } = await import(folder + "activations.mjs");
const { Network } = await import(folder + "network.mjs");
const { Rand } = await import(folder + "rand.mjs");
const { PROMPT, Session } = await import(folder + "session.mjs");
const { Pieces, Symbols, visible } = await import(folder + "symbols.mjs");
const { draw, odds } = await import(folder + "sampling.mjs");
const { bytesOfBase64, numberOfHalf, readTensors } = await import(folder + "weights.mjs");

async function open({ description, numbers }) {
  return new Network(description, await readTensors(description.tensors, numbers));
}

// Infinite numbers and those that are none, which JSON has not, as words.
function plain(number) {
  return Number.isFinite(number) ? number : String(number);
}

const TASKS = {
  activations: async () => Object.keys(FUNCTIONS),

  // The outputs of every layer after each symbol.
  async outputs(task) {
    const reader = (await open(task)).reader();
    return task.symbols.map((symbol) => {
      reader.step(symbol);
      return reader.layers.map((layer) => Array.from(layer.y, plain));
    });
  },

  // A text: its symbols, and the losses of all of them.
  async write(task) {
    const network = await open(task);
    const session = new Session(network, new Symbols(task.description.symbols), task.seed);
    if (!task.prompt.length) session.feedNothing();
    for (const symbol of task.prompt) session.feed(symbol, PROMPT);
    const { temperature, topK, topP } = task;
    for (let i = 0; i < task.length; i++) session.write({ temperature, topK, topP });
    return { text: session.symbols.slice(task.prompt.length), losses: session.losses };
  },

  // The likeliest to come next after a text.
  async following(task) {
    const session = new Session(await open(task), new Symbols(task.description.symbols), 0);
    for (const symbol of task.prompt) session.feed(symbol, PROMPT);
    const { symbols, begun } = session.pieces;
    const before = plain(session.reader.layers.at(-1).y[0]);
    const found = session.following({ temperature: task.temperature, topK: 0, topP: 1 }, task.count);
    return {
      p: found.map((item) => item.p),
      symbols: found.map((item) => item.symbols),
      shown: found.map((item) => symbols.labelOf(item.symbols, begun).shown),
      isUnmoved: plain(session.reader.layers.at(-1).y[0]) === before,
    };
  },

  // The units of a layer along a text, kept from the start and kept later; the slowest.
  async trace(task) {
    const session = new Session(await open(task), new Symbols(task.description.symbols), 0);
    const other = new Session(session.network, session.pieces.symbols, 0);
    session.watch(task.layer);
    task.symbols.forEach((symbol, place) => {
      session.feed(symbol, PROMPT);
      other.feed(symbol, PROMPT);
      if (place === 4) other.watch(task.layer);
    });
    while (!other.trace.isComplete) other.trace.catchUp();
    const rows = (trace) => trace.rows.map((row) => Array.from(row));
    return {
      followed: rows(session.trace),
      caughtUp: rows(other.trace),
      slowest: session.trace.slowest(task.count),
    };
  },

  async draws({ seed, drawn, count }) {
    const rand = new Rand(seed, drawn);
    return Array.from({ length: count }, () => rand.rand());
  },

  async uniform({ seed, count }) {
    const rand = new Rand(seed);
    return Array.from({ length: count }, () => rand.uniform());
  },

  // The symbol that is drawn from each row of probabilities.
  choose: async ({ rows, uniform, ...sampling }) =>
    rows.map((row, i) => {
      const p = Float32Array.from(row);
      odds(p, sampling);
      return draw(p, uniform[i], sampling);
    }),

  halves: async () => Array.from({ length: 1 << 16 }, (_, bits) => plain(numberOfHalf(bits))),

  bytes: async ({ text }) => Array.from(await bytesOfBase64(text)),

  // The pieces of some bytes, and the bytes that wait for more.
  async pieces({ described, symbols }) {
    const pieces = new Pieces(new Symbols(described));
    for (const symbol of symbols) pieces.push(symbol);
    return { ends: pieces.ends, texts: pieces.texts, begun: pieces.begun };
  },

  async read({ described, text }) {
    try {
      return new Symbols(described).read(text);
    } catch (error) {
      return error.message;
    }
  },

  labels: async ({ described, symbols, begun }) =>
    symbols.map((symbol) => new Symbols(described).label(symbol, begun)),

  visible: async ({ text }) => visible(text),
};

const results = [];
for (const task of JSON.parse(readFileSync(0, "utf8"))) results.push(await TASKS[task.do](task));
process.stdout.write(JSON.stringify(results));
