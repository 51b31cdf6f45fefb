"""Pictures as SVG that the server draws: pure functions from plain data to a `Picture`, the drawing and its numbers.

    intervals                        scores as dots with their 95 % intervals
    heat, sizes, distributions       Dice by category, by the size of a finding, and finding by finding
    standings                        the best of each team over time
    stability, podium                how often a team takes each rank, and the first three, over resamples
    ranking_lines, significance      ranks by other ways to rank; who is better than whom
    capacity                         hours foreseen until a deadline against those that there are
    badge                            an image for other sites
    picture, rows, labels, shapes    what pictures share: frame and table, rows, labels at their ends, marks
    svg, scales, words               elements; where a value lies; numbers and names as text

A drawing has **x in per cent and y in pixels**, and no viewBox: it stretches to any width without distorting its text.
Colours and the places of names are `static/site/charts.css`, by the width of the picture; a page links it, and shows a
picture by `parts/picture.html`. Each drawing says in words what it shows, tells nothing by colour alone, and depends on
its arguments only. Names may be anybody's: they are shortened and escaped here.

What a reader may see is decided before: None is “not shown”. May import `core.text`, and nothing else of the server.
"""
