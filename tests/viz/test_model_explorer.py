"""What Model Explorer is given: the fields that it reads, edges that fit, numbers by node."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from viz_graphs import decoder, doubled, named

import graftwork as gw
from graftwork.ir.errors import SelectionError, StorageError
from graftwork.ir.graph import Graph
from graftwork.viz.model_explorer import Json, graph_collection, node_data

NODE = {
    "id", "label", "namespace", "subgraphIds", "attrs", "incomingEdges", "outputsMetadata",
    "inputsMetadata",
}  # fmt: skip


def looped() -> Graph:
    """A graph with a loop, whose body is a region."""
    jax = pytest.importorskip("jax")

    def body(carry: object, _: object) -> tuple[object, object]:
        return jax.numpy.tanh(carry), carry

    def loop(x: object) -> object:
        return jax.lax.scan(body, x, None, length=3)

    return gw.from_jax(loop, np.ones(4, np.float32), axes={"x": "embed"})


def pairs(told: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in told}


def node(collection: Json, name: str) -> Json:
    return next(node for node in collection["graphs"][0]["nodes"] if node["id"] == name)


@pytest.mark.parametrize("made", [lambda: decoder(2), looped, lambda: named("</b>", "", "\u202e")])
def test_the_json_has_the_fields_of_graph_builder_and_edges_that_fit(made: object) -> None:
    graph = made()
    collection = json.loads(json.dumps(graph_collection(graph, "mine"), allow_nan=False))
    assert {*collection} == {"label", "graphs"}
    ids = [one["id"] for one in collection["graphs"]]
    assert len({*ids}) == len(ids)
    for one in collection["graphs"]:
        assert {*one} <= {"id", "nodes", "groupNodeAttributes"}
        outputs = {n["id"]: [m["id"] for m in n.get("outputsMetadata", ())] for n in one["nodes"]}
        assert len(outputs) == len(one["nodes"])
        for n in one["nodes"]:
            assert {*n} <= NODE
            told = [n["attrs"], *(m["attrs"] for m in n.get("outputsMetadata", ()))]
            assert all(type(v) is str for some in told for v in pairs(some).values())
            assert {*n.get("subgraphIds", ())} <= {*ids}
            for place, edge in enumerate(n["incomingEdges"]):
                assert edge["sourceNodeOutputId"] in outputs[edge["sourceNodeId"]]
                assert edge["targetNodeInputId"] == str(place)


def test_modules_are_namespaces_and_types_have_named_axes() -> None:
    graph = decoder(2)
    collection = graph_collection(graph)
    place = next(i for i, n in enumerate(graph.nodes) if n.op.name == "attention")
    found = node(collection, f"nodes[{place}]")
    assert found["label"] == "attention"
    assert found["namespace"] == "model/layers/0/attn"
    assert pairs(found["attrs"])["key"] == "kv_seq"
    assert pairs(found["attrs"])["origin: source"] == "model.py:7"
    out = pairs(found["outputsMetadata"][0]["attrs"])
    assert out["tensor_shape"] == "batch seq heads:2 head_dim:4"
    assert out["sites"] == "blocks.0.attn.pattern, blocks.0.attn.z"
    tags = [pairs(one["attrs"])["__tensor_tag"] for one in found["inputsMetadata"]]
    assert tags[:3] == ["q", "k", "v"]
    (weight,) = (
        n
        for n in collection["graphs"][0]["nodes"]
        if n["namespace"] == "model/wte" and n["label"] == "weight"
    )
    assert pairs(weight["attrs"]) == {"kind": "parameter"}


def test_a_region_is_a_graph_that_its_node_leads_to() -> None:
    collection = graph_collection(looped())
    main, region = collection["graphs"]
    (loop,) = (n for n in main["nodes"] if n.get("subgraphIds"))
    assert loop["subgraphIds"] == [region["id"]] == [f"{loop['id']}.regions[0]"]
    assert "tanh" in [n["label"] for n in region["nodes"]]


def test_numbers_are_by_node_and_added_up() -> None:
    graph = decoder(2)
    attention = [i for i, n in enumerate(graph.nodes) if n.op.name == "attention"]
    first = graph.nodes[attention[0]]
    values = {"blocks.*.attn.z": 0.5, first: 1.0, first.output: 2.0, graph.nodes[0]: np.nan}
    data = node_data(graph, values, "effect")
    assert data["graph"]["name"] == "effect"
    assert data["graph"]["results"] == {
        f"nodes[{attention[0]}]": {"value": 3.5},
        f"nodes[{attention[1]}]": {"value": 0.5},
    }
    loop = looped()
    inner = loop.nodes[0].regions[0].nodes[0]
    assert node_data(loop, {inner: 1.0}) == {
        "nodes[0].regions[0]": {"name": "value", "results": {"nodes[0]": {"value": 1.0}}}
    }


def test_what_is_no_place_or_no_number_is_said() -> None:
    graph = decoder(1)
    with pytest.raises(SelectionError, match="no place of this graph"):
        node_data(graph, {doubled(graph).nodes[-1]: 1.0, decoder(1).nodes[0]: 1.0})
    with pytest.raises(SelectionError, match="did you mean"):
        node_data(graph, {"blocks.0.attn.zz": 1.0})
    with pytest.raises(SelectionError, match="needs a number"):
        node_data(graph, {"embed": "much"})


def test_both_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    graph, path = decoder(1), tmp_path / "model.json"
    gw.export_model_explorer(graph, path, overlay={"embed": 2}, label="norm")
    assert json.loads(path.read_text()) == json.loads(json.dumps(graph_collection(graph, "model")))
    data = json.loads((tmp_path / "model.data.json").read_text())
    assert data["graph"]["name"] == "norm"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.data.json", "model.json"]
    with pytest.raises(SelectionError):
        gw.export_model_explorer(graph, tmp_path / "other.json", overlay={"nowhere": 1})
    with pytest.raises(StorageError, match="cannot save the graph"):
        gw.export_model_explorer(graph, tmp_path / "missing" / "model.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.data.json", "model.json"]


def test_it_can_be_safe_to_share() -> None:
    graph = decoder(1)
    shared, plain = (json.dumps(graph_collection(graph, share_safe=safe)) for safe in (True, False))
    assert "model.py:7" in plain
    assert "model.py:7" not in shared
    assert '"scale", "value": "0.5"' in plain
    assert '"scale", "value": "0.5"' not in shared
