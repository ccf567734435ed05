"""The models by which the language was designed."""

from __future__ import annotations

EXAMPLES = {
    "eight_schools": """\
# Eight schools (Rubin 1981), non-centred.
data y: real[J] = [28, 8, -3, 7, -1, 1, 18, 12]         # a default; `--data` overrides it
data sigma: positive[J] = [15, 10, 16, 11, 9, 11, 10, 18] # J is solved from the data

energy schools(mu: real, tau: positive, eta: real[J]) {
  mu  ~ normal(0, 5)
  tau ~ half_cauchy(5)
  eta ~ normal(0, 1)
  let theta = mu + tau * eta
  y ~ normal(theta, sigma)
  report theta                        # kept with the draws
}

sample schools with nuts(target_acceptance = 0.9), draws = 1000, warmup = 1000, chains = 4
""",
    "ising": """\
const n = 32                          # `--set n=64` overrides a const
const beta = 0.4407

energy ising(s: spin[n, n]) =
  -beta * (sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1)))

sample ising with gwg(), draws = 2000, chains = 64
""",
    "potts": """\
const q = 4
energy potts(s: cat(q)[16, 16]) = -sum(s == roll(s, 1, axis = 0)) - sum(s == roll(s, 1, axis = 1))
""",
    "rbm": """\
const H = 25
data  images: binary[N, V]
param W: real[V, H] from normal(0, 0.05)          # how it starts, not a prior
param b: real[V] = 0
param c: real[H] = 0

energy rbm(v: binary[V], h: binary[H]) = -(dot(v, W @ h) + dot(b, v) + dot(c, h))
energy visible = marginal(rbm, over = h)          # softplus, found by the compiler: h factorises given v

train visible on (v = images) with pcd(sampler = gwg(), particles = 256), steps = 5_000, optimizer = adam(1e-3)
""",
    "flows": """\
data x: real[N, 2]
flow ffjord(z: real[2]) = normal |> cnf(concatsquash([64, 64, 64]), solver = dopri5, rtol = 1e-5, atol = 1e-5)
flow resnet(z: real[2]) = normal |> iresnet(blocks = 32, hidden = [64, 64], lipschitz = 0.9)
train ffjord on (z = x) with mle(), optimizer = adam(1e-3), steps = 10_000, batch = 512
""",
    "diffusion": """\
schedule noise = cosine(levels = 100)
net f: (real[2], real) -> real[2] = mlp([128, 128, 128], act = swish, time = fourier(32))
net g: (real[2], real) -> real[2] = mlp([128, 128, 128], act = swish, time = fourier(32))

energy ring(x: real[2] @ t: noise) = 0.5 * norm2(f(x, t))     # an energy at every noise level; t = 0 is the data
energy bars(x: real[2] @ t: noise) = 0.5 * norm2(g(x, t))
energy both = product(ring, bars)

sample both with annealed(hmc(leapfrog = 3), steps_per_level = 10), draws = 4096
""",
    "jem": """\
net  logits: real[64] -> real[10] = mlp([256, 256])
data images: real[N, 64]
data labels: cat(10)[N]

energy joint(x: real[64], y: cat(10)) = -logits(x)[y]          # JEM: one net, every conditional
energy classifier = condition(joint, given = x)                # p(y | x), exact: y is finite
energy density    = marginal(joint, over = y)                  # p(x), unnormalised
energy threes     = guide(density, condition(joint, given = x), y = 3, scale = 2)

train joint on (x = images, y = labels) with jem(sampler = sgld(steps = 20), buffer = 10_000), steps = 20_000
""",
    "hmm": """\
# An HMM, its states summed out along the chain by the compiler.
data y: real[T]
energy hmm(z: cat(2)[T], theta: simplex[2, 2], mu: ordered[2]) {
  mu ~ normal([3, 10], 1)
  z[1:] ~ categorical(theta[z[:-1]])
  y ~ normal(mu[z], 1)
  report y_rep ~ normal(mu[z], 1)     # a predictive draw
}
energy paths = marginal(hmm, over = z)
sample paths with nuts()
""",
    "retrieval": """\
energy match(d: cat(M) | q: real[D]) = -dot(embed_q(q), embed_d(docs[d])) / temperature
energy hop(v: neighbors(wiki, here) | here: node(wiki), goal: node(wiki)) = -dot(head(emb[here], emb[goal]), emb[v])
""",
}
