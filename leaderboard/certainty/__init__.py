"""How sure a ranking is: what 1,000 other draws of the same cases, and tests of every pair of teams, say about it.

    arrays           the arrays that everything here takes and gives, and what is refused of them
    ranking          competition ranks, of exact or of rounded scores
    correlation      Kendall's tau-b between rankings
    stability        how ranks vary over the resamples of `evaluation`: rank intervals, how often a team takes a rank
    wilcoxon         the one-sided Wilcoxon signed-rank test, of many pairs at once
    pairs            every team against every other, Holm's correction, who can't be told from whom
    other_ways       the ranks by other metrics, by rank-then-aggregate, by test-then-rank
    assessment       all of it, of one board

Pure functions of arrays: the same numbers in, the same bits out, on any number of threads; no sum of fractions goes
through BLAS. (Another kind of processor may differ in the last bits of a p-value.) What is known of a pair of runs
holds for as long as the runs' scores do, so that it need not be found again.

Scores are (teams, cases): mean Dice of a case, in [0, 1], higher is better, a lost case 0. Cases are in the order of
their names, which is what makes the resamples those of `evaluation.aggregate`.

The methods are those of challengeR (Wiesenfarth et al. 2021, "Methods and open-source toolkit for analyzing and
visualizing challenge results", Sci Rep 11:2369); where one differs, its module says so. Code and words are ours.

May import `evaluation` and nothing of the server.
"""
