"""Nothing that is printed shows a password or a key, whoever has written the text."""

import socket

import pytest

from sentry_paste import sdk
from sentry_paste.cli.main import main
from sentry_paste.config.options import options

from check_reports import SENTRY

APP = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
SECRET = "h4nter2"

VALUES = [
    f"https://user:{SECRET}@proxy.example/1",
    f"https://{SECRET}@sentry.example/shop",
    f"https://{SECRET}@sentry.example/1 ; note",
    f"https://user:a/{SECRET}@sentry.example/1",
    f"https://user:%{SECRET}@sentry.example/1",
    f"https://%(nowhere)s:{SECRET}@sentry.example/1",
    f"https://$NAME:{SECRET}@sentry.example/1",
    f"https://${{NOT:SET}}:{SECRET}@sentry.example/1",
    f'["https://user:{SECRET}@sentry.example/1"]',
]


def printed(capsys, *arguments):
    main([*map(str, arguments)])
    captured = capsys.readouterr()
    return captured.out + captured.err


# One option of each kind.
NAMES = {option.kind: name for name, option in options().items() if name.isidentifier()}.values()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", [*NAMES, "tags.db", "contexts.db.url", "proxy_headers.X", "unknown"])
def test_value_of_an_option(write_ini, capsys, name, value):
    if name in ("integrations", "disabled_integrations"):
        return  # names of modules, which are shown as they are
    section = "[filter:sentry]\nuse = egg:sentry_paste\n" if name == "dsn" else SENTRY
    path = write_ini(f"{section}{name} = {value}\n" + APP)
    assert SECRET not in printed(capsys, "check", path)
    assert SECRET not in printed(capsys, "check", "--json", path)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "template",
    [
        "{}\n" + SENTRY + APP,
        SENTRY + "{}\n" + APP,
        SENTRY + APP + "url = {}\n",
        SENTRY + APP + "url = {}\nurl = {}\n",
        "[DEFAULT]\nurl = {}\n" + SENTRY + APP,
        "[DEFAULT]\nsentry.dsn = {}\n" + SENTRY + APP,
        SENTRY + APP.replace("egg:myapp", "{}"),
        SENTRY + APP.replace("= sentry", "= {}"),
        SENTRY + "[pipeline:main]\npipeline = {} sentry\n",
    ],
)
def test_value_elsewhere_in_the_file(write_ini, capsys, monkeypatch, template, value):
    def no_address(*given, **more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # Some networks take five seconds to say so.
    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    path = write_ini(template.replace("{}", value))
    for command in (["check"], ["check", "--json"], ["send-test"]):
        assert SECRET not in printed(capsys, *command, path)


def test_variable_of_the_command_line(write_ini, capsys):
    path = write_ini(SENTRY + APP)
    assert SECRET not in printed(
        capsys, "check", path, f"url=https://user:{SECRET}@h/1", f"sentry.dsn=https://{SECRET}@h/x"
    )
    with pytest.raises(SystemExit):
        main(["check", str(path), f"https://user:{SECRET}@h/1"])
    assert SECRET not in capsys.readouterr().err


def test_error_of_a_module_of_the_users(write_ini, capsys, tmp_path, monkeypatch):
    (tmp_path / "hooks_that_fail.py").write_text(f"raise ValueError('no postgresql://u:{SECRET}@h/db')")
    monkeypatch.syspath_prepend(tmp_path)
    path = write_ini(SENTRY + "before_send = hooks_that_fail:hook\n" + APP)
    text = printed(capsys, "check", path)
    assert "cannot import hooks_that_fail" in text
    assert SECRET not in text


def test_key_that_stands_alone(write_ini, capsys):
    key = "0123456789abcdef0123456789abcdef"
    text = printed(
        capsys, "check", write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {key}\n" + APP)
    )
    assert "dsn = ***: expected a DSN" in text
    assert sdk.dsn_fault(key)


@pytest.mark.parametrize(
    ("dsn", "part"),
    [
        ("https://k3y:s3c/r3t@sentry.example/1", "Invalid port; in a key, write / as %2F"),
        ("https://k3y:s3c#r3t@sentry.example/1", "Invalid port; in a key, write / as %2F"),
        ("https://k3y:s3c?r3t@sentry.example/1", "Invalid port; in a key, write / as %2F"),
        ("https://k3y/s3c@sentry.example/1", "Missing public key; in a key, write / as %2F"),
        ("https://k3y:[s3c@sentry.example/1", "Invalid host"),
        ("https://k3y:s3c@sentry.example\u2100/1", "Invalid host"),
        ("k3y:s3c@sentry.example/1", "Unsupported scheme"),
        ("https:///s3c", "Missing host"),
        ("https://k3y@sentry.example/s3c", "Invalid project"),
        ("https://k3y@sentry.example:s3c/1", "Invalid port"),
    ],
)
def test_fault_of_a_dsn_names_its_part_and_quotes_nothing(write_ini, capsys, dsn, part):
    assert part in sdk.dsn_fault(dsn)
    assert "s3c" not in sdk.dsn_fault(dsn)
    assert "k3y" not in sdk.dsn_fault(dsn)
    path = write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {dsn.replace('%', '%%')}\n" + APP)
    for command in (["check"], ["check", "--json"], ["send-test"]):
        text = printed(capsys, *command, path)
        assert part.partition(";")[0] in text
        if "@" in dsn.partition("s3c")[2]:
            assert "s3c" not in text
            assert "r3t" not in text


@pytest.mark.parametrize(
    "option",
    [
        f"server_name = https://h/?password={SECRET}",
        f"tags.header = Basic {SECRET}",
        f"tags.header = bearer {SECRET}",
        "before_send = hooks_that_say_it:hook",
    ],
)
def test_secret_beside_the_user_info_of_a_url(write_ini, capsys, tmp_path, monkeypatch, option):
    (tmp_path / "hooks_that_say_it.py").write_text(f"raise ValueError('cannot log in: password={SECRET}')")
    monkeypatch.syspath_prepend(tmp_path)
    path = write_ini(SENTRY + option + "\n" + APP)
    for command in (["check"], ["check", "--json"]):
        text = printed(capsys, *command, path)
        assert option.partition(" ")[0] in text
        assert SECRET not in text
