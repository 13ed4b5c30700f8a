// The odds of the next symbol: bars that can be chosen. A button stays in its place and gets another
// symbol, so that the keyboard's focus stays too.

const BARS = 10;

export function percent(p) {
  const value = 100 * p;
  return `${value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value.toFixed(2)} %`;
}

export class OddsView {
  // choose(symbol): what a bar does.
  constructor(list, rest, choose) {
    this.list = list;
    this.rest = rest;
    this.buttons = Array.from({ length: BARS }, () => {
      const button = document.createElement("button");
      button.type = "button";
      for (const name of ["symbol", "bar", "percent"]) {
        const span = document.createElement("span");
        span.className = name;
        button.append(span);
      }
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-disabled") !== "true") choose(Number(button.value));
      });
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
      return button;
    });
  }

  // p: the odds. label(symbol): {shown, spoken}. unit: what a symbol is called.
  show(p, label, unit) {
    const ranked = largest(p, BARS);
    let shown = 0;
    this.buttons.forEach((button, rank) => {
      const symbol = ranked[rank];
      const item = button.parentElement;
      item.hidden = symbol === undefined || !(p[symbol] > 0);
      if (item.hidden) return;
      shown += p[symbol];
      const name = label(symbol);
      const share = percent(p[symbol]);
      button.value = String(symbol);
      button.setAttribute("aria-label", `${name.spoken}: ${share}`);
      button.children[0].textContent = name.shown;
      button.children[1].style.setProperty("--share", String(p[symbol]));
      button.children[2].textContent = share;
    });
    const others = p.reduce((count, value) => count + (value > 0), 0) - ranked.length;
    const rest = Math.max(0, 1 - shown);
    this.rest.textContent =
      others > 0
        ? `${others.toLocaleString("en")} other ${unit}${others > 1 ? "s" : ""}: ${percent(rest)}`
        : "";
  }

  enable(isEnabled) {
    this.list.classList.toggle("waits", !isEnabled);
    for (const button of this.buttons) {
      button.setAttribute("aria-disabled", String(!isEnabled));
    }
  }
}

// The symbols of the largest numbers, the largest first, the first of equal ones first.
function largest(p, count) {
  const best = [];
  for (let symbol = 0; symbol < p.length; symbol++) {
    if (!(p[symbol] > 0)) continue;
    if (best.length === count && p[symbol] <= p[best[count - 1]]) continue;
    let place = best.length;
    while (place > 0 && p[symbol] > p[best[place - 1]]) place--;
    best.splice(place, 0, symbol);
    if (best.length > count) best.pop();
  }
  return best;
}
