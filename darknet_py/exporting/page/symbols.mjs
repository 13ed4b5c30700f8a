// What symbols stand for: bytes of a text in UTF-8, or tokens, which have numbers and names.

const WRONG = "\ufffd";

// How many bytes follow the first byte of a character; -1 where no character begins so.
function following(byte) {
  if (byte < 0x80) return 0;
  if (byte >= 0xc2 && byte < 0xe0) return 1;
  if (byte >= 0xe0 && byte < 0xf0) return 2;
  return byte >= 0xf0 && byte < 0xf5 ? 3 : -1;
}

// Whether a byte can go on with what has begun.
function goesOn(begun, byte) {
  if ((byte & 0xc0) !== 0x80) return false;
  if (begun.length > 1) return true;
  // Neither longer forms than needed, nor surrogates, nor what lies beyond the last character.
  if (begun[0] === 0xe0) return byte >= 0xa0;
  if (begun[0] === 0xed) return byte < 0xa0;
  if (begun[0] === 0xf0) return byte >= 0x90;
  return begun[0] !== 0xf4 || byte < 0x90;
}

// The bytes of the character to which one more of them belongs.
function withByte(begun, byte) {
  return begun.length && goesOn(begun, byte) ? [...begun, byte] : [byte];
}

function isEnded(bytes) {
  return bytes.length > following(bytes[0]);
}

// The bytes that wait for more after one more of them.
function waiting(begun, byte) {
  const bytes = withByte(begun, byte);
  return isEnded(bytes) ? [] : bytes;
}

function characterOf(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
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
    const still = symbols.reduce(waiting, begun);
    return this.isTokens || still.length < begun.length + symbols.length;
  }

  // What some symbols make of what has begun, as {shown, spoken}.
  labelOf(symbols, begun) {
    const last = symbols[symbols.length - 1];
    const before = symbols.slice(0, -1).reduce(waiting, begun);
    const label = this.label(last, before);
    if (!before.length || symbols.length === 1 || goesOn(before, last)) return label;
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
    if (symbol >= 0x80 && begun.length && goesOn(begun, symbol)) {
      const bytes = [...begun, symbol];
      if (bytes.length > following(begun[0])) {
        const character = characterOf(bytes);
        return { shown: character, spoken: character };
      }
      return { shown: `…${hex(symbol)}`, spoken: `${byte}, within a character` };
    }
    if (symbol >= 0x80) {
      const begins = following(symbol) > 0;
      return {
        shown: begins ? `${hex(symbol)}…` : hex(symbol),
        spoken: begins ? `${byte}, the start of a character` : byte,
      };
    }
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
    if (isEnded(bytes)) this.add(this.count, characterOf(bytes));
    this.begun = isEnded(bytes) ? [] : bytes;
  }

  add(end, text) {
    this.ends.push(end);
    this.texts.push(text);
  }
}
