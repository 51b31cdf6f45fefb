"""The public half of a case set: what a phase may show before its reveal. How to check it: docs/public-half.md.

    strata          what both halves have to have alike: categories, sizes, spacing, counted by case
    drawing         half of the cases by a secret, so that every count is even; the balance as a table
    commitment      the text that says which half was drawn, without a name, and the digest that is told from the start
    kept            the same of a case set in the database: drawn at its import, opened at the reveal

All but `kept` are pure and know no Django, so that a half can be drawn again elsewhere by who has the secret.
"""
