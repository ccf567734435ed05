"""Special functions: elementwise, real, and where their values lie."""

from __future__ import annotations

from energylang.ir.operations import define, real_valued
from energylang.ir.types import ANYWHERE, NONNEGATIVE, POSITIVE, Range

define("trigamma", "elementwise", 1, real_valued(POSITIVE))
define("acosh", "elementwise", 1, real_valued(NONNEGATIVE))
define("log1m_exp", "elementwise", 1, real_valued(Range(high=0.0)))
define("std_normal_quantile erfinv cbrt asinh atanh log2 log10 log_bessel_i1", "elementwise", 1, real_valued(ANYWHERE))
define("xlogy xlog1py", "elementwise", 2, real_valued(ANYWHERE))
define("gammainc gammaincc", "elementwise", 2, real_valued(Range(0.0, 1.0)))
