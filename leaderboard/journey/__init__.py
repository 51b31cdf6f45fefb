"""What a submission goes through, top to bottom in `pipeline`; `lifecycle` alone changes a state.

May import `submissions`, `hosts`, `scores` and below; knows neither pages nor the board.
"""
