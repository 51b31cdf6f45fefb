"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import RoutePattern, URLResolver

from leaderboard.api.reference import reference
from leaderboard.demo.examples import examples
from leaderboard.demo.mails import mail, mails
from leaderboard.web import (
    cases,
    downloads,
    drafts,
    errors,
    guidelines,
    methods,
    my_runs,
    news,
    objecting,
    people,
    preregistration,
    privacy,
    public,
    submissions,
    teams,
    tus,
)
from leaderboard.web.data import views as data
from leaderboard.web.desk import health

handler400 = "leaderboard.web.errors.bad_request"
handler500 = "leaderboard.web.errors.server_error"
handler429 = "leaderboard.web.errors.too_many"  # allauth's name, for its limits

urlpatterns = [
    path("", public.home, name="home"),
    path("leaderboard/", include("leaderboard.web.boards.urls")),
    path("guidelines/", guidelines.guidelines, name="guidelines"),
    path("downloads/examples.zip", examples, name="examples"),
    path("data/", data.data, name="data"),
    path("data/<slug:name>/", data.case_set, name="case_set"),
    path("data/<slug:name>/accept/", data.accept, name="accept_data_terms"),
    path("data/<slug:name>/<str:file>", data.listed, name="data_list"),
    path("data/<slug:name>/<slug:kind>/<str:case>", data.file, name="data_file"),
    path("downloads/<slug:name>.zip", downloads.download, name="download"),
    path("privacy/", privacy.privacy, name="privacy"),
    path("news/", news.news, name="news"),
    path("news/feed.atom", news.feed, name="news_feed"),
    path("news/<slug:slug>/", news.news_item, name="news_item"),
    path("faq/", news.questions, name="faq"),
    path("faq/<slug:slug>/", news.question, name="question"),
    path("dates.ics", public.calendar, name="calendar"),
    path("pre-registration/", preregistration.pre_registration, name="pre_registration"),
    path("pre-registration/sent/", preregistration.sent, name="pre_registration_sent"),
    path("pre-registration/<uuid:key>/", preregistration.confirm, name="pre_registration_confirm"),
    path("pre-registration/<uuid:key>/unsubscribe/", preregistration.unsubscribe, name="pre_registration_unsubscribe"),
    path("rules/", people.rules, name="rules"),
    path("theme/", public.theme, name="theme"),
    path("team/", teams.team, name="team"),
    path("team/edit/", teams.team_edit, name="team_edit"),
    path("team/join/<slug:code>/", teams.team_join, name="team_join"),
    path("team/leave/", teams.team_leave, name="team_leave"),
    path("team/captain/", teams.team_handover, name="team_handover"),
    path("team/members/<int:pk>/remove/", teams.team_remove, name="team_remove"),
    path("team/members/<int:pk>/captain/", teams.team_captain, name="team_captain"),
    path("team/invitations/", teams.team_invite, name="team_invite"),
    path("team/invitations/<int:pk>/again/", teams.team_invite_again, name="team_invite_again"),
    path("team/invitations/<int:pk>/withdraw/", teams.team_revoke, name="team_revoke"),
    path("team/invitation/<slug:token>/", teams.team_invitation, name="team_invitation"),
    path("team/approvals/<slug:slug>/", teams.team_ask_approval, name="team_ask_approval"),
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
    path("runs/<int:pk>/events/", submissions.without_events, name="submission_events"),
    path("runs/<int:pk>/cancel/", submissions.cancel, name="cancel"),
    path("runs/<int:pk>/withdraw/", submissions.withdraw, name="withdraw"),
    path("runs/<int:pk>/bring-back/", submissions.bring_back, name="bring_back"),
    path("runs/<int:pk>/decisions/<int:decision>/object/", objecting.object_to, name="object_to"),
    path("runs/<int:pk>/again/", drafts.begin_from, name="submit_again"),
    path("runs/<int:pk>/method.pdf", methods.pdf, name="pdf"),
    path("runs/<int:pk>/findings/", cases.findings, name="findings"),
    path("runs/<int:pk>/cases/", cases.cases, name="cases"),
    path("runs/<int:pk>/logs/", cases.logs, name="logs"),
    path("runs/<int:pk>/logs/<int:batch>/<int:attempt>/", cases.log, name="log"),
    path("runs/<int:pk>/masks/<str:name>", cases.mask, name="mask"),
    path("runs/<int:pk>/results.json", cases.results, name="results"),
    path("organisers/", include("leaderboard.web.desk.urls")),
    path("metrics", health.prometheus, name="metrics"),
    path("account/", include("leaderboard.web.accounts.urls")),
    path("api/v1/reference/", reference, name="api_reference"),
    # Loaded with the first request for it: most processes get none, and it is a third of their start.
    URLResolver(RoutePattern("api/v1/"), "leaderboard.api.urls", app_name="ninja", namespace="api-1"),
    path("api/refused/<int:status>/", errors.refused, name="api_refused"),
    path("admin/", admin.site.urls),
    path("worker/v1/", include("leaderboard.processes.host_api")),
    path("clock", public.server_clock, name="server_clock"),
    path("healthz", public.healthz, name="healthz"),
    path("refused/<int:status>/", errors.refused, name="refused"),
]
if settings.SHOWN_MAILS_DIR:  # only ever at a loopback address (settings.py)
    urlpatterns += [
        path("demo/mails/", mails, name="demo_mails"),
        path("demo/mails/<str:name>/", mail, name="demo_mail"),
    ]
