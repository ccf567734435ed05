"""A wrong program for each code that the text of a model can cause; a test checks that it gives just that code."""

from __future__ import annotations

_NORMAL = "energy e(x: real) {\n  x ~ normal(0, 1)\n}\n"

CODE_EXAMPLES: dict[str, str] = {
    # text and syntax
    "E0101": "energy e(x: real) = $x^2\n",
    "E0102": "energy e(x: real) = exp(-(x + 1)\n",
    "E0103": "energy e(x: real) = (x + 1]\n",
    "E0104": 'data y: real[N] from "y.json\n',
    "E0105": "energy e(x: real) = .5 * x^2\n",
    "E0106": "energy e(x) = x^2\n",
    "E0107": "energy e(x: real) = if 0 < x < 1 then 0 else x^2\n",
    "E0108": "energy e(z: cat(3)) = if z = 1 then 0 else 1\n",
    "E0109": "energy e(x: real) = x**2\n",
    "E0110": "data A: real[3, 3]\nenergy e(x: real[3]) = sum(A' @ x)\n",
    "E0111": "const n = 3;\nenergy e(x: real[n]) = norm2(x)\n",
    "E0112": "// a parabola\nenergy e(x: real) = x^2\n",
    "E0113": "energy e(x: real) = 1 + if x > 0 then x else -x\n",
    "E0114": "data test: real[N]\nenergy e(x: real) = x^2\n",
    "E0115": "energy e(x: real) {\n  y = 2 * x\n  += y^2\n}\n",
    "E0116": "energy e(x: real) {\n  const s = 2\n  x ~ normal(0, 1)\n}\n",
    "E0117": "energy e(x: real) = 2x\n",
    "E0118": "energy e(x: real) = " + "(" * 101 + "x" + ")" * 101 + "\n",
    "E0119": "data y: real[N] from 'y.json'\nenergy e(x: real) = x^2\n",
    # names
    "E0201": "energy e(mu: real) = muu^2\n",
    "E0202": "energy e(x: real) {\n  x ~ norml(0, 1)\n}\n",
    "E0203": "const n = 1\nconst n = 2\nenergy e(x: real) = n * x^2\n",
    "E0204": "const a = b + 1\nconst b = a - 1\nenergy e(x: real) = a * x^2\n",
    "E0205": "const pi = 3\nenergy e(x: real) = pi * x^2\n",
    "E0206": "energy e(x: real) {\n  x ~ normal(0, 1, 2)\n}\n",
    "E0207": "data n: int = 3\nconst m = n + 1\nenergy e(x: real) = m * x^2\n",
    "E0208": "data W: real[3] = [1, 2, 3]\nenergy e(x: real[3]) = sum(W(x))\n",
    "E0209": "fn f0(x) = x\n"
    + "".join(f"fn f{n}(x) = f{n - 1}(x)\n" for n in range(1, 102))
    + "energy e(x: real) = f101(x)^2\n",
    "E0211": "energy e(x: real[4]) = sum([for i in 4: sum(x[:i])])\n",
    "E0212": "energy e(x: real) = sum(for i in x: 1.0 * i)\n",
    "E0230": "import nowhere\nenergy e(x: real) = nowhere.f(x)\n",
    "E0234": "energy e(x: real) = np.exp(x) + x^2\n",
    "E0235": "import lattices\nenergy e(x: real) = x * lattices\n",
    "E0236": "net f: real[2] -> real = perceptron([64])\nenergy e(x: real[2]) = f(x) + norm2(x)\n",
    "E0237": "net f: real[2, 2] -> real = mlp([64])\nenergy e(x: real[2]) = norm2(x)\n",
    "E0240": "schedule noise = 100\nenergy e(x: real) = x^2\n",
    "E0241": "schedule noise = cosine(levels = 10)\nenergy e(x: real) = noise.alpha_bar(2) * x^2\n",
    # types, shapes, indices
    "E0301": "data a: real[3] = [1, 2, 3]\nenergy e(x: real[4]) = sum((x - a)^2)\n",
    "E0302": "energy e(z: binary) = if z then 1 else 2\n",
    "E0303": "energy e(x: real) = sum(x)\n",
    "E0304": "data a: real[3] = [1, 2, 3]\nenergy e(x: real) = x * a[3]\n",
    "E0305": "energy e(x: real[K]) = norm2(x)\n",
    "E0306": "const n = 2.5\nenergy e(x: real[n]) = norm2(x)\n",
    "E0307": "energy e(x: real[3]) = x^2\n",
    # spaces and supports
    "E0401": "energy e(x: real) {\n  x ~ exponential(1)\n}\n",
    "E0402": "energy e(m: real, x: positive) {\n  m ~ normal(0, 1)\n  x ~ normal(m, 1)\n}\n",
    "E0403": "energy e(x: reel) = x^2\n",
    "E0404": "energy e(x: interval(1, 0)) = x^2\n",
    "E0405": "energy e(x: real) {\n  x ~ normal(0, -1)\n}\n",
    "E0410": "energy e(x: interval(low, 1), low: real) {\n  low ~ normal(0, 1)\n  x ~ uniform(low, 1)\n}\n",
    "E0411": "data a: real[3] = [0, 1, 2]\n\nenergy e(x: interval(a, 3)) = x^2\n",
    "E0412": "data a: real = 2\ndata x: interval(a, 1) = 1.5\n\nenergy e(y: real) = (y - x)^2\n",
    "E0420": "energy e(x: real) {\n  x ~ truncate(normal(0, 1), lower = 0)\n}\n",
    "E0421": "energy e(x: interval(0, 1)) {\n  x ~ truncate(normal(0, 1), 1, 0)\n}\n",
    "E0422": "energy e(x: interval(-pi, 0)) {\n  x ~ truncate(von_mises(0, 1), upper = 0)\n}\n",
    # blocks and normalisation
    "E0500": "constraint c(x: real) = x\nenergy e(x: real) = x^2\n",
    "E0501": "energy e(x: positive) {\n  log(x) ~ normal(0, 1)\n}\n",
    "E0502": "energy e(x: real) {\n  x ~ 3\n}\n",
    "E0503": "param w: real = 0\nlet a = 2 * w\nenergy e(x: real) = a * x^2\n",
    "E0504": "energy e() = 3\n",
    "E0510": "energy e = 3 + 4\n",
    "E0511": "energy a(x: real, z: spin) = x^2 * z\nenergy e = marginal(a, over = w)\n",
    "E0512": "energy a(x: real) = x^2\nenergy e = condition(a, x = 2)\n",
    "E0513": "energy a(x: real) = x^2\nenergy b(x: positive) = x\nenergy e = product(a, b)\n",
    "E0514": "energy a(x: real) = x^2\nenergy b(x: real) = x^4\nenergy e = mixture(a, b, weights = [0.3, 0.7])\n",
    "E0515": "energy a(x: real, z: spin[200]) = (sum(z) - x)^4\nenergy e = marginal(a, over = z)\n",
    "E0516": "energy a(x: real, y: real) = (x - y)^4\nenergy e = marginal(a, over = y)\n",
    "E0517": "energy a(x: real) = x^4\nenergy e(x: real) {\n  x ~ a()\n}\n",
    "E0530": "distribution d(x: real | m: real) = (x - m)^2\nenergy e(x: real) {\n  x ~ normal(0, 1)\n  report y ~ d(x)\n}\n",
    # tasks and methods
    "E0600": "energy schools(x: real) = x^2\nsample school with nuts()\n",
    "E0601": _NORMAL + "sample e with nutts()\n",
    "E0602": _NORMAL + "sample e with nuts(accept = 0.9)\n",
    "E0603": _NORMAL + "sample e with nuts(target_acceptance = 1.5)\n",
    "E0604": "energy e(s: spin[4]) = -sum(s * roll(s, 1))\nsample e with nuts()\n",
    "E0605": _NORMAL + "evidence e with nuts()\n",
    "E0607": _NORMAL + "sample e on (y = 3) with nuts()\n",
    # data
    "E0701": "data y: real[N]\nenergy e(mu: real) {\n  y ~ normal(mu, 1)\n}\n",
    "E0702": "data n: int = 2.5\nenergy e(x: real[n]) = norm2(x)\n",
    "E0703": "data y: real[3] = [1, 2]\nenergy e(mu: real) {\n  y ~ normal(mu, 1)\n}\n",
    "E0704": "data s: positive = -1\nenergy e(x: real) {\n  x ~ normal(0, s)\n}\n",
    "E0705": "data y: real = infinity\nenergy e(mu: real) {\n  y ~ normal(mu, 1)\n}\n",
    "E0707": 'data y: real[N] from "nowhere.json"\nenergy e(mu: real) {\n  y ~ normal(mu, 1)\n}\n',
    "E0709": "data a: real[N] = [1, 2, 3]\nenergy e(x: real) = x^2 * a[5]\n",
    # lints
    "N0703": "energy a(x: real) {\n  x ~ normal(0, 1)\n  report y = 2 * x\n}\nenergy e = mixture(a, a)\n",
    "L0101": "energy e(x: positive) {\n  x ~ normal(0, 1)\n}\n",
    "L0102": "energy e(x: real, y: real) {\n  x ~ normal(0, 1)\n}\n",
    "L0104": "# to be written\n",
    "L0105": "energy e(x: real) = x^2  # allow L0102\n",
    "L0106": "const beta = 0.5\nenergy e(x: real) = x^2\n",
    "L0107": "const scale = 2\nenergy e(x: real) {\n  let scale = 3\n  x ~ normal(0, scale)\n}\nenergy b(x: real) = scale * x^2\n",
    "L0108": "energy e(s: spin[4]) = -sum(if s == 0 then 1 else 2)\n",
    "L0103": "energy e(x: real, s: real) {\n  s ~ normal(0, 1)\n  x ~ normal(0, s)\n}\n",
}
"""By code. Those of files, runs and the command line have none: they do not stand in a text."""

LONGEST_SHOWN = 12
"""Lines of the longest example that is printed."""
