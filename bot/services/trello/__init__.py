"""Trello as a tracker."""
