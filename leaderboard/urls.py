"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from leaderboard.api.reference import reference
from leaderboard.api.site import api
from leaderboard.demo.mails import mails
from leaderboard.web import (
    cases,
    downloads,
    drafts,
    errors,
    guidelines,
    methods,
    my_runs,
    organisers,
    people,
    public,
    submissions,
    tus,
)

handler400 = "leaderboard.web.errors.bad_request"
handler500 = "leaderboard.web.errors.server_error"
handler429 = "leaderboard.web.errors.too_many"  # allauth's name, for its limits

urlpatterns = [
    path("", public.home, name="home"),
    path("leaderboard/", public.leaderboard, name="leaderboard"),
    path("leaderboard/<slug:slug>/", public.board, name="board"),
    path("leaderboard/<slug:slug>/board.csv", public.board_csv, name="board_csv"),
    path("guidelines/", guidelines.guidelines, name="guidelines"),
    path("downloads/<slug:name>.zip", downloads.download, name="download"),
    path("rules/", people.rules, name="rules"),
    path("theme/", public.theme, name="theme"),
    path("team/", people.team, name="team"),
    path("team/join/<slug:code>/", people.team_join, name="team_join"),
    path("team/leave/", people.team_leave, name="team_leave"),
    path("team/members/<int:pk>/remove/", people.team_remove, name="team_remove"),
    path("team/members/<int:pk>/captain/", people.team_captain, name="team_captain"),
    path("submit/", submissions.submit, name="submit"),
    path("submit/<slug:slug>/", submissions.submit_to, name="submit_to"),
    path("drafts/of/<slug:slug>/", drafts.begin, name="begin_draft"),
    path("drafts/<uuid:key>/", drafts.draft, name="draft"),
    path("drafts/<uuid:key>/send/", drafts.send, name="send_draft"),
    path("drafts/<uuid:key>/take-back/", drafts.take_back, name="take_back_draft"),
    path("drafts/<uuid:key>/delete/", drafts.delete, name="delete_draft"),
    path("preview/", methods.preview, name="preview"),
    path("uploads/drafts/<uuid:key>/pdf/", methods.draft_pdf, name="draft_pdf"),
    path("uploads/drafts/<uuid:key>/", tus.create, name="begin_upload"),
    path("uploads/<uuid:key>/", tus.upload, name="upload"),
    path("runs/", my_runs.runs, name="runs"),
    path("runs/my-runs.csv", my_runs.table, name="runs_csv"),
    path("runs/compare/", my_runs.compare, name="compare"),
    path("runs/<int:pk>/note/", my_runs.note, name="note"),
    path("runs/<int:pk>/", submissions.submission, name="submission"),
    path("runs/<int:pk>/panel/", submissions.submission_panel, name="submission_panel"),
    path("runs/<int:pk>/cancel/", submissions.cancel, name="cancel"),
    path("runs/<int:pk>/withdraw/", submissions.withdraw, name="withdraw"),
    path("runs/<int:pk>/bring-back/", submissions.bring_back, name="bring_back"),
    path("runs/<int:pk>/again/", drafts.begin_from, name="submit_again"),
    path("runs/<int:pk>/method.pdf", methods.pdf, name="pdf"),
    path("runs/<int:pk>/findings/", cases.findings, name="findings"),
    path("runs/<int:pk>/cases/", cases.cases, name="cases"),
    path("runs/<int:pk>/logs/", cases.logs, name="logs"),
    path("runs/<int:pk>/logs/<int:batch>/<int:attempt>/", cases.log, name="log"),
    path("runs/<int:pk>/masks/<str:name>", cases.mask, name="mask"),
    path("runs/<int:pk>/results.json", cases.results, name="results"),
    path("organisers/health/", organisers.health, name="health"),
    path("organisers/health/panel/", organisers.health_panel, name="health_panel"),
    path("organisers/equal-entries/", organisers.equal_entries, name="equal_entries"),
    path("organisers/equal-entries/<int:pk>/", organisers.look_at_equal_entries, name="look_at_equal_entries"),
    path("metrics", organisers.prometheus, name="metrics"),
    path("account/", include("leaderboard.web.accounts.urls")),
    path("api/v1/reference/", reference, name="api_reference"),
    path("api/v1/", api.urls),
    path("api/refused/<int:status>/", errors.refused, name="api_refused"),
    path("admin/", admin.site.urls),
    path("worker/v1/", include("leaderboard.processes.host_api")),
    path("clock", public.server_clock, name="server_clock"),
    path("healthz", public.healthz, name="healthz"),
    path("refused/<int:status>/", errors.refused, name="refused"),
]
if settings.SHOWN_MAILS_DIR:  # only ever at a loopback address (settings.py)
    urlpatterns.append(path("demo/mails/", mails, name="demo_mails"))
