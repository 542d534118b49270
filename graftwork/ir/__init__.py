"""The intermediate representation: immutable, named-axis dataflow graphs, and nothing else.

It knows no framework. Frontends build graphs, passes rewrite them, backends run them.
"""

from graftwork.ir import ops as ops
