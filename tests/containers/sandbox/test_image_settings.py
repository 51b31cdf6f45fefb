"""What an image says about how to run it."""

import pytest

from containers.sandbox.image_settings import ImageSettings


def test_what_an_image_does_not_say_is_empty() -> None:
    settings = ImageSettings.read({"Env": None, "Entrypoint": None, "Cmd": None, "Volumes": None})
    assert settings == ImageSettings()


def test_the_command_is_the_entrypoint_and_its_arguments() -> None:
    settings = ImageSettings.read({"Entrypoint": ["python", "-m"], "Cmd": ["inference"], "Env": ["A=b=c", "B="]})
    assert settings.command == ("python", "-m", "inference")
    assert settings.environment == {"A": "b=c", "B": ""}


@pytest.mark.parametrize(
    ("user", "environment", "home", "name"),
    [
        ("", {}, "/root", "user"),
        ("root", {}, "/root", "user"),
        ("0:0", {}, "/root", "user"),
        ("user", {}, "/home/user", "user"),
        ("algorithm:users", {}, "/home/algorithm", "algorithm"),
        ("1000", {}, "/", "user"),
        ("1000:1000", {"HOME": "/opt/app"}, "/opt/app", "user"),
        ("user", {"HOME": "//home/./user/"}, "/home/user", "user"),
        ("nobody", {"HOME": "relative"}, "/home/nobody", "user"),
        ("O'Neill: \n", {"HOME": "/home/x"}, "/home/x", "user"),
    ],
)
def test_home_and_name_of_its_user(user: str, environment: dict[str, str], home: str, name: str) -> None:
    settings = ImageSettings(user=user, environment=environment)
    assert (settings.home, settings.user_name) == (home, name)
