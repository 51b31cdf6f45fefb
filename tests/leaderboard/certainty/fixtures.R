# What R says, for tests/leaderboard/certainty/: Rscript fixtures.R > fixtures.json
#
# Base R alone. Boards are matrices of scores (teams x cases); of each ordered pair of teams the one-sided signed-rank
# test, Holm's correction over all of them and the decisions (as challengeR takes them), and ranks by several methods.

set.seed(20260608)

# R's default up to 4.5, said in so many words: from 4.6 on the default is exact with ties too.
p_greater <- function(x, y) {
  d <- x - y
  exact <- length(d) < 50 && all(d != 0) && !anyDuplicated(abs(d))
  test <- function(...) suppressWarnings(wilcox.test(x, y, paired = TRUE, alternative = "greater", ...))$p.value
  p <- test(exact = exact)
  if (getRversion() < "4.6.0") stopifnot(identical(p, test()))
  p
}

competition_ranks <- function(x) rank(-x, ties.method = "min")

board <- function(name, scores) {
  teams <- nrow(scores)
  p <- matrix(1, teams, teams)
  for (i in seq_len(teams)) for (j in seq_len(teams)) if (i != j) p[i, j] <- p_greater(scores[i, ], scores[j, ])
  pairs <- row(p) != col(p)
  holm <- p
  holm[pairs] <- p.adjust(p[pairs], method = "holm")
  better <- pairs & holm <= 0.05
  ranks_of_cases <- matrix(apply(scores, 2, competition_ranks), nrow = teams)
  list(
    name = name, scores = scores, p = p, holm = holm, better = better + 0,
    ranks = competition_ranks(rowMeans(scores)),
    rank_then_mean = rank(rowSums(ranks_of_cases), ties.method = "min"),
    test_then_rank = competition_ranks(rowSums(better)),
    median = competition_ranks(apply(scores, 1, median))
  )
}

teams <- function(n, cases, gap) {
  difficulty <- rbeta(cases, 1, 2)
  skill <- seq(0, gap, length.out = n)
  noise <- matrix(rnorm(n * cases, sd = 0.15), n)
  pmin(pmax(sweep(noise + skill, 2, difficulty, "+"), 0), 1)
}

lose <- function(scores, share) ifelse(matrix(runif(length(scores)) < share, nrow(scores)), 0, scores)

untied <- function(n, cases, gap) matrix(runif(n * cases), n) + seq(0, gap, length.out = n)

boards <- list(
  board("one case", matrix(c(0.5, 0.25, 0.25), 3)),
  board("two cases", untied(3, 2, 0.5)),
  board("five cases, no ties", untied(4, 5, 1)),
  board("seven cases, no ties", untied(4, 7, 0.5)),
  board("20 cases, no ties", untied(3, 20, 0.3)),
  board("49 cases, no ties: the last exact ones", untied(3, 49, 0.3)),
  board("50 cases, no ties: the first by the normal", untied(3, 50, 0.3)),
  board("12 cases, ties and zeroes", round(teams(5, 12, 0.2), 1)),
  board("30 cases, some lost", lose(teams(4, 30, 0.2), 0.3)),
  board("all zero", matrix(0, 3, 8)),
  board("two identical teams and a third", rbind(c(0.1, 0.4, 0.2, 0.9), c(0.1, 0.4, 0.2, 0.9), c(0.3, 0.1, 0.4, 1))),
  board("constant differences", outer(c(0, 0.25, 0.5), (0:8) / 16, "+")),
  board("150 cases, some lost", lose(teams(6, 150, 0.2), 0.1)),
  board("300 cases in tenths", round(teams(5, 300, 0.1), 1)),
  board("300 cases, far apart", untied(3, 300, 2))
)

kendall <- lapply(
  list(
    list(1:8, c(2, 1, 3, 4, 6, 5, 8, 7)),
    list(1:6, 6:1),
    list(c(1, 1, 3, 4, 4, 4), c(2, 1, 2, 4, 4, 6)),
    list(competition_ranks(round(runif(40), 1)), competition_ranks(round(runif(40), 1))),
    list(competition_ranks(runif(60)), competition_ranks(runif(60))),
    list(c(1, 2), c(1, 2))
  ),
  function(pair) list(x = pair[[1]], y = pair[[2]], tau = cor(pair[[1]], pair[[2]], method = "kendall"))
)

adjusted <- lapply(
  list(c(0.01, 0.02, 0.03), c(0.04, 0.001, 0.04, 1), 0.2, runif(30)^3, rep(0.01, 7)),
  function(p) list(p = p, holm = p.adjust(p, method = "holm"))
)

# --- as JSON, a board a line, numbers to the bit ----------------------------------------------------------------------

number <- function(x) sprintf("%.17g", x)
brackets <- function(x) paste0("[", paste(x, collapse = ","), "]")
json <- function(x) {
  if (is.character(x)) return(paste0('"', x, '"'))
  if (is.matrix(x)) return(brackets(apply(x, 1, function(row) brackets(number(row)))))
  if (!is.list(x)) return(if (length(x) == 1) number(x) else brackets(number(x)))
  fields <- vapply(names(x), function(key) paste0('"', key, '":', json(x[[key]])), "")
  paste0("{", paste(fields, collapse = ","), "}")
}
lines <- function(x) paste0("[\n", paste(vapply(x, json, ""), collapse = ",\n"), "\n]")
cat('{"boards":', lines(boards), ',\n"kendall":', lines(kendall), ',\n"holm":', lines(adjusted), "}\n", sep = "")
