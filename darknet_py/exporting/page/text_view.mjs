// The text on the page: its pieces in colored spans, in blocks that are painted when they change.

import { visible } from "./symbols.mjs";

const LEVELS = 12; // of color
// Pieces of a block: it ends with the first line that ends after so many, or with the second.
const SHORTEST = 200;
const LONGEST = 4000;
const NEAR_THE_END = 40; // pixels within which the view follows the text

export class TextView {
  constructor(element) {
    this.element = element;
    this.show(null);
  }

  // Show another session from its start.
  show(session) {
    this.session = session;
    this.element.replaceChildren();
    this.blocks = []; // {first, end, element}: pieces
    this.dirty = new Set();
    this.shade = () => 0;
  }

  // shade(i): the color of piece i, from -1 (cold) over 0 (none) to 1 (hot).
  color(shade) {
    this.shade = shade;
    this.dirty = new Set(this.blocks);
  }

  // Take in the pieces that have come since.
  grow() {
    const { texts } = this.session.pieces;
    let block = this.blocks[this.blocks.length - 1];
    for (let i = block ? block.end : 0; i < texts.length; i++) {
      if (!block || isWhole(block, texts)) {
        block = { first: i, end: i, element: document.createElement("div") };
        this.blocks.push(block);
        this.element.append(block.element);
      }
      block.end = i + 1;
      this.dirty.add(block);
    }
  }

  get isPainted() {
    return this.dirty.size === 0;
  }

  // Paint what has changed, the end of the text first, until this time.
  paint(until) {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    const follows = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
    for (const block of [...this.dirty].sort((a, b) => b.first - a.first)) {
      this.paintBlock(block);
      this.dirty.delete(block);
      if (performance.now() > until) break;
    }
    if (follows) this.element.scrollTop = this.element.scrollHeight;
  }

  paintBlock(block) {
    const { texts } = this.session.pieces;
    const spans = [];
    let key = null;
    for (let i = block.first; i < block.end; i++) {
      const level = Math.round(LEVELS * Math.max(-1, Math.min(1, this.shade(i) || 0)));
      const origin = this.session.origin(i);
      const here = `${level} ${origin}`;
      if (here !== key) {
        spans.push(spanOf(level, origin));
        key = here;
      }
      spans[spans.length - 1].textContent += visible(texts[i]);
    }
    // The end of a block ends its last line.
    const last = spans[spans.length - 1];
    if (isWhole(block, texts)) last.textContent = last.textContent.replace(/\n$/, "");
    block.element.replaceChildren(...spans);
  }
}

function isWhole(block, texts) {
  const count = block.end - block.first;
  return count >= LONGEST || (count >= SHORTEST && texts[block.end - 1].endsWith("\n"));
}

function spanOf(level, origin) {
  const span = document.createElement("span");
  if (level) {
    span.className = level > 0 ? "hot" : "cold";
    span.style.setProperty("--level", String(Math.abs(level) / LEVELS));
  }
  span.classList.add(origin);
  return span;
}
