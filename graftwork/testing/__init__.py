"""Property tests for passes, ops and backends: random graphs, and what must hold on them.

    @given(graphs())
    def test_my_pass(graph):
        assert_equivalent(graph, my_pass(graph))

    def test_contract():
        check_pass(my_pass)
        check_op(my_op)

An op is covered once its definition has `sample=` (see `graftwork.ir.draw`): `check_op` runs it on
samples, and `graphs()` mixes it with all other ops.
"""

from graftwork.testing.contracts import check_backends as check_backends
from graftwork.testing.contracts import check_op as check_op
from graftwork.testing.contracts import check_pass as check_pass
from graftwork.testing.contracts import check_rule as check_rule
from graftwork.testing.equivalence import assert_equivalent as assert_equivalent
from graftwork.testing.motifs import motif_of as motif_of
from graftwork.testing.strategies import graphs as graphs
from graftwork.testing.strategies import inputs_for as inputs_for
from graftwork.testing.strategies import samples as samples
