// darknet's fourteen activation functions, of one number each.

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const rectifier = (below) => (x) => Math.max(x, below * x);
// f between low and high, and beyond them a line of this slope.
const bounded = (f, low, high, slope) => (x) => {
  const inside = clamp(x, low, high);
  return f(inside) + slope * (x - inside);
};

function stair(x) {
  const floor = Math.floor(x);
  const steps = Math.floor(x / 2);
  return floor === 2 * steps ? steps : x - floor + steps;
}

export function logistic(x) {
  return 1 / (1 + Math.exp(-x));
}

export const FUNCTIONS = {
  linear: (x) => x,
  logistic,
  loggy: (x) => Math.tanh(x / 2),
  tanh: Math.tanh,
  relu: (x) => Math.max(x, 0),
  elu: (x) => (x >= 0 ? x : Math.expm1(x)),
  selu: (x) => 1.0507 * (x >= 0 ? x : 1.6732 * Math.expm1(x)),
  relie: rectifier(0.01),
  leaky: rectifier(0.1),
  ramp: (x) => Math.max(x, 0) + 0.1 * x,
  plse: bounded((x) => 0.125 * x + 0.5, -4, 4, 0.01),
  stair,
  hardtan: (x) => clamp(x, -1, 1),
  lhtan: bounded((x) => x, 0, 1, 0.001),
};
