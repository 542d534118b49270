"""The explorer: a page on this machine where prompts are run, sites edited and recipes taken away.

`graftwork explore MODEL` starts it. What a page asks for is whole in each request (model, prompt,
edits), so pages do not mix; the server only remembers what it has made, to not make it twice.
"""
