// From probabilities to the next symbol, as darknet draws it.

const f = Math.fround;
// Probabilities below .0001 are never drawn. This is the largest 32-bit number below it.
const CUT_OFF = f(0.0001);

// Zero what lies below the cut-off and make the rest sum to 1, in place.
// The sum is taken in order and each step rounded, so that the drawn symbol is darknet's.
function cutOff(p) {
  const kept = p.some((value) => value > CUT_OFF);
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    if (kept && !(p[i] > CUT_OFF)) p[i] = 0;
    sum = f(sum + p[i]);
  }
  const inverse = f(1 / sum);
  for (let i = 0; i < p.length; i++) p[i] *= inverse;
}

// The symbols of the largest numbers above 0, the largest first, the first of equal ones first.
export function largest(p, count) {
  const symbols = Array.from(p.keys()).filter((symbol) => p[symbol] > 0);
  return symbols.sort((a, b) => p[b] - p[a]).slice(0, count);
}

function likeliest(p) {
  return p.reduce((best, value, symbol) => (value > p[best] ? symbol : best), 0);
}

// Keep the k largest (0: all), the first of equal ones, as long as those before one have not reached
// a sum of topP; make them sum to 1, in place.
function keepLargest(p, k, topP) {
  const kept = new Set();
  let sum = 0;
  for (const symbol of largest(p, k || p.length)) {
    sum = f(sum + p[symbol]);
    if (topP < 1 && f(sum - p[symbol]) >= f(topP)) break;
    kept.add(symbol);
  }
  for (let i = 0; i < p.length; i++) if (!kept.has(i)) p[i] = 0;
  const rest = f(p.reduce((a, b) => a + b));
  for (let i = 0; i < p.length; i++) p[i] /= rest;
}

// The probabilities with which the next symbol is drawn, in place.
// sampling: {temperature, topK, topP}; a temperature of 0 always takes the likeliest, a topK of 0 and
// a topP of 1 keep all.
export function odds(p, sampling) {
  if (sampling.temperature === 0) {
    const best = likeliest(p);
    p.fill(0);
    p[best] = 1;
    return;
  }
  cutOff(p);
  if (!isPlain(sampling)) keepLargest(p, sampling.topK, sampling.topP);
}

function isPlain({ topK, topP }) {
  return topK === 0 && topP === 1;
}

// The first symbol at which `uniform`, less the odds so far, is not above 0.
export function draw(p, uniform, sampling) {
  if (sampling.temperature === 0) return likeliest(p);
  let chosen = 0;
  let left = f(f(uniform) - p[0]);
  while (!(left <= 0) && chosen < p.length - 1) left = f(left - p[++chosen]);
  // Rounding may leave a rest that no symbol takes; then the last one is darknet's choice, unless
  // it is not among those that may be drawn.
  return isPlain(sampling) || p[chosen] > 0 ? chosen : likeliest(p);
}
