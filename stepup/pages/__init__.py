"""The pages of end users: what they show, their texts in each language, the built assets.

A page is a frozen value (`challenge`, `account`, `ends`) that names its template; `rendering`
turns it into HTML in one language. Nothing here knows a request, a store or the domain: the edge
fills the values, so each page can be rendered, tested and looked at by itself.
"""
