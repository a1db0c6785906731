"""Names, licences and texts as sentences tell them: anybody may have written them."""

MOST = 400  # characters, so that what is wrong with a name is still seen behind it


def shortened(text: str) -> str:
    """Give a text as one line that a terminal shows; of a long one the middle is left out."""
    if len(text) > MOST:
        text = f"{text[: MOST // 2]}\N{HORIZONTAL ELLIPSIS}{text[-MOST // 2 :]}"
    return printable(text)


def printable(text: str) -> str:
    """Give a text that moves no cursor and ends no line."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
