"""The organisers' desk, as pages: what needs a person, and an address for every act.

`access` says who gets in, `tabs` how the pages lead to each other, `acts` is the one page by which anything is done.
"""
