"""The ops as a namespace."""

import pytest

import graftwork as gw


def test_an_unknown_op_is_an_attribute_error_that_names_the_nearest():
    assert not hasattr(gw.ops, "torch")  # pickle asks every module for what it looks for
    with pytest.raises(AttributeError, match=r"'rellu'.*'relu'"):
        _ = gw.ops.rellu
