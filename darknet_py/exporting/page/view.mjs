// The page: what its controls do, and the work, which is done in small parts between frames.

import { Network } from "./network.mjs";
import { BARS, OddsView } from "./odds_view.mjs";
import { CHOSEN, PROMPT, Session, sum } from "./session.mjs";
import { Symbols, visible } from "./symbols.mjs";
import { TextView } from "./text_view.mjs";
import { readTensors } from "./weights.mjs";

const WORK = 12; // milliseconds of a frame for computing
const PAINT = 4; // and for painting
const SHOWN = 45; // milliseconds from one look of a growing text to the next
const OFTEN = 500; // milliseconds between the figures while it writes
const TOLD = 2500; // milliseconds in which a message takes the place of the figures
const NAMED = 5; // greatest surprises, and slowest units
const CONTEXT = 24; // letters before a surprise that are shown
const LINKED = ["prompt", "temperature", "top-k", "top-p", "length", "seed"]; // what a link carries
const FEWEST = 50; // symbols from which on units can be compared

const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");

class Page {
  constructor(network, symbols) {
    this.network = network;
    this.symbols = symbols;
    this.text = new TextView(byId("text"));
    this.bars = new OddsView(byId("bars"), byId("rest"), (symbols) => this.choose(symbols));
    this.phase = "idle"; // or reading, writing
    this.sampling = { temperature: 0.7, topK: 0, topP: 1 };
    this.speed = 0;
    this.shownAt = 0;
    this.fillIn();
    this.listen();
    byId("controls").reset(); // A browser may have kept a prompt that cannot be read.
    const isAsked = this.readLink();
    this.begin(isAsked || "writes" in byId("writer").dataset);
  }

  // --- controls

  fillIn() {
    const { symbols } = this;
    byId("bars").classList.toggle("tokens", symbols.isTokens);
    byId("length-unit").textContent = this.unitOfLength;
    byId("prompt").placeholder = symbols.isTokens
      ? `${symbols.names.length ? "Names" : "Numbers"} of tokens, with spaces between them`
      : symbols.defaultPrompt.length
        ? "Nothing typed: two line breaks"
        : "Nothing typed: an empty text";
    this.network.layers.forEach((layer, index) => {
      const option = document.createElement("option");
      option.value = String(index);
      option.textContent = `${index}: ${layer.kind} ${layer.outputs}`;
      byId("layer").append(option);
      // The last layer with a state has the most to tell.
      if (layer.states.length) byId("layer").value = String(index);
    });
    this.limitUnit();
    const top = 0.75 * Math.log2(this.network.outputs);
    this.highest = Math.max(1, Math.round(top)); // bits of the darkest color
  }

  listen() {
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin(true);
      // On a narrow screen the text is far below the button.
      byId("text").scrollIntoView({ block: "nearest" });
    });
    byId("go").addEventListener("click", () => {
      if (this.phase === "idle") this.goOn();
      else this.stop();
    });
    byId("new-seed").addEventListener("click", () => {
      byId("seed").value = String(Math.floor(Math.random() * 1e6));
      this.begin(true);
    });
    byId("prompt").addEventListener("input", () => {
      if (this.isOnlyPrompt) this.begin(false);
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.begin(true);
    });
    byId("writer").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.stop();
    });
    byId("copy").addEventListener("click", () => {
      this.copy(this.session.pieces.texts.join(""), "the text");
    });
    byId("link").addEventListener("click", () => {
      const settings = new URLSearchParams(LINKED.map((id) => [id, byId(id).value]));
      history.replaceState(null, "", `#${settings}`);
      this.copy(location.href, "a link to this prompt, seed and sampling");
    });
    addEventListener("hashchange", () => {
      if (this.readLink()) this.begin(true);
    });
    for (const id of ["temperature", "top-k", "top-p"]) {
      byId(id).addEventListener("input", () => {
        this.readControls();
        if (this.phase === "idle") this.showOdds();
      });
    }
    byId("layer").addEventListener("change", () => this.limitUnit());
    for (const id of ["color", "measure", "layer"]) {
      byId(id).addEventListener("change", () => this.show());
    }
    byId("unit").addEventListener("input", () => this.color());
  }

  // Take what the page's address says for the controls. Returns whether it says anything.
  readLink() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const id of LINKED) if (given.has(id)) byId(id).value = given.get(id);
    return given.has("seed");
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.tell(`copied ${what}`);
    } catch {
      this.tell(`the browser does not let the page copy ${what}`);
    }
  }

  // For the eye, in place of the figures for a moment, and for the ear.
  tell(message) {
    byId("figures").textContent = message;
    setTimeout(() => this.showFigures(), TOLD);
    this.say(message);
  }

  complain(message) {
    const place = byId("trouble");
    place.hidden = !message;
    place.textContent = message;
  }

  // Take in what the controls say. Returns whether all of it is valid, and tells what is not.
  readControls() {
    const temperature = byId("temperature").valueAsNumber;
    byId("temperature-shown").textContent = temperature.toFixed(2);
    const wrong = document.querySelector("#controls input:invalid");
    if (!wrong) {
      const [topK, topP] = ["top-k", "top-p"].map((id) => byId(id).valueAsNumber);
      this.sampling = { temperature, topK, topP };
      this.complain("");
      return true;
    }
    const name = wrong.labels[0].firstChild.textContent.trim();
    const most = wrong.max ? ` to ${wrong.max}` : " on";
    const kind = wrong.step === "any" ? "number" : "whole number";
    this.complain(`${name} must be a ${kind} from ${wrong.min}${most}.`);
    return false;
  }

  limitUnit() {
    const most = this.network.layers[Number(byId("layer").value)].outputs - 1;
    byId("unit").max = String(most);
    if (!(byId("unit").valueAsNumber <= most)) byId("unit").value = "0";
  }

  // surprise, unit or nothing
  get mode() {
    return byId("color").value;
  }

  // --- reading and writing

  // Read the prompt from a zero state, and then write, where that is wanted.
  begin(writes) {
    if (!this.readControls()) return;
    const typed = byId("prompt").value;
    let prompt;
    try {
      prompt = typed ? this.symbols.read(typed) : this.symbols.defaultPrompt;
    } catch (error) {
      this.complain(error.message);
      return;
    }
    const session = new Session(this.network, this.symbols, byId("seed").valueAsNumber);
    if (prompt.length >= session.most) {
      this.complain(
        `The prompt has ${number(prompt.length)} ${this.unitOfLength}, and the page has room for ` +
          `${number(session.most)}: give a shorter one.`,
      );
      return;
    }
    this.session = session;
    if (!prompt.length) this.session.feedNothing();
    byId("asked").textContent = typed ? `After “${visible(typed)}”` : "";
    this.waiting = Array.from(prompt).reverse();
    this.isOnlyPrompt = !writes;
    this.text.show(this.session);
    this.color();
    this.setPhase("reading");
  }

  get unitOfLength() {
    return this.symbols.isTokens ? "tokens" : "bytes";
  }

  goOn() {
    if (!this.readControls()) return this.rest("");
    this.isOnlyPrompt = false;
    this.left = byId("length").valueAsNumber;
    this.began = { time: performance.now(), pieces: this.session.pieces.ends.length };
    this.figuresAt = 0;
    this.setPhase("writing");
    this.say("writing");
  }

  stop() {
    if (this.phase !== "idle") this.rest("stopped");
  }

  // A bar was chosen.
  choose(symbols) {
    if (this.phase !== "idle" || this.session.isFull) return;
    this.isOnlyPrompt = false;
    const { spoken } = this.label(symbols);
    for (const symbol of symbols) this.session.feed(symbol, CHOSEN);
    this.rest("");
    this.say(`wrote ${spoken}`);
  }

  // Nothing more is written for now. reason: for the ear.
  rest(reason) {
    if (this.phase === "writing") this.measure();
    this.waiting = [];
    this.setPhase("idle");
    this.showOdds();
    this.show();
    const full = this.session.isFull ? "; the page has no room for more" : "";
    if (reason) this.say(`${reason}: ${byId("figures").textContent}${full}`);
  }

  say(message) {
    byId("status").textContent = message;
  }

  setPhase(phase) {
    this.phase = phase;
    const isIdle = phase === "idle";
    byId("go").textContent = isIdle ? "Continue" : "Stop";
    byId("go").disabled = isIdle && this.session.isFull;
    byId("reading").setAttribute("aria-busy", "true"); // until `frame` has shown all of it
    this.bars.enable(isIdle);
    this.schedule();
  }

  schedule() {
    this.scheduled ??= requestAnimationFrame(() => {
      this.scheduled = null;
      this.frame();
    });
  }

  frame() {
    const until = performance.now() + WORK;
    while (this.workABit() && performance.now() < until);
    if (this.phase === "idle" || performance.now() - this.shownAt > SHOWN) {
      this.shownAt = performance.now();
      this.text.grow();
      this.text.paint(this.shownAt + PAINT);
      if (this.phase === "writing") this.measure();
    }
    if (this.phase !== "idle" || this.isBehind || !this.text.isPainted) this.schedule();
    else byId("reading").setAttribute("aria-busy", "false");
  }

  get isBehind() {
    return this.mode === "unit" && this.session.trace && !this.session.trace.isComplete;
  }

  // Read or write a symbol, and look at one that the trace has not seen. Returns whether there is
  // more to do.
  workABit() {
    if (this.phase === "reading") {
      if (this.waiting.length) this.session.feed(this.waiting.pop(), PROMPT);
      else if (this.isOnlyPrompt) this.rest("");
      else this.goOn();
    } else if (this.phase === "writing") {
      if (this.left > 0 && !this.session.isFull) {
        this.session.write(this.sampling);
        this.left--;
      } else {
        this.rest("done");
      }
    }
    if (this.isBehind) {
      this.session.trace.catchUp();
      if (this.session.trace.isComplete) this.color();
    }
    return this.phase !== "idle" || this.isBehind;
  }

  // --- what is shown

  measure() {
    const now = performance.now();
    const pieces = this.session.pieces.ends.length - this.began.pieces;
    this.speed = (1000 * pieces) / Math.max(1, now - this.began.time);
    if (now - this.figuresAt < OFTEN) return;
    this.figuresAt = now;
    this.showFigures();
    if (this.mode === "unit") this.color(); // Its mean and reach may be others by now.
  }

  show() {
    this.color();
    this.showFigures();
    this.showSurprises();
  }

  showFigures() {
    if (this.isOnlyPrompt && !byId("prompt").value) {
      byId("figures").textContent = "Nothing is written yet.";
      return;
    }
    const pieces = this.session.pieces.ends.length;
    const { unit } = this.symbols;
    const facts = [`${number(pieces)} ${unit}${pieces === 1 ? "" : "s"}`];
    if (!this.isOnlyPrompt && this.speed) facts.push(`${number(Math.round(this.speed))} a second`);
    const mean = (sum(this.session.losses) / (pieces - 1)) * this.perNat;
    if (pieces > 1 && Number.isFinite(mean)) {
      facts.push(`${mean.toFixed(2)} ${this.measureName} a ${unit}`);
    }
    byId("figures").textContent = facts.join(" · ");
  }

  get measureName() {
    return byId("measure").value;
  }

  get perNat() {
    return this.measureName === "bits" ? Math.LOG2E : 1;
  }

  label(symbols) {
    return this.symbols.labelOf(symbols, this.session.pieces.begun);
  }

  showOdds() {
    const likeliest = this.session.following(this.sampling, BARS);
    this.bars.show(likeliest, (symbols) => this.label(symbols));
    const { temperature, topK, topP } = this.sampling;
    const at = temperature ? `at temperature ${temperature.toFixed(2)}` : "always the likeliest";
    const of = topK ? `, of the ${number(topK)} likeliest` : "";
    const within = topP < 1 ? `, of those that make up ${topP}` : "";
    byId("odds-note").textContent = `The odds ${at}${of}${within}. Choose one to write it.`;
  }

  // Set the colors of the text, and what belongs to them.
  color() {
    const { mode, session } = this;
    for (const element of document.querySelectorAll("#writer [data-for]")) {
      element.hidden = element.dataset.for !== mode;
    }
    if (mode === "surprise") {
      const highest = this.highest / Math.LOG2E;
      this.text.color((i) => session.surprise(i) / highest);
      const high = (highest * this.perNat).toFixed(this.measureName === "bits" ? 0 : 1);
      byId("scale-high").textContent = `${high} ${this.measureName} and more`;
    } else if (mode === "unit") {
      this.colorByUnit();
    } else {
      this.text.color(() => 0);
    }
    this.schedule();
  }

  colorByUnit() {
    const unit = byId("unit").validity.valid ? byId("unit").valueAsNumber : 0;
    const { session } = this;
    session.watch(Number(byId("layer").value));
    const { trace } = session;
    const { mean, reach } = trace.range(unit);
    this.text.color((i) => {
      const row = trace.rows[session.pieces.ends[i] - 1];
      return row ? (row[unit] - mean) / reach : 0;
    });
    byId("unit-low").textContent = (mean - reach).toFixed(2);
    byId("unit-high").textContent = (mean + reach).toFixed(2);
    if (this.phase === "idle" && trace.isComplete) this.nameSlowUnits(trace);
  }

  // Buttons for the units whose output changes most slowly.
  nameSlowUnits(trace) {
    const place = byId("slow");
    const units = trace.rows.length >= FEWEST ? trace.slowest(NAMED) : [];
    if (place.dataset.units === units.join(" ") && place.childNodes.length) return;
    place.dataset.units = units.join(" ");
    place.replaceChildren(
      units.length ? "Change most slowly along this text: " : "Write a text to see units change.",
    );
    for (const unit of units) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = String(unit);
      button.setAttribute("aria-label", `Show unit ${unit}`);
      button.addEventListener("click", () => {
        byId("unit").value = String(unit);
        this.color();
      });
      place.append(button, " ");
    }
  }

  // For those who do not see the colors: the greatest surprises, in words.
  showSurprises() {
    const { pieces } = this.session;
    const order = Array.from(pieces.ends.keys());
    const losses = order.map((i) => this.session.surprise(i));
    order.sort((a, b) => losses[b] - losses[a] || a - b);
    const oneLine = (texts) => texts.join("").replace(/\n/g, "⏎");
    const rows = order.slice(0, NAMED).filter((i) => losses[i] > 0);
    byId("surprises-unit").textContent = this.measureName;
    byId("surprises").hidden = this.mode !== "surprise" || this.isOnlyPrompt || !rows.length;
    byId("surprises-rows").replaceChildren(
      ...rows.map((i) => {
        const row = document.createElement("tr");
        const before = oneLine(pieces.texts.slice(Math.max(0, i - CONTEXT), i));
        const last = Array.from(before).slice(-CONTEXT).join("");
        const cells = [(losses[i] * this.perNat).toFixed(1), oneLine([pieces.texts[i]]), last];
        for (const cell of cells) row.insertCell().textContent = cell;
        return row;
      }),
    );
  }
}

async function start() {
  const description = JSON.parse(byId("network").textContent);
  const numbers = byId("numbers");
  const tensors = await readTensors(description.tensors, numbers.textContent);
  numbers.remove();
  byId("loading").hidden = true;
  for (const id of ["controls", "actions", "reading", "odds"]) byId(id).hidden = false;
  new Page(new Network(description, tensors), new Symbols(description.symbols));
  byId("writer").removeAttribute("aria-busy");
  performance.mark("ready");
}

start().catch((error) => {
  byId("loading").textContent = `This page is damaged, or the browser is too old: ${error.message}`;
});
