"""The text form of graphs: made for people, and read back as the same graph.

    graph {
      axes { seq: seq, embed: 768, vocab: 50257 }

      input input_ids: i64{seq}
      param @wte.weight: f32{vocab, embed} alias lm_head.weight

      # wte
      %h = embedding(@wte.weight, %input_ids) axis=vocab : f32{seq, embed}  !1
      # lm_head
      %0 = contract(%h, @wte.weight) over={embed} : f32{seq, vocab}  !2

      output logits = %0 as [1, seq, vocab]

      site embed = %h {seq, embed}

      origins {
        !1 module=wte op=aten.embedding source="gpt.py:14"
        !2 module=lm_head op=aten.linear source="gpt.py:20"
      }
    }

White space and `#` comments mean nothing. A name that is no plain word stands in double quotes.
`%x` is a value (`%0` one without a name), `@x` a parameter, `!1` an origin. `as [...]` is the
positional form of a port, where it is not the order of the axes of its value; `1` is a unit
dimension. Attributes that have their default value are left out; `{a, b}` is a set, `[a, b]` a
sequence, `{a -> b}` a map; a size that is no number or word stands in parentheses. A constant is
`f32(0.5)`, `i64[3](1, 2, 3)`, one repeated element, or its bytes in base64 where digits would be
long or inexact. Regions follow their node and end with `return`. The arrays of parameters are not
part of the text.
"""

from graftwork.ir.text.parser import parse
from graftwork.ir.text.printer import print_graph, print_nodes

__all__ = ["parse", "print_graph", "print_nodes"]
