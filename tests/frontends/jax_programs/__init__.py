"""Programs over every primitive of JAX, by which its frontend is measured."""

from __future__ import annotations

from itertools import chain

from tests.frontends.jax_programs.algebra import COMPLEX, LINEAR_ALGEBRA
from tests.frontends.jax_programs.control import CONTROL
from tests.frontends.jax_programs.elementwise import ELEMENTWISE
from tests.frontends.jax_programs.indexing import INDEXING
from tests.frontends.jax_programs.program import Program, programs
from tests.frontends.jax_programs.random import RANDOM
from tests.frontends.jax_programs.reductions import REDUCTIONS
from tests.frontends.jax_programs.shapes import SHAPES
from tests.frontends.jax_programs.windows import WINDOWS

TABLES = (
    ELEMENTWISE, SHAPES, REDUCTIONS, INDEXING, WINDOWS, RANDOM, CONTROL, LINEAR_ALGEBRA, COMPLEX,
)  # fmt: skip
PROGRAMS: tuple[Program, ...] = tuple(chain.from_iterable(map(programs, TABLES)))
