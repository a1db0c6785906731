"""The stand-in for Trello: a board with lists, cards, labels, comments, attachments and search."""
