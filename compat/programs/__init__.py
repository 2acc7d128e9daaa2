"""Programs and SDKs of other languages: each does what it does every day, against a server, and tells how it went.

A program's folder or script knows the endpoint, the keys, the region and an empty bucket from its environment. It ends
with code 0 and a last line that says what it did, or with an error.
"""
