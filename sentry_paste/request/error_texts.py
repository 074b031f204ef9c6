"""The texts of the crash page, for visitors of a site, by language tag (RFC 5646)."""

# ruff: noqa: RUF001 - French has typographic apostrophes

from __future__ import annotations

from collections.abc import Mapping

#: By language tag; the first language is the default. Each has the same texts:
#:
#: - ``title`` and ``message``: what has happened, and what to do.
#: - ``reported`` or ``recorded``: Sentry has received the error, or a file has it. The number follows.
#: - ``retry``, ``home`` and ``inbox``: the words of the links.
TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Something went wrong",
        "message": "Sorry, this page could not be shown. It is not your fault. Please try again in a moment.",
        "reported": "The problem has been reported. If you contact us about it, please mention this number:",
        "recorded": "The problem has been recorded. If you contact us about it, please mention this number:",
        "retry": "Try again",
        "home": "Go to the home page",
        "inbox": "See it in the inbox",
    },
    "de": {
        "title": "Etwas ist schiefgegangen",
        "message": "Leider konnte diese Seite nicht angezeigt werden. Das liegt nicht an Ihnen. "
        "Bitte versuchen Sie es gleich noch einmal.",
        "reported": "Das Problem wurde gemeldet. Wenn Sie sich deswegen an uns wenden, nennen Sie bitte "
        "diese Nummer:",
        "recorded": "Das Problem wurde aufgezeichnet. Wenn Sie sich deswegen an uns wenden, nennen Sie bitte "
        "diese Nummer:",
        "retry": "Noch einmal versuchen",
        "home": "Zur Startseite",
        "inbox": "In der Inbox ansehen",
    },
    "fr": {
        "title": "Une erreur s’est produite",
        "message": "Désolé, cette page n’a pas pu être affichée. Vous n’y êtes pour rien. "
        "Veuillez réessayer dans un instant.",
        "reported": "Le problème a été signalé. Si vous nous contactez à ce sujet, merci d’indiquer ce "
        "numéro\N{NO-BREAK SPACE}:",
        "recorded": "Le problème a été enregistré. Si vous nous contactez à ce sujet, merci d’indiquer ce "
        "numéro\N{NO-BREAK SPACE}:",
        "retry": "Réessayer",
        "home": "Aller à la page d’accueil",
        "inbox": "Voir dans l’inbox",
    },
    "es": {
        "title": "Algo ha salido mal",
        "message": "Lo sentimos, no se ha podido mostrar esta página. No es culpa suya. "
        "Vuelva a intentarlo dentro de un momento.",
        "reported": "Se ha informado del problema. Si se pone en contacto con nosotros, indique este número:",
        "recorded": "Se ha registrado el problema. Si se pone en contacto con nosotros, indique este número:",
        "retry": "Intentarlo de nuevo",
        "home": "Ir a la página de inicio",
        "inbox": "Verlo en el inbox",
    },
    "pt": {
        "title": "Algo deu errado",
        "message": "Não foi possível mostrar esta página. A culpa não é sua. "
        "Tente novamente dentro de alguns instantes.",
        "reported": "O problema foi comunicado. Se nos escrever sobre isso, indique este número:",
        "recorded": "O problema foi registrado. Se nos escrever sobre isso, indique este número:",
        "retry": "Tentar novamente",
        "home": "Ir para a página inicial",
        "inbox": "Ver no inbox",
    },
    "ja": {
        "title": "問題が発生しました",
        "message": "申し訳ありません。ページを表示できませんでした。お客様の操作が原因ではありません。"
        "しばらくしてから、もう一度お試しください。",
        "reported": "この問題は報告されました。お問い合わせの際は、次の番号をお知らせください。",
        "recorded": "この問題は記録されました。お問い合わせの際は、次の番号をお知らせください。",
        "retry": "もう一度試す",
        "home": "トップページへ",
        "inbox": "受信箱で見る",
    },
}
