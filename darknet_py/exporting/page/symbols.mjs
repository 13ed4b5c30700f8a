// What symbols stand for: bytes of a text in UTF-8, or tokens, which have numbers and names.

const WRONG = "\ufffd";

// The character of some bytes: "" if they are the start of one, null if they are no part of a text.
function characterOf(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(Uint8Array.from(bytes), { stream: true });
  } catch {
    return null;
  }
}

// The bytes of the character to which one more of them belongs.
function withByte(begun, byte) {
  const bytes = [...begun, byte];
  return characterOf(bytes) === null ? [byte] : bytes;
}

// The bytes that wait for more after one more of them.
function waiting(begun, byte) {
  const bytes = withByte(begun, byte);
  return characterOf(bytes) === "" ? bytes : [];
}

// Control characters as pictures, but for tabs and newlines.
export function visible(text) {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (control) =>
    String.fromCharCode(control === "\x7f" ? 0x2421 : 0x2400 + control.charCodeAt(0)),
  );
}

const SPECIAL = {
  0x09: ["⇥", "tab"],
  0x0a: ["⏎", "line break"],
  0x0d: ["␍", "carriage return"],
  0x20: ["␣", "space"],
};

function hex(byte) {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

export class Symbols {
  // described: {inputs, tokens, names, prompt}; names is null for bytes.
  constructor(described) {
    this.inputs = described.inputs;
    this.isTokens = described.tokens;
    this.names = described.names;
    this.defaultPrompt = described.prompt;
    this.unit = this.isTokens ? "token" : "character";
    if (!this.isTokens) return;
    // Of two tokens of one name, the name means the lower.
    this.numbers = new Map();
    this.names.forEach((name, number) => {
      if (name && !this.numbers.has(name)) this.numbers.set(name, number);
    });
    const spaced = [...this.numbers.keys()].filter((name) => /\s/.test(name));
    spaced.sort((a, b) => b.length - a.length);
    // A name ends where a word ends.
    const ends = spaced.map((name) => escaped(name) + (/\s$/.test(name) ? "" : "(?!\\S)"));
    this.word = spaced.length ? new RegExp(`(?:${ends.join("|")}|\\S+) ?`, "gu") : /\S+/gu;
  }

  // The symbols of a text that someone typed. Throws an Error whose message says what is wrong.
  read(text) {
    return this.isTokens ? this.readTokens(text) : this.readBytes(text);
  }

  readBytes(text) {
    const bytes = Array.from(new TextEncoder().encode(text));
    const unknown = bytes.find((byte) => byte >= this.inputs);
    if (unknown === undefined) return bytes;
    throw new Error(
      `The prompt has the byte ${unknown}, and this network knows those from 0 to ` +
        `${this.inputs - 1}: choose other characters.`,
    );
  }

  readTokens(text) {
    const words = text.replace(/\r\n?/g, "\n").match(this.word) ?? [];
    return words.map((found) => {
      const word = this.numbers.has(found) ? found : found.replace(/ $/, "");
      const number = this.numbers.get(word) ?? (/^[0-9]{1,9}$/.test(word) ? Number(word) : -1);
      if (number >= 0 && number < this.inputs) return number;
      const names = this.names.length ? "names of tokens, or " : "";
      throw new Error(
        `The prompt has the word “${word.slice(0, 40)}”, which is no token: ` +
          `give ${names}numbers from 0 to ${this.inputs - 1}.`,
      );
    });
  }

  name(token) {
    return this.names[token] ?? String(token);
  }

  // Whether some symbols after what has begun are more than the start of a character.
  areWhole(symbols, begun) {
    if (this.isTokens) return true;
    return symbols.reduce(waiting, begun).length < begun.length + symbols.length;
  }

  // What some symbols make of what has begun, as {shown, spoken}.
  labelOf(symbols, begun) {
    const last = symbols[symbols.length - 1];
    const before = symbols.slice(0, -1).reduce(waiting, begun);
    const label = this.label(last, before);
    const isBroken = before.length && withByte(before, last).length === 1;
    if (!isBroken || symbols.length === 1) return label;
    return { shown: WRONG + label.shown, spoken: `a broken character, then ${label.spoken}` };
  }

  // A symbol by itself, as {shown, spoken}. begun: bytes of a character that wait for more.
  label(symbol, begun = []) {
    if (this.isTokens) {
      const name = this.name(symbol);
      if (name.trim()) return { shown: visible(name).replace(/\n/g, "⏎"), spoken: name };
      if (name === "\n") return { shown: "⏎", spoken: "line break" };
      return { shown: `#${symbol}`, spoken: `token ${symbol}` };
    }
    if (SPECIAL[symbol]) return { shown: SPECIAL[symbol][0], spoken: SPECIAL[symbol][1] };
    const byte = `byte ${hex(symbol)}`;
    const bytes = withByte(begun, symbol);
    const character = characterOf(bytes);
    if (symbol >= 0x80 && character) return { shown: character, spoken: character };
    if (bytes.length > 1) return { shown: `…${hex(symbol)}`, spoken: `${byte}, within a character` };
    if (character === "") {
      return { shown: `${hex(symbol)}…`, spoken: `${byte}, the start of a character` };
    }
    if (character === null) return { shown: hex(symbol), spoken: byte };
    const shown = visible(String.fromCharCode(symbol));
    return { shown, spoken: symbol < 0x20 || symbol === 0x7f ? byte : shown };
  }
}

// Symbols that come one by one, as what is read as a unit: characters, or tokens.
// ends[i]: the number of symbols up to the end of piece i; texts[i]: how it is shown.
export class Pieces {
  constructor(symbols) {
    this.symbols = symbols;
    this.ends = [];
    this.texts = [];
    this.begun = []; // bytes of a character that wait for more
    this.count = 0;
  }

  push(symbol) {
    if (this.symbols.isTokens) {
      this.add(++this.count, `${this.symbols.name(symbol)} `);
      return;
    }
    const bytes = withByte(this.begun, symbol);
    if (bytes.length <= this.begun.length) this.add(this.count, WRONG);
    this.count++;
    const character = characterOf(bytes);
    this.begun = character === "" ? bytes : [];
    if (character !== "") this.add(this.count, character ?? WRONG);
  }

  add(end, text) {
    this.ends.push(end);
    this.texts.push(text);
  }
}
