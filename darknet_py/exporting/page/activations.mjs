// darknet's fourteen activation functions, of one number each.

function rectifier(below) {
  return (x) => Math.max(x, below * x);
}

function stair(x) {
  const floor = Math.floor(x);
  const steps = Math.floor(x / 2);
  return floor === 2 * steps ? steps : x - floor + steps;
}

function plse(x) {
  if (x < -4) return 0.01 * (x + 4);
  if (x > 4) return 0.01 * (x - 4) + 1;
  return 0.125 * x + 0.5;
}

function lhtan(x) {
  if (x < 0) return 0.001 * x;
  if (x > 1) return 0.001 * (x - 1) + 1;
  return x;
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
  plse,
  stair,
  hardtan: (x) => Math.min(1, Math.max(-1, x)),
  lhtan,
};
