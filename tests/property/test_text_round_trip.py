"""Random graphs survive their text form, whatever their names, values and regions."""

from hypothesis import given

from graftwork.ir.digest import digest, equal
from graftwork.ir.graph import Graph
from graftwork.ir.text import parse
from graftwork.ir.verify import verify
from graftwork.testing import graphs


@given(graphs())
def test_a_random_graph_is_well_formed(graph: Graph) -> None:
    verify(graph)


@given(graphs())
def test_text_reads_back_as_the_same_graph(graph: Graph) -> None:
    text = str(graph)
    read = parse(text, graph.store)
    assert equal(read, graph, origins=True)
    assert digest(read, origins=True) == digest(graph, origins=True)
    assert str(read) == text
