// The odds of what comes next: bars that can be chosen. A button stays in its place and gets another
// character, so that the keyboard's focus stays too.

export const BARS = 10;
const LEAST = 5e-5; // shown as 0.01 %; less is not shown

function percent(p) {
  const value = 100 * p;
  return `${value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value.toFixed(2)} %`;
}

export class OddsView {
  // choose(symbols): what a bar does.
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
        if (button.getAttribute("aria-disabled") === "true") return;
        choose(button.value.split(" ").map(Number));
      });
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
      return button;
    });
  }

  // likeliest: as {p, symbols}, BARS of them at most. label(symbols): {shown, spoken}.
  show(likeliest, label) {
    let rest = 1;
    this.buttons.forEach((button, rank) => {
      const item = button.parentElement;
      item.hidden = rank >= likeliest.length;
      if (item.hidden) return;
      const { p, symbols } = likeliest[rank];
      rest -= p;
      const name = label(symbols);
      const share = percent(p);
      button.value = symbols.join(" ");
      button.setAttribute("aria-label", `${name.spoken}: ${share}`);
      button.children[0].textContent = name.shown;
      button.children[1].style.setProperty("--share", String(p));
      button.children[2].textContent = share;
    });
    this.rest.textContent = rest > LEAST ? `all others: ${percent(rest)}` : "";
  }

  enable(isEnabled) {
    this.list.classList.toggle("waits", !isEnabled);
    for (const button of this.buttons) {
      button.setAttribute("aria-disabled", String(!isEnabled));
    }
  }
}
