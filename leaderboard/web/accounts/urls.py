"""The addresses of accounts: allauth's, of which the first ones here answer in its place."""

from django.urls import include, path, re_path

from leaderboard.web.accounts import notices, orcid, own, second_factor, sessions, tokens, views

urlpatterns = [
    path("", own.account, name="account"),
    path("data/", own.data, name="account_data"),
    path("delete/", own.end, name="account_end"),
    path("login/", views.LoginView.as_view(), name="account_login"),
    path("signup/", views.SignupView.as_view(), name="account_signup"),
    path("reauthenticate/", views.ReauthenticateView.as_view(), name="account_reauthenticate"),
    path("email/", views.EmailView.as_view(), name="account_email"),
    path("password/change/", views.PasswordChangeView.as_view(), name="account_change_password"),
    path("password/reset/", views.PasswordResetView.as_view(), name="account_reset_password"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.PasswordResetFromKeyView.as_view(),
        name="account_reset_password_from_key",
    ),
    path("notices/", notices.notices, name="notices"),
    path("notices/stop/<str:token>/", notices.stop, name="notices_stop"),
    path("email/works/<str:token>/", notices.address_works, name="address_works"),
    path("tokens/", tokens.tokens_page, name="tokens"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="revoke_token"),
    path("confirm-email/again/", views.confirm_again, name="confirm_again"),
    path("2fa/authenticate/", second_factor.AuthenticateView.as_view(), name="mfa_authenticate"),
    path("2fa/reauthenticate/", second_factor.ReauthenticateView.as_view(), name="mfa_reauthenticate"),
    path("2fa/totp/activate/", second_factor.ActivateTOTPView.as_view(), name="mfa_activate_totp"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", sessions.sessions, name="usersessions_list"),
    path("connected/", include("allauth.socialaccount.urls")),
    path("oidc/<str:provider_id>/login/", orcid.login, name="openid_connect_login"),
    path("oidc/<str:provider_id>/login/callback/", orcid.callback, name="openid_connect_callback"),
    path("", include("allauth.account.urls")),
]
