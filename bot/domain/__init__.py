"""Decisions as functions from data to data: no clock, no network, no database."""
