"""One model run again and again with small edits, compiled as one graph."""
