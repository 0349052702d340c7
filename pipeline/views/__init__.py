"""Queries for people and programs: lists, history, counts, reports and the live feed."""
